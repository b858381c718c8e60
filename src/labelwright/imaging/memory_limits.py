"""The memory in which the embedded service decodes an image. Imports nothing, as the list of platforms reads it."""

MOST_DECODING_BYTES = 384 * 1024**2
"""Of one image: 384 MiB."""

_LEAST = 64 * 1024**2
_MOST_PER_PIXEL = {"PNG": 4, "BMP": 4, "GIF": 4, "WEBP": 16, "JPEG": 21, "TIFF": 32}


def too_much_memory(needed: int, allowed: int) -> str:
    """Why an image is left out that takes too much memory to decode, and what to do."""
    return (
        f"decoding it takes {-(-needed // 2**20)} MiB of memory, and {allowed >> 20} MiB are allowed: save it as a PNG,"
        " as a JPEG that is not progressive, or as a TIFF in strips"
    )


def most_decoding_bytes(kind: str, pixels: int) -> int:
    """Bytes that no image of that format and number of pixels exceeds: a bound for files that are not opened."""
    return _LEAST + pixels * _MOST_PER_PIXEL.get(kind, 32)
