"""Options of the Scale adapter, and what its keys allow."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from labelwright.platforms.image_limits import ImageLimits

from .sending import Attachments

KeyMode = Literal["test", "live", "unknown"]

_KEY_DESCRIPTIONS: dict[KeyMode, str] = {
    "test": "a test key (nothing is billed, tasks complete at once with made-up labels)",
    "live": "a live key",
    "unknown": "a key that is neither test_ nor live_, treated as a live one",
}


class Options(BaseModel):
    """Options of a Scale connection or campaign."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    project: str | None = Field(None, min_length=1, title="Scale's project; by default one for each type of task")
    kind: Literal["enterprise", "rapid", "studio"] = Field("enterprise", title="Kind of a new project")
    callback_url: str = Field("", pattern=r"^(https?://.+)?$", title="URL for callbacks about ended tasks")
    attachments: Attachments = Field("auto", title="auto: by URL if the image has one, else uploaded to Scale")
    rotated_boxes: bool = Field(False, title="Allow rotated boxes; they are returned as polygons")
    smallest: int | None = Field(None, ge=1, title="Width and height in pixels below which nothing need be labeled")
    most_corners: int | None = Field(None, ge=3, title="Most corners of a polygon")
    several_categories: bool = Field(False, title="Allow several whole-image labels per image")
    max_tasks: int | None = Field(None, ge=0, title="Most billed tasks of this campaign")
    only_test: bool = Field(False, title="Refuse keys that cost money")
    requests_per_second: float = Field(50.0, ge=0, title="Most requests a second of one process; 0: no limit")
    threads: int = Field(16, ge=1, le=128, title="Parallel requests")
    watch_days: float = Field(30.0, ge=0, title="Days after the export during which recalled tasks are looked for")
    page_size: int = Field(2000, ge=1, le=10_000, title="Images a page when labels are read")
    parallel_from: int = Field(2000, ge=1, title="Listings longer than this are read in parallel")
    timeout_seconds: float = Field(60.0, gt=0, le=600, title="Seconds to wait for the next bytes of an answer")
    connect_seconds: float = Field(5.0, gt=0, le=600, title="Seconds to wait for a connection")
    patience_seconds: float = Field(60.0, ge=0, le=600, title="Longest Retry-After that is waited out at once")
    storm_seconds: float = Field(60.0, ge=0, le=600, title="Longest wait for 429s without Retry-After")
    back_off_seconds: float = Field(1.0, ge=0, le=60, title="First pause of all threads after such a 429; it doubles")


def image_limits(limits: ImageLimits, options: Mapping[str, Any]) -> ImageLimits:
    """The limits of a campaign with these options, by the way in which its images reach Scale."""
    attachments = options.get("attachments")
    return replace(limits, uploads=attachments != "url", fetches_urls=attachments != "upload")


def mode_of(key: str) -> KeyMode:
    """Returns whether a key is for Scale's test or live mode. Neither mode sees the other's projects and tasks."""
    if key.startswith("test_") or key.endswith("|test"):
        return "test"
    return "live" if key.startswith("live_") or key.endswith("|live") else "unknown"


def describe_key(mode: KeyMode) -> str:
    return _KEY_DESCRIPTIONS[mode]
