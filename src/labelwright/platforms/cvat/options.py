"""Options of the CVAT adapter."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from .models import DoneMeans


class Options(BaseModel):
    """Options of a CVAT connection or campaign."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    organization: str = Field("", title="Organization", description="Its short name. Empty: your own workspace.")
    project: str = Field("", title="Project", description="Share this project instead of making one for the campaign.")
    images_per_task: int = Field(500, ge=1, le=100_000, title="Images per task")
    segment_size: int = Field(50, ge=0, title="Images per job", description="0: one job holds all images of a task.")
    overlap: int = Field(0, ge=0, title="Overlap", description="Images that two neighbouring jobs share.")
    subset: str = Field("", title="Subset", description="As in Train, Test, Validation.")
    labelers: tuple[str, ...] = Field(
        (), title="Labelers", description="User names; jobs are assigned evenly. Empty: the campaign's labeler."
    )
    reviewers: tuple[str, ...] = Field((), title="Reviewers", description="User names.")
    invite: bool = Field(False, title="Invite", description="Invite a labeler who is not in the organization.")
    assign: bool = Field(True, title="Assign", description="Off: labelers pick their jobs themselves.")
    done_means: DoneMeans = Field(
        DoneMeans.LABELED,
        title="Done means",
        description="labeled: completed by the labeler; accepted: by a reviewer.",
    )
    image_quality: int = Field(70, ge=1, le=100, title="Quality", description="Of the copies that labelers see.")
    sorting: Literal["lexicographical", "natural", "predefined", "random"] = Field("lexicographical", title="Sorting")
    use_cache: bool = Field(True, title="Use cache", description="Create the copies when a labeler opens them.")
    request_megabytes: int = Field(32, ge=1, le=1024, title="Megabytes per request", description="Larger files use TUS")
    timeout_seconds: float = Field(60.0, gt=0, le=3600, title="Seconds to wait for the next bytes of an answer")
    connect_seconds: float = Field(5.0, gt=0, le=600, title="Seconds to wait for a connection")
    patience_seconds: float = Field(60.0, ge=0, le=600, title="Longest Retry-After that is waited out at once")
    page_size: int = Field(100, ge=1, le=1000, title="Items per list page")
    labels_page: int = Field(500, ge=1, le=10_000, title="Images whose labels are read at once")
