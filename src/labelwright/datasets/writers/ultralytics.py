"""What Ultralytics reads."""

from __future__ import annotations

FORMATS_FOR_ULTRALYTICS = frozenset({"yolo", "yolo_segment"})
"""Export formats, as campaign files name them, that Ultralytics reads."""

READ_BY_ULTRALYTICS = frozenset({"JPEG", "MPO", "PNG", "BMP", "TIFF", "WEBP"})
"""Kinds of images that Ultralytics opens, by Pillow's names."""
