"""Options of the Label Studio adapter."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class Options(BaseModel):
    """Options of a Label Studio connection or campaign."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    images: Literal["upload", "address"] = Field(
        "upload",
        title="Images",
        description="upload: files are stored on the server. address: the browser of each labeler fetches them.",
    )
    overlap: int = Field(1, ge=1, le=100, title="Overlap", description="Different people who label each image.")
    masks: bool = Field(False, title="Masks", description="Labels of polygons can be drawn with a brush, too.")
    images_per_batch: int = Field(100, ge=1, le=100, title="Images per batch")
    request_megabytes: int = Field(200, ge=1, le=250, title="Megabytes of images per request")
    timeout_seconds: float = Field(60.0, gt=0, le=3600, title="Seconds to wait for the next bytes of an answer")
    connect_seconds: float = Field(5.0, gt=0, le=600, title="Seconds to wait for a connection")
    patience_seconds: float = Field(60.0, ge=0, le=600, title="Longest Retry-After that is waited out at once")
    snapshot_seconds: float = Field(600.0, gt=0, le=86_400, title="Seconds that a snapshot may take")
    page_size: int = Field(1000, ge=1, le=10_000, title="Images per list page")
    labels_page: int = Field(200, ge=1, le=1000, title="Images whose labels are read at once")
    watch_days: float = Field(30.0, ge=0, title="Days after the export during which sweeps check for reopened images")
