"""Expands CVAT's tracks (one object over several frames, given at key frames) into one shape per frame.

Rectangles are interpolated between key frames, the angle on the shorter way. Other shapes are interpolated when both
key frames have the same number of points, and otherwise stay as at the earlier one. From an `outside` key frame on the
object is not visible, until a key frame that is not `outside`.

A track ends with its job. Servers before 2.48 ignore that when they merge the jobs of a task (issues 8932 and 9860 of
cvat-ai/cvat): an object on the last image of one job would be on every image of the following jobs.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class _Key:
    frame: int
    outside: bool
    shape: Mapping[str, Any]


def shapes_of(track: Mapping[str, Any], last: int) -> Iterator[dict[str, Any]]:
    """Yields the track's shapes, one for each frame up to `last` where it is visible, in CVAT's format of shapes.

    An unreadable key frame is yielded unchanged, so that the caller reports it as malformed.
    """
    keys = _keys(track)
    for key, following in zip(keys, [*keys[1:], None], strict=True):
        if key.outside:
            continue
        end = min(last + 1, following.frame) if following else last + 1
        end = max(end, key.frame + 1) if key.frame >= 0 else key.frame + 1
        for frame in range(key.frame, end):
            yield _interpolated_shape(track, key, following, frame)


def end_of(track: Mapping[str, Any], jobs: Sequence[range], last: int) -> int:
    """Returns a track's last visible frame: the end of the job with its last visible key frame, or `last`.

    Where two jobs share that frame it is the end of the later job: the server merged their tracks.
    """
    shown = [key.frame for key in _keys(track) if not key.outside]
    ends = [job.stop - 1 for job in jobs if shown and shown[-1] in job]
    return min(max(ends, default=last), last)


def _keys(track: Mapping[str, Any]) -> list[_Key]:
    """The key frames in order, those without a frame first. Of two on one frame the later counts: it ends a track."""
    keys = [_key(shape) for shape in track.get("shapes") or () if isinstance(shape, Mapping)]
    placed = {key.frame: key for key in keys if key.frame >= 0}
    return [*(key for key in keys if key.frame < 0), *(placed[frame] for frame in sorted(placed))]


def _key(shape: Mapping[str, Any]) -> _Key:
    frame = shape.get("frame")
    return _Key(frame if isinstance(frame, int) else -1, bool(shape.get("outside")), shape)


def _interpolated_shape(track: Mapping[str, Any], key: _Key, following: _Key | None, frame: int) -> dict[str, Any]:
    shape = dict(key.shape)
    if following is not None and frame > key.frame:  # also towards the frame where it leaves, as CVAT's page shows it
        part = (frame - key.frame) / (following.frame - key.frame)
        shape |= _between(key.shape, following.shape, part)
    attributes = {attribute.get("spec_id"): attribute for attribute in [*_attributes(track), *_attributes(key.shape)]}
    return {
        **shape,
        "id": track.get("id"),
        "frame": frame,
        "label_id": track.get("label_id"),
        "source": track.get("source"),
        "group": track.get("group"),
        "attributes": list(attributes.values()),
    }


def _between(a: Mapping[str, Any], b: Mapping[str, Any], part: float) -> dict[str, Any]:
    points_a, points_b = a.get("points"), b.get("points")
    if a.get("type") == "mask" or not (
        isinstance(points_a, list) and isinstance(points_b, list) and len(points_a) == len(points_b)
    ):
        return {}
    if not all(isinstance(value, int | float) for value in [*points_a, *points_b]):
        return {}
    angle_a, angle_b = float(a.get("rotation") or 0), float(b.get("rotation") or 0)
    turn = (angle_b - angle_a + 180) % 360 - 180
    return {
        "points": [x + (y - x) * part for x, y in zip(points_a, points_b, strict=True)],
        "rotation": (angle_a + turn * part) % 360,
    }


def _attributes(shape: Mapping[str, Any]) -> list[dict[str, Any]]:
    attributes = shape.get("attributes") or []
    return (
        [attribute for attribute in attributes if isinstance(attribute, dict)] if isinstance(attributes, list) else []
    )
