"""Clamps shapes of a platform to their image."""

from __future__ import annotations

from .geometry import Size, WholeImage
from .labels import Shape

ROUNDING = 1.0
"""Pixels that a shape may reach beyond its image without being listed: people drag to the edge and beyond."""

CUT = "cut to its image"
"""The reason for which such a shape is listed as changed."""


def fitted(shape: Shape, size: Size) -> tuple[Shape, bool]:
    """The part of a shape that lies in its image, and whether more than a pixel was cut off.

    Raises InvalidShape when nothing of it lies in the image.
    """
    if isinstance(shape, WholeImage) or shape.inside(size):
        return shape, False
    box = shape.box
    nearly_inside = (
        box.xmin >= -ROUNDING
        and box.ymin >= -ROUNDING
        and box.xmax <= size.width + ROUNDING
        and box.ymax <= size.height + ROUNDING
    )
    return shape.clamp(size), not nearly_inside
