"""The split of a campaign file: `export.split`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field, model_validator

from .spec_group import Group, at

if TYPE_CHECKING:
    from labelwright.datasets.splits import Split


class SplitInto(Group):
    """Percentages of images, or groups of images. Each is assigned by its hash, so that it stays in its part later."""

    train: float = Field(80, ge=0, le=100, title="Training", json_schema_extra=at(0))
    validation: float = Field(10, ge=0, le=100, title="Validation", json_schema_extra=at(1))
    test: float = Field(10, ge=0, le=100, title="Test", json_schema_extra=at(2))
    by: Literal["image", "folder", "name-pattern", "group"] = Field(
        "image",
        title="Keep together",
        description="What is assigned as a whole: each image, the images of a folder, those with the same match of the "
        "pattern in their names, or those with the same group in the manifest.",
        json_schema_extra=at(3),
    )
    pattern: str = Field(
        "",
        title="Pattern",
        description="For name-pattern: a regular expression; what its brackets match is the group.",
        json_schema_extra=at(4),
    )

    @model_validator(mode="after")
    def _whole(self) -> SplitInto:
        if abs(self.train + self.validation + self.test - 100) > 1e-6:
            raise ValueError("the percentages of a split must add up to 100")
        self.as_split()
        return self

    def as_split(self) -> Split:
        from labelwright.datasets.split_groups import Grouping, SplitBy
        from labelwright.datasets.splits import Split

        return Split(self.train, self.validation, self.test, Grouping(SplitBy(self.by), self.pattern))

    def by_video(self) -> SplitInto:
        """The split of a campaign of videos: neighbouring frames look alike, so each video stays whole."""
        return self.model_copy(update={"by": "group"}) if self.by == "image" else self
