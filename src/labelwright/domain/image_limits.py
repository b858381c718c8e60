"""The largest image that is taken, wherever no smaller limit is set: the same number in every part of Labelwright."""

MOST_BYTES = 128 * 1024**2
"""Of one file: 128 MiB."""

MOST_PIXELS = 200_000_000
"""Of one image: 200 megapixels."""
