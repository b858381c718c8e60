"""Tracks of CVAT: one object over several frames, said at key frames; between them it is interpolated.

Rectangles move evenly from one key frame to the next, their angle on the shorter way. Other shapes stay as they were at
the last key frame unless both have as many points, which then move evenly. An object that is `outside` is not to be
seen from that key frame until one that is not.

A track ends with its job. Servers before 2.48 forget that when they bring the jobs of a task together (issues 8932 and
9860 of cvat-ai/cvat): what was left on the last image of one job would be seen on every image of those behind it.
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
    """The track's shapes, one for each frame up to `last` where it is to be seen, in the form of plain shapes.

    Of a key frame that cannot be read the shape is passed on as it is, for whoever names what is malformed.
    """
    keys = _keys(track)
    for key, following in zip(keys, [*keys[1:], None], strict=True):
        if key.outside:
            continue
        end = min(last + 1, following.frame) if following else last + 1
        end = max(end, key.frame + 1) if key.frame >= 0 else key.frame + 1
        for frame in range(key.frame, end):
            yield _plain(track, key, following, frame)


def end_of(track: Mapping[str, Any], jobs: Sequence[range], last: int) -> int:
    """The last frame on which a track can be seen: that of the job that holds its last visible key frame, or `last`.

    Where two jobs share that frame it is the end of the later one: the server made one track of both.
    """
    shown = [key.frame for key in _keys(track) if not key.outside]
    ends = [job.stop - 1 for job in jobs if shown and shown[-1] in job]
    return min(max(ends, default=last), last)


def _keys(track: Mapping[str, Any]) -> list[_Key]:
    """In their order, those without a frame first. Of two on one frame the later holds: servers end tracks by it."""
    said = [_key(one) for one in track.get("shapes") or () if isinstance(one, Mapping)]
    placed = {key.frame: key for key in said if key.frame >= 0}
    return [*(key for key in said if key.frame < 0), *(placed[frame] for frame in sorted(placed))]


def _key(shape: Mapping[str, Any]) -> _Key:
    frame = shape.get("frame")
    return _Key(frame if isinstance(frame, int) else -1, bool(shape.get("outside")), shape)


def _plain(track: Mapping[str, Any], key: _Key, following: _Key | None, frame: int) -> dict[str, Any]:
    shape = dict(key.shape)
    if following is not None and frame > key.frame:  # also towards the frame where it leaves, as CVAT's page shows it
        part = (frame - key.frame) / (following.frame - key.frame)
        shape |= _between(key.shape, following.shape, part)
    said = {one.get("spec_id"): one for one in [*_attributes(track), *_attributes(key.shape)]}
    return {
        **shape,
        "id": track.get("id"),
        "frame": frame,
        "label_id": track.get("label_id"),
        "source": track.get("source"),
        "group": track.get("group"),
        "attributes": list(said.values()),
    }


def _between(a: Mapping[str, Any], b: Mapping[str, Any], part: float) -> dict[str, Any]:
    one, two = a.get("points"), b.get("points")
    if a.get("type") == "mask" or not (isinstance(one, list) and isinstance(two, list) and len(one) == len(two)):
        return {}
    if not all(isinstance(value, int | float) for value in [*one, *two]):
        return {}
    angle, other = float(a.get("rotation") or 0), float(b.get("rotation") or 0)
    turn = (other - angle + 180) % 360 - 180
    return {
        "points": [x + (y - x) * part for x, y in zip(one, two, strict=True)],
        "rotation": (angle + turn * part) % 360,
    }


def _attributes(shape: Mapping[str, Any]) -> list[dict[str, Any]]:
    found = shape.get("attributes") or []
    return [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []
