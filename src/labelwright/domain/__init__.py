"""Campaign states, images, label schema, annotations and shapes. Standard library only, and shapely in `planar`."""

from .boxes import Boxes
from .campaign import BLOCKED, LABELED, MOVES, OPEN, WORK, IllegalMove, State, Work, move
from .geometry import Box, InvalidShape, MultiPolygon, Polygon, Size, WholeImage
from .image_states import ExcludedImage, ImageState, ShapeNotice
from .images import Image, Reject, UnsafeName, VideoFrame, safe_name
from .labels import (
    GROUP,
    OCCLUDED,
    Annotation,
    Attribute,
    Geometry,
    InvalidSchema,
    Label,
    LabeledImage,
    LabelSchema,
    Opinion,
    Shape,
)
from .left_out import LEFT_OUT, LeftOutCounts
from .masks import Mask
from .pace import Pace, Progress, is_overdue, is_stalled, last_advance, pace_of, quiet_limit
from .provenance import UNKNOWN, Origin, Provenance

__all__ = [
    "BLOCKED",
    "GROUP",
    "LABELED",
    "LEFT_OUT",
    "MOVES",
    "OCCLUDED",
    "OPEN",
    "UNKNOWN",
    "WORK",
    "Annotation",
    "Attribute",
    "Box",
    "Boxes",
    "ExcludedImage",
    "Geometry",
    "IllegalMove",
    "Image",
    "ImageState",
    "InvalidSchema",
    "InvalidShape",
    "Label",
    "LabelSchema",
    "LabeledImage",
    "LeftOutCounts",
    "Mask",
    "MultiPolygon",
    "Opinion",
    "Origin",
    "Pace",
    "Polygon",
    "Progress",
    "Provenance",
    "Reject",
    "Shape",
    "ShapeNotice",
    "Size",
    "State",
    "UnsafeName",
    "VideoFrame",
    "WholeImage",
    "Work",
    "is_overdue",
    "is_stalled",
    "last_advance",
    "move",
    "pace_of",
    "quiet_limit",
    "safe_name",
]
