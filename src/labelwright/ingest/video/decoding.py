"""Decodes the chosen frames of a video with PyAV, which brings FFmpeg's libraries."""

from __future__ import annotations

import math
from bisect import bisect_left, insort
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from labelwright.ingest.sources.local import SourceError

if TYPE_CHECKING:
    import av
    from av.container import InputContainer
    from av.packet import Packet
    from av.video.stream import VideoStream
    from numpy.typing import NDArray

    Pixels: TypeAlias = NDArray[np.uint8]

_FORMATS = (
    "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpegts,mpeg,mpegvideo,asf,flv,ogg,mxf,h264,hevc,m4v,ivf,obu,dv,mjpeg,nut"
)
"""FFmpeg's names of the formats that are opened. Others name further files and addresses (playlists), or make pictures
of texts."""

_LEAST_MISSING = Fraction(1)
"""Seconds by which a video is shorter than its head says before it counts as cut off."""


class NotReadable(Exception):
    """A file is no video of which frames can be taken. The message is the reason."""


class DamageFound(Exception):
    """Several threads met damage, which only one thread places exactly: read the video again with one."""


@dataclass(frozen=True, slots=True)
class FrameChoice:
    """Which frames are taken: each `every`-th, or those next after each of `per_second` moments a second."""

    every: int | None = None
    per_second: float | None = None

    def __str__(self) -> str:
        return f"every-{self.every}" if self.per_second is None else f"per-second-{self.per_second:g}"


@dataclass(frozen=True, slots=True)
class ChosenFrame:
    """A frame as it is displayed: height x width x 3, red, green, blue."""

    number: int
    seconds: float
    pixels: Pixels


def require_pyav() -> None:
    """Raises SourceError without the extra `video`."""
    try:
        import av  # noqa: F401
    except ImportError:
        raise SourceError(
            "Videos need one more package: pip install 'labelwright[video]', on every machine that reads them."
        ) from None


class Video:
    """One pass over a video. `damage` is complete when `frames` has ended."""

    def __init__(self, path: str, choice: FrameChoice, max_pixels: int, *, threads: bool = True) -> None:
        """threads: decode with several. For damaged videos `frames` then raises DamageFound."""
        self._path, self._choice, self._max_pixels, self._threads = path, choice, max_pixels, threads
        self._lost: list[int] = []
        """Presentation times of packets that gave no frame, in order."""
        self._suspect: set[int] = set()
        """Presentation times of frames that were decoded from damaged ones."""
        self._packets = self._shown = self._left_out = 0
        self._end = Fraction(0)
        """Of the last packet of any track."""
        self.damage = ""
        """What is wrong with the video, although frames could be read; empty when nothing is."""

    def frames(self) -> Iterator[ChosenFrame]:
        """The chosen frames in the order in which they are shown.

        Frames that could not be decoded without loss are left out, and so are those that depend on them. Raises
        NotReadable, OSError, SourceError, DamageFound.
        """
        require_pyav()
        import av.error

        try:
            with self._open() as container:
                stream = self._stream_of(container)
                stream.thread_type = "AUTO" if self._threads else "NONE"
                yield from self._chosen(stream, self._decoded(container, stream))
                self._describe_damage(container, stream)
        except av.error.FFmpegError as error:
            if isinstance(error, OSError):
                raise  # the file system's
            raise NotReadable(f"cannot be read as a video ({error.strerror})") from None

    def _open(self) -> InputContainer:
        import av
        import av.error

        try:
            return av.open(self._path, options={"format_whitelist": _FORMATS, "protocol_whitelist": "file"})
        except av.error.InvalidDataError:
            raise NotReadable("is damaged or no video: no part of it can be read") from None
        except av.error.ArgumentError:
            raise NotReadable("is not a video of a known format") from None

    def _stream_of(self, container: InputContainer) -> VideoStream:
        streams = [stream for stream in container.streams.video if not _is_picture(stream)]
        if not streams:
            raise NotReadable("has no video track")
        stream = streams[0]
        codec = stream.codec_context
        if codec is None:
            raise NotReadable("has a video track of a codec that PyAV cannot decode: convert it, such as to H.264")
        if codec.width * codec.height > self._max_pixels:
            raise NotReadable(
                f"has frames of {codec.width} x {codec.height} pixels, and {self._max_pixels:,} pixels are allowed"
            )
        return stream

    def _decoded(self, container: InputContainer, stream: VideoStream) -> Iterator[av.VideoFrame]:
        import av.error

        damaged = False
        for packet in _packets(container, stream):
            if packet.pts is not None and packet.time_base is not None:
                self._end = max(self._end, (packet.pts + (packet.duration or 0)) * packet.time_base)
            if packet.stream.index != stream.index:
                continue
            self._packets += packet.size > 0
            damaged = damaged and not packet.is_keyframe
            if damaged and packet.pts is not None:
                self._suspect.add(packet.pts)
            try:
                if packet.is_corrupt:
                    raise av.error.InvalidDataError(0, "cut off")
                for frame in stream.decode(packet):
                    damaged = damaged or frame.is_corrupt
                    yield frame
            except av.error.FFmpegError:
                if self._threads:
                    raise DamageFound from None
                damaged = True
                if packet.pts is not None:
                    insort(self._lost, packet.pts)

    def _chosen(self, stream: VideoStream, frames: Iterator[av.VideoFrame]) -> Iterator[ChosenFrame]:
        base, rate = Fraction(stream.time_base or 0), stream.average_rate or stream.guessed_rate
        first: Fraction | None = None
        due = 0
        """By moments: the number of the next one."""
        for frame in frames:
            number = self._shown + (bisect_left(self._lost, frame.pts) if frame.pts is not None else len(self._lost))
            self._shown += 1
            if frame.pts is None and not rate:
                raise NotReadable("has neither times of its frames nor a frame rate")
            moment = frame.pts * base if frame.pts is not None else number / Fraction(rate or 1)
            if first is None:
                first = _start_of(stream, moment)
            seconds = max(moment - first, Fraction(0))
            if frame.is_corrupt or frame.pts in self._suspect:
                self._suspect.discard(frame.pts or 0)
                self._left_out += 1
                continue
            if self._choice.every is not None:
                if number % self._choice.every:
                    continue
            else:
                # Times are rounded to the time base: half a step counts as reached.
                reached = math.floor((seconds + base / 2) * Fraction(str(self._choice.per_second)))
                if reached < due:
                    continue
                due = reached + 1
            yield ChosenFrame(number, round(float(seconds), 6), _pixels(frame))

    def _describe_damage(self, container: InputContainer, stream: VideoStream) -> None:
        readable = self._shown - self._left_out
        if not readable:
            raise NotReadable("has no frame that can be read")
        lost = len(self._lost) + self._left_out
        if "mp4" in container.format.name and stream.frames:  # in other formats the number is an estimate
            lost += max(0, stream.frames - self._packets)
        start = Fraction(container.start_time or 0, 1_000_000)
        missing = Fraction(container.duration or 0, 1_000_000) - (self._end - start)
        if lost:
            self.damage = f"is damaged or cut off: {readable:,} frames could be read, {lost:,} are lost"
        elif missing > _LEAST_MISSING:
            self.damage = f"is cut off: {readable:,} frames could be read, and {float(missing):.1f} seconds are missing"
        if self.damage and self._threads:
            raise DamageFound


def _packets(container: InputContainer, stream: VideoStream) -> Iterator[Packet[Any]]:
    """The packets of all tracks. A file that cannot be read on ends there, as one that is cut off does."""
    import av.error
    from av.packet import Packet

    try:
        yield from container.demux()
    except av.error.InvalidDataError:
        last = Packet()
        last.stream = stream
        yield last  # asks for the frames that the decoder still holds


def _is_picture(stream: VideoStream) -> bool:
    """Whether a track is the picture of a cover."""
    import av.stream

    return bool(stream.disposition & av.stream.Disposition.attached_pic)


def _start_of(stream: VideoStream, first_frame: Fraction) -> Fraction:
    start = stream.start_time
    return first_frame if start is None else start * Fraction(stream.time_base or 0)


def _pixels(frame: av.VideoFrame) -> Pixels:
    """Turned and mirrored as players show the frame. The same on every processor."""
    from av.video.reformatter import Interpolation

    exact = Interpolation.BICUBIC | Interpolation.ACCURATE_RND | Interpolation.BITEXACT
    stored: Pixels = np.asarray(frame.to_ndarray(format="rgb24", interpolation=int(exact)), dtype=np.uint8)
    matrix = _display_matrix(frame)
    if matrix is None:
        return stored
    # The place of a pixel on the screen: x' = a x + c y, y' = b x + d y.
    a, b, c, d = (int(matrix[place]) for place in (0, 1, 3, 4))
    if abs(a) + abs(d) < abs(b) + abs(c):
        a, b, c, d = c, d, a, b
        stored = stored.transpose(1, 0, 2)
    if a < 0:
        stored = stored[:, ::-1]
    if d < 0:
        stored = stored[::-1]
    return stored


def _display_matrix(frame: av.VideoFrame) -> NDArray[np.int32] | None:
    from av.sidedata.sidedata import Type

    entries: Any = frame.side_data  # PyAV's annotation is of another class
    matrices = [np.frombuffer(bytes(entry), np.int32, 9) for entry in entries if entry.type is Type.DISPLAYMATRIX]
    return matrices[0] if matrices else None
