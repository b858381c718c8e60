"""Small videos, made with PyAV: frame n shows n as seven black or white blocks, and a red corner on top at the left."""

from __future__ import annotations

import io
import struct
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from PIL import Image

WIDTH, HEIGHT = 64, 48
_BITS, _BLOCK, _ROWS = 7, 8, slice(24, 40)


def make_clip(
    path: Path,
    frames: int = 50,
    *,
    first: int = 0,
    rate: int = 10,
    codec: str = "libx264",
    milliseconds: Sequence[int] = (),
    key_every: int = 10,
    options: dict[str, str] | None = None,
) -> Path:
    """A clip of 10 frames a second, or one whose frames have these times. `first`: what the first frame shows."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w", options=options or {}) as container:
        stream = container.add_stream(codec, rate=rate)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        base = Fraction(1, 1000) if milliseconds else Fraction(1, rate)
        stream.codec_context.time_base = base
        stream.codec_context.gop_size = key_every
        for number in range(len(milliseconds) or frames):
            pixels = np.full((HEIGHT, WIDTH, 3), 128, dtype=np.uint8)
            for bit in range(_BITS):
                pixels[_ROWS, _block(bit)] = 255 if first + number >> bit & 1 else 0
            pixels[:16, :16] = (255, 0, 0)
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            frame.pts, frame.time_base = (milliseconds[number] if milliseconds else number), base
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def make_sound(path: Path) -> Path:
    """A file with a track of sound alone."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=44100)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), dtype=np.float32), format="fltp", layout="mono")
        frame.rate, frame.pts = 44100, 0
        container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def cut(path: Path, share: float) -> Path:
    """Keeps the beginning of the file."""
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    return path


def with_matrix(path: Path, a: int, b: int, c: int, d: int) -> Path:
    """Writes a display matrix into an MP4: the pixel at x, y is shown at a x + c y, b x + d y (ISO 14496-12)."""
    content = bytearray(path.read_bytes())
    place = content.index(b"tkhd") + 4 + 4 + 20 + 16
    assert struct.unpack_from(">9i", content, place) == (1 << 16, 0, 0, 0, 1 << 16, 0, 0, 0, 1 << 30)
    struct.pack_into(">9i", content, place, a << 16, b << 16, 0, c << 16, d << 16, 0, 0, 0, 1 << 30)
    path.write_bytes(content)
    return path


def number_in(png: bytes) -> int:
    """The number that a picture shows."""
    pixels = np.asarray(Image.open(io.BytesIO(png)).convert("L"))
    return sum((pixels[_ROWS, _block(bit)].mean() > 128) << bit for bit in range(_BITS))


def _block(bit: int) -> slice:
    return slice(_BLOCK * (bit + 1), _BLOCK * (bit + 2))


def red_corner(png: bytes) -> tuple[str, str]:
    """Where the red corner is: top or bottom, left or right."""
    pixels = np.asarray(Image.open(io.BytesIO(png)).convert("RGB")).astype(int)
    rows, columns = np.nonzero(pixels[..., 0] - pixels[..., 1] > 80)
    height, width = pixels.shape[:2]
    return ("top" if rows.mean() < height / 2 else "bottom", "left" if columns.mean() < width / 2 else "right")
