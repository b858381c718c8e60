"""What a platform shows its labelers of a campaign's labels: each platform's entry declares it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelSupport:
    """Parts of a label schema that reach the labelers. What is False is lost on the platform."""

    polygons: bool
    whole_images: bool
    """Labels of the image as a whole."""
    attribute_choices: bool
    """Attributes with values to choose from."""
    attribute_texts: bool
    """Attributes that labelers answer in their own words."""
    attribute_defaults: bool
    required_attributes: bool
    """An object cannot be submitted without an answer."""
    hierarchy: bool
    """A label below another one."""
    parents_drawn: bool
    """Objects can have a label that has labels below it."""
    mixed_hierarchy: bool
    """A label below one of another geometry."""
    colors: bool
    translations: bool
    instructions: bool


FULL = LabelSupport(
    polygons=True,
    whole_images=True,
    attribute_choices=True,
    attribute_texts=True,
    attribute_defaults=True,
    required_attributes=True,
    hierarchy=True,
    parents_drawn=True,
    mixed_hierarchy=True,
    colors=True,
    translations=True,
    instructions=True,
)
"""Of a platform that shows everything that a campaign file can say of its labels."""
