"""What a campaign, an image and a label are. Standard library only."""

from .campaign import LABELED, MOVES, OPEN, IllegalMove, State, move
from .geometry import Box, InvalidShape, Polygon, Shape, Size, WholeImage
from .images import Image, Reject, UnsafeName, safe_name
from .labels import Annotation, Attribute, Geometry, InvalidSchema, Label, LabeledImage, LabelSchema

__all__ = [
    "LABELED",
    "MOVES",
    "OPEN",
    "Annotation",
    "Attribute",
    "Box",
    "Geometry",
    "IllegalMove",
    "Image",
    "InvalidSchema",
    "InvalidShape",
    "Label",
    "LabelSchema",
    "LabeledImage",
    "Polygon",
    "Reject",
    "Shape",
    "Size",
    "State",
    "UnsafeName",
    "WholeImage",
    "move",
    "safe_name",
]
