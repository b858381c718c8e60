"""Fake server of Sonoma Creek 1.1 and Geti 2.x on a loopback socket, as strict as the contract and the recordings.

It has the servers' peculiarities: uploads return 200; names lose their suffixes and may collide; SC returns a next page
even after the last one; states are `NONE` in lists and `annotated` after annotating; display_url ends with a blank; an
ended session returns 401, or 200 with a page of HTML; a project whose jobs run is locked.
"""

from __future__ import annotations

import json
import re
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from itertools import count
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

from PIL import Image

SC = "1.1.0-latest-20220405093904"
USER, PASSWORD, TOKEN = "user@example.com", "the password & more", "token-of-the-stand-in"
ORGANIZATION, WORKSPACE = "0a1b2c3d-1111-2222-3333-444455556666", "624c004b234370fcf24bf38c"
FORM = b'<!DOCTYPE html><form method="post"><input name="login"><input name="password" type="password"></form>'
IMAGES = {"jpg", "jpeg", "bmp", "png", "tif", "tiff", "jfif", "webp"}
VIDEOS = {"mp4", "avi", "mkv", "mov", "webm", "m4v"}
LABEL_KEYS = {"name", "color", "hotkey", "group", "parent_id"}
ANNOTATION_LABEL_KEYS = {"id", "probability", "name", "color", "source"}  # the vendor's client sends all it received
SHAPES = {
    "RECTANGLE": {"x", "y", "width", "height"},
    "POLYGON": {"points"},
    "ELLIPSE": {"x", "y", "width", "height"},
    "ROTATED_RECTANGLE": {"x", "y", "width", "height", "angle"},
    "KEYPOINT": {"x", "y", "is_visible"},
}


def reencoded_as_recorded(data: bytes) -> bytes:
    """A JPEG as `display/full` of the recorded Sonoma Creek 1.1 returns it; other formats were not recorded."""
    with Image.open(BytesIO(data)) as image:
        if image.format != "JPEG":
            return data
        buffer = BytesIO()
        image.save(buffer, "JPEG", quality=100)
        return buffer.getvalue()


class Refused(Exception):
    """An error response."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status, self.code, self.message = status, code, message


@dataclass
class Medium:
    id: str
    name: str
    kind: str
    data: bytes | Path
    width: int
    height: int
    content_type: str
    scenes: dict[int | None, list[dict[str, Any]]] = field(default_factory=dict)
    frames: int = 0

    def read(self) -> bytes:
        return self.data if isinstance(self.data, bytes) else self.data.read_bytes()


@dataclass
class Project:
    id: str
    name: str
    tasks: list[dict[str, Any]]
    connections: list[dict[str, str]]
    datasets: dict[str, str]
    media: dict[str, dict[str, Medium]]
    auto: dict[str, bool]
    iterations: dict[str, int]
    values: dict[tuple[str, str], Any] = field(default_factory=dict)
    locked: bool = False
    status_requests: int = 0

    def label(self, identity: str) -> tuple[dict[str, Any], dict[str, Any]] | None:
        for task in self.tasks:
            for label in task.get("labels", ()):
                if label["id"] == identity:
                    return task, label
        return None

    @property
    def trained(self) -> list[dict[str, Any]]:
        return [task for task in self.tasks if task["task_type"] not in ("dataset", "crop")]


@dataclass
class Break:
    """A fault for the next requests that match."""

    method: str
    path: str
    effect: str
    """`401`, `html`, `503`, `302`, `cut` (not executed), `lost` (executed, but the connection is cut), `late` (cut, and
    executed with the next request to the same path), `end` (the session has ended)."""
    times: int = 1


class GetiServer:
    """`url` is its address. `version` decides the API version; `login=False` is an SC without login."""

    def __init__(
        self,
        version: str = "1.1.0-latest-20220405093904",
        *,
        login: bool = True,
        folder: Path | None = None,
        smallest: int = 32,
        certificate: Path | None = None,
    ) -> None:
        self.version = version
        self.modern = not version.startswith("1.")
        self.patches = self.modern and tuple(map(int, version.split(".")[:2])) >= (2, 12)
        self.login = login
        self.smallest = smallest
        """Pixels a side that an image must have."""
        self.folder = folder
        """Where media are kept; None: in memory."""
        self.lock = threading.RLock()
        self.numbers = count(0x6254854F234370FCF24C13B9)
        self.projects: dict[str, Project] = {}
        self.jobs: dict[str, dict[str, Any]] = {}
        self.sessions: set[str] = set()
        self.requests: list[tuple[str, str]] = []
        self.keeps_requests = True
        self.breaks: list[Break] = []
        self.reencodes: Callable[[bytes], bytes] | None = None if self.modern else reencoded_as_recorded
        """How an image is re-encoded when it is downloaded."""
        self.to_revisit: set[str] = set()
        """Ids of annotated images that the server wants somebody to look at again."""
        self.rounds = True
        """Whether coordinates are rounded as by servers of 2.x."""
        self.most_points = 10_000
        """Of a polygon."""
        self.most_frames = 500
        """Frames per response of 2.x."""
        self.late: list[tuple[str, Any, bytes]] = []
        """Requests that were cut and are executed later: path, headers, body."""
        self.refused_media = ""
        """A kind of media that this server does not support."""
        self.unready_status_requests = 0
        """Number of status requests of a new project that return 404."""
        self.delay = 0.0
        """Seconds that every response takes."""
        self.busy = 0
        """Requests in progress."""
        server = self

        class Handler(_Handler):
            geti = server

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.http.daemon_threads = True
        self.port = self.http.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}"
        if certificate is not None:  # a file with key and certificate: the vendor's client speaks TLS only
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            self.http.socket = context.wrap_socket(self.http.socket, server_side=True)
            self.url = f"https://127.0.0.1:{self.port}"

    def new_id(self) -> str:
        return f"{next(self.numbers):024x}"

    def break_next(self, method: str, path: str, effect: str, times: int = 1) -> None:
        with self.lock:
            self.breaks.append(Break(method, path, effect, times))

    def broken(self, method: str, path: str) -> str:
        with self.lock:
            for fault in self.breaks:
                if fault.times and re.fullmatch(fault.method, method) and re.search(fault.path, path):
                    fault.times -= 1
                    return fault.effect
        return ""

    @property
    def api(self) -> str:
        if self.modern:
            return f"/api/v1/organizations/{ORGANIZATION}/workspaces/{WORKSPACE}"
        return f"/api/v1.0/workspaces/{WORKSPACE}"

    # JSON of stored objects

    def project_json(self, project: Project) -> dict[str, Any]:
        return {
            "creation_time": "2022-04-11T19:45:19.590000+00:00",
            "datasets": [
                {
                    "id": dataset_id,
                    "name": name,
                    **(
                        {"use_for_training": True, "creation_time": "2022-04-11T19:45:19.590000+00:00"}
                        if self.modern
                        else {}
                    ),
                }
                for dataset_id, name in project.datasets.items()
            ],
            "id": project.id,
            "name": project.name,
            "pipeline": {"connections": project.connections, "tasks": project.tasks},
            "score": 0.0,
            **(
                {"performance": {"score": None, "task_performances": []}, "storage_info": {}, "creator_id": "x"}
                if self.modern
                else {}
            ),
            "thumbnail": f"{self.api}/projects/{project.id}/thumbnail",
        }

    def medium_json(self, project: Project, dataset: str, medium: Medium) -> dict[str, Any]:
        path = f"{self.api}/projects/{project.id}/datasets/{dataset}/media/{medium.kind}s/{medium.id}"
        ending = "stream" if medium.kind == "video" else "full"
        information: dict[str, Any] = {
            "display_url": f"{path}/display/{ending} ",
            "height": medium.height,
            "width": medium.width,
        }
        if medium.kind == "video":
            information |= {"duration": 1, "frame_count": medium.frames, "frame_stride": 1, "frame_rate": 1.0}
        if self.modern:
            information |= {
                "size": len(medium.read()) if isinstance(medium.data, bytes) else medium.data.stat().st_size
            }
        return {
            "annotation_state_per_task": [
                {"state": state if state != "none" else "NONE", "task_id": task}
                for task, state in self.states(project, medium).items()
            ],
            "id": medium.id,
            "media_information": information,
            "name": medium.name,
            "thumbnail": f"{path}/display/thumb",
            "type": medium.kind,
            "upload_time": "2022-04-11T19:45:57.291000+00:00",
        }

    def states(self, project: Project, medium: Medium) -> dict[str, str]:
        scene = medium.scenes.get(None) or [a for f, s in medium.scenes.items() if f is not None for a in s]
        label_ids = {label["id"] for annotation in scene for label in annotation["labels"]}
        states, empty_before = {}, False
        for task in project.trained:
            labels = {label["id"] for label in task["labels"]}
            is_annotated = bool(label_ids & labels) or empty_before
            annotated = "to_revisit" if medium.id in self.to_revisit else "annotated"
            states[task["id"]] = annotated if is_annotated else "none"
            empty_before = empty_before or any(
                label["is_empty"] and label["id"] in label_ids for label in task["labels"]
            )
        return states

    # Operations

    def create_project(self, body: dict[str, Any]) -> dict[str, Any]:
        _only(body, {"name", "pipeline"}, "the project")
        _only(body["pipeline"], {"connections", "tasks"}, "pipeline")
        ids = {task["title"]: self.new_id() for task in body["pipeline"]["tasks"]}
        if len(ids) != len(body["pipeline"]["tasks"]):
            raise Refused(400, "bad_request", "titles of tasks must differ")
        tasks, names_so_far = [], set()
        trained = [task for task in body["pipeline"]["tasks"] if task["task_type"] not in ("dataset", "crop")]
        if not 1 <= len(trained) <= 2:
            raise Refused(400, "bad_request", "at most 2 trainable tasks")
        for task in body["pipeline"]["tasks"]:
            new_task = {"id": ids[task["title"]], "task_type": task["task_type"], "title": task["title"]}
            if task["task_type"] in ("dataset", "crop"):
                if "labels" in task:
                    raise Refused(400, "bad_request", f"{task['task_type']} takes no labels")
            else:
                if self.modern and task["task_type"].startswith("anomaly_"):
                    raise Refused(400, "bad_request", "anomaly tasks were brought together")
                new_task["label_schema_id"] = self.new_id()
                new_task["labels"] = self._labels(task, names_so_far, alone=len(trained) == 1)
            tasks.append(new_task)
        try:
            connections = [
                {"from": ids[connection["from"]], "to": ids[connection["to"]]}
                for connection in body["pipeline"]["connections"]
            ]
        except KeyError as missing:
            raise Refused(400, "bad_request", f"no task {missing}") from None
        if len(connections) != len(tasks) - 1:
            raise Refused(400, "bad_request", "the tasks are not one chain")
        identity, dataset = self.new_id(), self.new_id()
        project = Project(
            identity,
            body["name"],
            tasks,
            connections,
            {dataset: "Dataset" if self.modern else body["name"]},
            {dataset: {}},
            {task["id"]: True for task in tasks if "labels" in task},
            {task["id"]: 300 for task in tasks if "labels" in task},
        )
        project.status_requests = -self.unready_status_requests
        with self.lock:
            self.projects[identity] = project
        return self.project_json(project)

    def _labels(self, task: dict[str, Any], names_so_far: set[str], *, alone: bool) -> list[dict[str, Any]]:
        labels: list[dict[str, Any]] = []
        names: dict[str, str] = {}
        for number, label in enumerate(task.get("labels", ())):
            if self.modern:
                _only(label, LABEL_KEYS, "label")
                if not label.get("group"):
                    raise Refused(400, "bad_request", f"label {label['name']} has no group")
            if label["name"] in names_so_far:
                raise Refused(409, "label_exists", f"label {label['name']} stands there twice")
            parent = label.get("parent_id")
            if parent is not None and parent not in names:
                raise Refused(400, "bad_request", f"parent {parent} does not stand before {label['name']}")
            color = label.get("color", f"#{(number * 7919 + 0x1234):06x}")
            if not re.fullmatch(r"#[0-9a-fA-F]{6}([0-9a-fA-F]{2})?", color):
                raise Refused(400, "bad_request", f"{color} is no colour")
            names[label["name"]] = self.new_id()
            names_so_far.add(label["name"])
            labels.append(
                _label(
                    names[label["name"]],
                    label["name"],
                    color if len(color) == 9 else f"{color}ff",
                    label.get("group", f"default - {task['title']}"),
                    label.get("hotkey", ""),
                    parent=names[parent] if parent else None,
                )
            )
        kind = task["task_type"]
        if kind.startswith("anomaly"):
            if len(labels) not in (0, 2):
                raise Refused(400, "bad_request", "anomaly projects have no labels or two")
            names_of = [label["name"] for label in labels] or ["Normal", "Anomalous"]
            labels = [
                _label(self.new_id(), name, "#00aa00ff", "anomaly", "", anomalous=number == 1)
                for number, name in enumerate(names_of)
            ]
        elif kind == "classification":
            groups = {label["group"] for label in labels}
            if alone and sum(label["parent_id"] is None for label in labels) < 2:
                raise Refused(400, "bad_request", "classification needs two labels at the top")
            if len(groups) > 1 or len(labels) < 2:
                labels.append(_label(self.new_id(), "No class", "#000000ff", "No class", "", empty=True))
        else:
            empty = "No object" if self.modern else ("No Object" if kind == "detection" else "Empty")
            empty = "Empty" if empty in names_so_far else empty  # no two labels of a project have one name
            names_so_far.add(empty)
            labels.append(_label(self.new_id(), empty, "#326b74ff", empty, "", empty=True))
        return labels

    def upload(self, project: Project, dataset: str, kind: str, file_name: str, data: bytes) -> dict[str, Any]:
        ending = file_name.rpartition(".")[2].lower() if "." in file_name else ""
        if ending not in (VIDEOS if kind == "video" else IMAGES):
            raise Refused(415, "invalid_media", f"{file_name} is of no supported format")
        width = height = 32
        content_type = "video/mp4"
        frames = 0
        if kind == "image":
            try:
                with Image.open(BytesIO(data)) as image:
                    width, height = image.size
                    content_type = Image.MIME[image.format or "JPEG"]
            except OSError:
                raise Refused(415, "invalid_media", f"{file_name} is no image") from None
            if not (self.smallest <= width <= 20000 and self.smallest <= height <= 20000):
                raise Refused(400, "invalid_media", f"{width} x {height} is too small or too large")
        else:
            frames = max(1, len(data) // 100)
        identity = self.new_id()
        content: bytes | Path = data
        if self.folder is not None:
            content = self.folder / identity
            content.write_bytes(data)
        medium = Medium(
            identity, file_name.rpartition(".")[0], kind, content, width, height, content_type, frames=frames
        )
        with self.lock:
            project.media[dataset][identity] = medium
        return self.medium_json(project, dataset, medium)

    def annotate(self, project: Project, medium: Medium, frame: int | None, body: dict[str, Any]) -> dict[str, Any]:
        _only(body, {"media_identifier", "annotations", "labels_to_revisit_full_scene"}, "the scene")
        expected = {"type": "image", "image_id": medium.id}
        if frame is not None:
            expected = {"type": "video_frame", "video_id": medium.id, "frame_index": frame}  # type: ignore[dict-item]
            if frame >= medium.frames:
                raise Refused(404, "not_found", f"there is no frame {frame}")
        if body["media_identifier"] != expected:
            raise Refused(400, "bad_request", "media_identifier is of something else")
        annotations = []
        for annotation in body["annotations"]:
            _only(annotation, {"labels", "shape", "labels_to_revisit"}, "annotation")
            self._check_shape(annotation["shape"], medium)
            if not annotation["labels"]:
                raise Refused(400, "bad_request", "an annotation without a label")
            labels = []
            for label in annotation["labels"]:
                _only(label, ANNOTATION_LABEL_KEYS, "label")
                known_label = project.label(label["id"])
                if known_label is None:
                    raise Refused(400, "bad_request", f"there is no label {label['id']}")
                self._check_place(project, known_label, annotation, medium)
                labels.append(
                    {
                        "id": label["id"],
                        "name": known_label[1]["name"],
                        "color": known_label[1]["color"],
                        "probability": label.get("probability", 1.0),
                        "source": {"user_id": "x"} if self.modern else {"id": "N/A", "type": "N/A"},
                    }
                )
            annotations.append(
                {
                    "id": self.new_id(),
                    "labels": labels,
                    "labels_to_revisit": [],
                    "modified": "2022-04-11T19:46:00.000000+00:00",
                    "shape": annotation["shape"],
                }
            )
        with self.lock:
            medium.scenes[frame] = annotations
        return self.scene_json(project, medium, frame)

    def _check_place(self, project: Project, known_label: Any, annotation: dict[str, Any], medium: Medium) -> None:
        """Checks the rules of 2.x for empty labels and labels of classification, by the position of their task."""
        (task, label), first = known_label, known_label[0]["id"] == project.trained[0]["id"]
        classifies = task["task_type"] in ("classification", "anomaly")
        if (label["is_empty"] or classifies) and first and not self._whole(annotation["shape"], medium):
            raise Refused(400, "bad_request", "it is of the whole image")
        if (label["is_empty"] or classifies) and not first and self.modern:
            first_labels = {first_label["id"] for first_label in project.trained[0]["labels"]}
            if not any(other["id"] in first_labels for other in annotation["labels"]):
                raise Refused(400, "bad_request", "a label for the preceding task is missing")

    def _check_shape(self, shape: dict[str, Any], medium: Medium) -> None:
        kind = shape.get("type")
        if kind not in SHAPES:
            raise Refused(400, "bad_request", f"{kind} is no shape")
        _only(shape, SHAPES[kind] | {"type"}, "shape")
        right, below = (medium.width, medium.height) if self.modern else (1, 1)
        points = [(p["x"], p["y"]) for p in shape["points"]] if kind == "POLYGON" else []
        if len(points) > self.most_points:
            raise Refused(400, "bad_request", f"too many points: {len(points)}")
        if kind == "POLYGON" and len(points) < 3:
            raise Refused(400, "bad_request", "a polygon has three points")
        if kind in ("RECTANGLE", "ELLIPSE"):
            if shape["width"] <= 0 or shape["height"] <= 0:
                raise Refused(400, "bad_request", "a rectangle without an area")
            points = [(shape["x"], shape["y"]), (shape["x"] + shape["width"], shape["y"] + shape["height"])]
        least = 0.0 if self.modern else 1e-6
        for x, y in points:
            if not (-least <= x <= right + least and -least <= y <= below + least):
                raise Refused(400, "bad_request", f"({x}, {y}) lies outside the image")

    def _whole(self, shape: dict[str, Any], medium: Medium) -> bool:
        right, below = (medium.width, medium.height) if self.modern else (1, 1)
        corners = (shape.get("x"), shape.get("y"), shape.get("width"), shape.get("height"))
        return shape["type"] == "RECTANGLE" and corners == (0, 0, right, below)

    def scene_json(self, project: Project, medium: Medium, frame: int | None) -> dict[str, Any]:
        identifier: dict[str, Any] = {"image_id": medium.id, "type": "image"}
        if frame is not None:
            identifier = {"video_id": medium.id, "type": "video_frame", "frame_index": frame}
        return {
            "annotation_state_per_task": [
                {"state": state, "task_id": task} for task, state in self.states(project, medium).items()
            ],
            "annotations": [self.rounded(annotation) for annotation in medium.scenes.get(frame, [])],
            "id": medium.id[::-1],
            "kind": "annotation",
            "labels_to_revisit_full_scene": [],
            "media_identifier": identifier,
            "modified": "2022-04-11T19:46:00.000000+00:00",
        }

    def rounded(self, annotation: dict[str, Any]) -> dict[str, Any]:
        """2.x stores fractions and returns whole pixels, and four digits of rotated rectangles."""
        if not (self.modern and self.rounds):
            return annotation
        shape = annotation["shape"]
        digits = 4 if shape["type"] == "ROTATED_RECTANGLE" else None
        rounded = {
            name: round(value, digits) if name in ("x", "y", "width", "height", "angle") else value
            for name, value in shape.items()
        }
        if "points" in shape:
            rounded["points"] = [{"x": round(point["x"]), "y": round(point["y"])} for point in shape["points"]]
        return {**annotation, "shape": rounded}

    def components(self, project: Project, task: dict[str, Any]) -> list[dict[str, Any]]:
        def parameter(
            component: str, name: str, kind: str, value: Any, low: float | None = None, high: float | None = None
        ) -> dict[str, Any]:
            value = project.values.get((task["id"], f"{component}/{name}"), value)
            bounds = {} if low is None else {"min_value": low, "max_value": high}
            return {
                "data_type": kind,
                "default_value": value,
                "editable": True,
                "header": name,
                "name": name,
                "template_type": "input",
                "auto_hpo_state": "not_possible",
                "value": value,
                "warning": None,
                **bounds,
            }

        base = {"workspace_id": WORKSPACE}
        return [
            {
                "description": "Learning Parameters",
                "entity_identifier": {
                    "group_name": "learning_parameters",
                    "model_storage_id": project.id,
                    "type": "HYPER_PARAMETER_GROUP",
                    **base,
                },
                "header": "Learning Parameters",
                "id": f"{task['id']}-0",
                "name": "learning_parameters",
                "parameters": [
                    parameter("learning_parameters", "batch_size", "integer", 8, 1, 512),
                    parameter("learning_parameters", "num_iters", "integer", project.iterations[task["id"]], 1, 100000),
                ],
                "type": "PARAMETER_GROUP",
            },
            {
                "description": "General settings for a task.",
                "entity_identifier": {
                    "component": "TASK_NODE",
                    "project_id": project.id,
                    "task_id": task["id"],
                    "type": "COMPONENT_PARAMETERS",
                    **base,
                },
                "header": "General",
                "id": f"{task['id']}-1",
                "parameters": [parameter("TASK_NODE", "auto_training", "boolean", project.auto[task["id"]])],
                "type": "CONFIGURABLE_PARAMETERS",
            },
        ]

    def configure(self, project: Project, task: str, components: list[dict[str, Any]]) -> None:
        for component in components:
            entity = component["entity_identifier"]
            component_name = entity.get("group_name") or entity.get("component")
            if entity.get("task_id", task) != task:
                raise Refused(400, "bad_request", "a component of another task")
            if not component["parameters"]:
                raise Refused(400, "bad_request", "no parameters")
            parameters = {
                parameter["name"]: parameter
                for existing_component in self.components(project, self._task(project, task))
                for parameter in existing_component["parameters"]
            }
            for parameter in component["parameters"]:
                existing = parameters.get(parameter["name"])
                if existing is None:
                    raise Refused(400, "bad_request", f"there is no parameter {parameter['name']}")
                if "min_value" in existing and not existing["min_value"] <= parameter["value"] <= existing["max_value"]:
                    raise Refused(400, "bad_request", f"{parameter['name']} is out of bounds")
                if parameter["name"] == "auto_training":
                    project.auto[task] = parameter["value"]
                elif parameter["name"] == "num_iters":
                    project.iterations[task] = parameter["value"]
                else:
                    project.values[task, f"{component_name}/{parameter['name']}"] = parameter["value"]

    def _task(self, project: Project, task: str) -> dict[str, Any]:
        for candidate in project.trained:
            if candidate["id"] == task:
                return candidate
        raise Refused(404, "task_not_found", f"there is no task {task}")


def _label(
    identity: str,
    name: str,
    color: str,
    group: str,
    hotkey: str,
    *,
    parent: str | None = None,
    empty: bool = False,
    anomalous: bool | None = None,
) -> dict[str, Any]:
    label: dict[str, Any] = {
        "color": color,
        "group": group,
        "hotkey": hotkey,
        "id": identity,
        "is_empty": empty,
        "name": name,
        "parent_id": parent,
    }
    return label if anomalous is None else {**label, "is_anomalous": anomalous}


def _only(body: dict[str, Any], keys: set[str], place: str) -> None:
    if set(body) - keys:
        raise Refused(400, "bad_request", f"{place} has unknown keys: {', '.join(sorted(set(body) - keys))}")


ROUTES: list[tuple[str, str, Callable[..., Any]]] = []


def route(method: str, path: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Registers a handler for a path below the workspace. `{x}` is a segment."""
    pattern = re.sub(r"\{(\w+)\}", r"(?P<\1>[^/:?]+)", path)

    def add(function: Callable[..., Any]) -> Callable[..., Any]:
        ROUTES.append((method, pattern, function))
        return function

    return add


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # head and body in one packet: otherwise each response waits for a delayed ACK
    disable_nagle_algorithm = True
    geti: GetiServer
    query: dict[str, list[str]]
    body: bytes

    def log_message(self, *_: object) -> None:
        return

    def handle_one_request(self) -> None:
        try:
            super().handle_one_request()
        except (ConnectionError, BrokenPipeError):
            self.close_connection = True

    def do_GET(self) -> None:
        self._respond("GET")

    def do_POST(self) -> None:
        self._respond("POST")

    def do_PUT(self) -> None:
        self._respond("PUT")

    def do_PATCH(self) -> None:
        self._respond("PATCH")

    def do_DELETE(self) -> None:
        self._respond("DELETE")

    def _respond(self, method: str) -> None:
        with self.geti.lock:
            self.geti.busy += 1
        try:
            self._respond_unlocked(method)
        finally:
            with self.geti.lock:
                self.geti.busy -= 1

    def _respond_unlocked(self, method: str) -> None:
        server = self.geti
        self.body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if server.keeps_requests:
            with server.lock:
                server.requests.append((method, self.path))
        time.sleep(server.delay)
        parts = urlsplit(self.path)
        self.query = parse_qs(parts.query)
        effect = server.broken(method, self.path)
        try:
            if effect in ("cut", "late"):
                if effect == "late":
                    server.late.append((self.path, self.headers, self.body))
                self._cut()
                return
            if effect and effect != "lost":
                self._break(effect)
                return
            if not self._public(method, parts.path):
                self._allowed(method)
                with server.lock:  # else one request reads what another one changes, and ends without a response
                    status, response = self._routed(method, parts.path)
                self._execute_late_uploads()
                if effect == "lost":
                    self._cut()
                    return
                self._send(status, response)
        except Refused as refused:
            self._send(
                refused.status, {"http_status": refused.status, "error_code": refused.code, "message": refused.message}
            )
        except (KeyError, ValueError, TypeError) as fault:
            self._send(
                400, {"http_status": 400, "error_code": "bad_request", "message": f"{type(fault).__name__}: {fault}"}
            )

    def _cut(self) -> None:
        self.close_connection = True
        self.connection.shutdown(2)

    def _execute_late_uploads(self) -> None:
        with self.geti.lock:
            same_path = [upload for upload in self.geti.late if upload[0] == self.path]
            self.geti.late = [upload for upload in self.geti.late if upload[0] != self.path]
        for path, self.headers, self.body in same_path:
            self._routed("POST", urlsplit(path).path)

    def _break(self, effect: str) -> None:
        if effect == "html":
            self._send(200, FORM, "text/html; charset=utf-8")
        elif effect == "302":
            self._redirect("/oauth2/start?rd=/", 302)
        elif effect == "end":  # the session is over from now on
            self.geti.sessions.clear()
            self._send(200, FORM, "text/html; charset=utf-8")
        else:
            self._send(
                int(effect), {"http_status": int(effect), "error_code": "broken", "message": "broken by the test"}
            )

    def _send(
        self,
        status: int,
        response: Any,
        kind: str = "application/json",
        cookies: tuple[str, ...] = (),
        location: str = "",
    ) -> None:
        if isinstance(response, tuple):
            kind, response = response
        body = response if isinstance(response, bytes) else b"" if response is None else json.dumps(response).encode()
        self.send_response(status)
        if status != 204:
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
        for cookie in cookies:
            self.send_header("Set-Cookie", f"{cookie}; Path=/; Expires=Tue, 12 Apr 2032 11:45:05 GMT; HttpOnly; Secure")
        if location:
            self.send_header("Location", location)
        self.end_headers()
        if status != 204:
            self.wfile.write(body)

    def _redirect(self, location: str, status: int, *cookies: str) -> None:
        self._send(status, b"", "text/html", cookies, location)

    # Logging in

    def _cookies(self) -> dict[str, str]:
        pairs = (pair.strip().partition("=") for pair in (self.headers.get("Cookie") or "").split(";"))
        return {name: value for name, _, value in pairs}

    def _public(self, method: str, path: str) -> bool:
        """Handles the steps of SC's login. Returns whether the path was one of them."""
        server, cookies = self.geti, self._cookies()
        if server.modern or not server.login:
            return False
        host = f"https://{self.headers['Host']}"  # as recorded: absolute, by TLS
        csrf = cookies.get("_oauth2_proxy_csrf") == "csrf-of-the-stand-in"
        if path == "/user/login":
            self._redirect(f"{host}/oauth2/start?rd={quote(host, safe='')}%2Fuser%2Flogin", 302)
        elif path == "/oauth2/start":
            self._redirect(f"{host}/dex/auth?client_id=x&state=s%3A1", 302, "_oauth2_proxy_csrf=csrf-of-the-stand-in")
        elif path == "/dex/auth" and csrf:
            self._redirect("/dex/auth/ldap?client_id=x&state=s%3A1", 302)
        elif path == "/dex/auth/ldap" and csrf:
            self._redirect("/dex/auth/ldap/login?back=&state=s%3A1", 302)
        elif path == "/dex/auth/ldap/login" and csrf and self.query.get("state") == ["s:1"]:
            form = {name: values[0] for name, values in parse_qs(self.body.decode()).items()}
            if method == "POST" and form == {"login": USER, "password": PASSWORD}:
                self._redirect("/dex/approval?req=1", 303)
            else:
                self._send(200, FORM, "text/html; charset=utf-8")
        elif path == "/dex/approval" and csrf:
            self._redirect(f"{host}/oauth2/callback?code=1&state=s%3A1", 303)
        elif path == "/oauth2/callback" and csrf:
            session = f"session-{server.new_id()}"
            server.sessions.add(session)
            self._redirect("/", 302, "_oauth2_proxy_csrf=", f"_oauth2_proxy={session}")
        elif path == "/":
            self._send(200, b"<!doctype html><html></html>", "text/html")
        else:
            return False
        return True

    def _allowed(self, method: str) -> None:
        server = self.geti
        if server.modern:
            if self.headers.get("x-api-key") != TOKEN:
                raise Refused(401, "unauthorized", "the token is not valid")
            if method != "GET" and self.headers.get("x-geti-csrf-protection") != "1":
                raise Refused(403, "forbidden", "the header x-geti-csrf-protection is missing")
        elif server.login and self._cookies().get("_oauth2_proxy") not in server.sessions:
            raise Refused(401, "unauthorized", "there is no session")

    # Routing

    def _routed(self, method: str, path: str) -> tuple[int, Any]:
        server = self.geti
        base = "/api/v1" if server.modern else "/api/v1.0"
        if path == f"{base}/product_info":
            info = {"product-version": server.version}
            return 200, {**info, "build-version": server.version} if server.modern else info
        if server.modern:
            if path == f"{base}/personal_access_tokens/organization":
                return 200, {"organizationId": ORGANIZATION}
            if path.endswith("/balance"):
                return 200, {"incoming": 0, "available": 0, "blocked": 0}
            if path == f"{base}/organizations/{ORGANIZATION}/workspaces":
                return 200, {"workspaces": [{"id": WORKSPACE, "name": "Default Workspace"}]}
        elif path == f"{base}/workspaces":
            return 200, [{"creator_name": "sc", "description": "", "id": WORKSPACE, "name": "Default Workspace"}]
        if not path.startswith(server.api + "/"):
            raise Refused(404, "not_found", f"there is no {path}")
        below = path[len(server.api) + 1 :]
        for route_method, pattern, function in ROUTES:
            if route_method == method and (match := re.fullmatch(pattern, below)):
                response = function(self, **match.groupdict())
                return response if isinstance(response, tuple) and isinstance(response[0], int) else (200, response)
        raise Refused(404, "not_found", f"there is no {method} {below}")

    def _json(self) -> Any:
        if "json" not in (self.headers.get("Content-Type") or ""):
            raise Refused(415, "bad_request", "the body is not JSON")
        return json.loads(self.body)

    def project(self, project: str) -> Project:
        stored = self.geti.projects.get(project)
        if stored is None:
            raise Refused(404, "project_not_found", f"there is no project {project}")
        return stored

    def medium(self, project: str, dataset: str, kind: str, medium: str) -> tuple[Project, Medium]:
        stored_project = self.project(project)
        stored_medium = stored_project.media.get(dataset, {}).get(medium)
        if stored_medium is None or f"{stored_medium.kind}s" != kind:
            raise Refused(404, "media_not_found", f"there is no {kind} {medium}")
        return stored_project, stored_medium

    # Projects

    @route("GET", "projects/?")
    def list_projects(self) -> Any:
        server = self.geti
        if not server.modern:
            if not urlsplit(self.path).path.endswith("/"):
                raise Refused(404, "not_found", "SC has this with a slash at the end")
            return {"items": [server.project_json(project) for project in server.projects.values()]}
        limit, skip = int(self.query.get("limit", ["10"])[0]), int(self.query.get("skip", ["0"])[0])
        if not 1 <= limit <= 100:
            raise Refused(400, "bad_request", "limit is from 1 to 100")
        everything = list(server.projects.values())
        page = [server.project_json(project) for project in everything[skip : skip + limit]]
        return {"projects": page, "project_counts": len(everything)}

    @route("POST", "projects")
    def create_project(self) -> Any:
        return 201, self.geti.create_project(self._json())

    @route("GET", "projects/{project}")
    def read_project(self, project: str) -> Any:
        if not self.geti.modern:
            raise Refused(404, "not_found", "not recorded in SC")
        return self.geti.project_json(self.project(project))

    @route("DELETE", "projects/{project}")
    def delete_project(self, project: str) -> Any:
        if self.project(project).locked:
            raise Refused(409, "project_locked", "the project is locked while its jobs run")
        del self.geti.projects[project]
        return {"result": "success"}

    @route("GET", "projects/{project}/status")
    def status(self, project: str) -> Any:
        stored = self.project(project)
        stored.status_requests += 1
        if stored.status_requests <= 0:
            raise Refused(404, "project_not_found", "the project is being made")
        status = {"message": "Loading coordinator", "progress": -1, "time_remaining": 0}
        return {
            "is_training": False,
            "n_required_annotations": 0,
            "n_running_jobs": 0,
            "n_running_jobs_project": 0,
            "project_score": 0.0,
            "project_performance": {"score": None, "task_performances": []},
            "status": status,
            "tasks": [
                {
                    "id": task["id"],
                    "is_training": False,
                    "title": task["title"],
                    "status": status,
                    "required_annotations": {"details": [], "value": 0},
                }
                for task in stored.trained
            ],
        }

    @route("GET", "projects/{project}/datasets")
    def datasets(self, project: str) -> Any:
        return {"datasets": self.geti.project_json(self.project(project))["datasets"]}

    @route("POST", "projects/{project}/datasets")
    def create_dataset(self, project: str) -> Any:
        stored, identity = self.project(project), self.geti.new_id()
        stored.datasets[identity] = self._json()["name"]
        stored.media[identity] = {}
        return {"id": identity, "name": stored.datasets[identity], "use_for_training": False}

    # Configuration

    @route("GET", "projects/{project}/configuration/task_chain/{task}")
    def chain(self, project: str, task: str) -> Any:
        stored = self.project(project)
        if stored.status_requests <= 0:
            raise Refused(404, "not_found", "the configuration exists once the status was 200")
        return {
            "components": self.geti.components(stored, self.geti._task(stored, task)),
            "task_id": task,
            "task_title": "",
        }

    @route("POST", "projects/{project}/configuration/task_chain/{task}")
    def set_chain(self, project: str, task: str) -> Any:
        if self.geti.patches:
            raise Refused(410, "gone", "use project_configuration")
        self.geti.configure(self.project(project), task, self._json()["components"])
        return {"result": "success"}

    @route("GET", "projects/{project}/configuration")
    def configuration(self, project: str) -> Any:
        stored = self.project(project)
        return {
            "global": [],
            "task_chain": [
                {"components": self.geti.components(stored, task), "task_id": task["id"], "task_title": task["title"]}
                for task in stored.trained
            ],
        }

    @route("POST", "projects/{project}/configuration")
    def set_configuration(self, project: str) -> Any:
        for task in self._json()["task_chain"]:
            self.geti.configure(self.project(project), task["task_id"], task["components"])
        return {"result": "success"}

    @route("GET", "projects/{project}/project_configuration")
    def project_configuration(self, project: str) -> Any:
        if not self.geti.patches:
            raise Refused(404, "not_found", "from 2.12 on")
        stored = self.project(project)

        def entry(key: str, kind: str, value: Any) -> dict[str, Any]:
            return {"key": key, "name": key, "type": kind, "description": key, "value": value, "default_value": value}

        return {
            "task_configs": [
                {
                    "task_id": task["id"],
                    "training": {
                        "constraints": [{**entry("min_images_per_label", "int", 0), "min_value": 0, "max_value": 100}]
                    },
                    "auto_training": [
                        entry("enable", "bool", stored.auto[task["id"]]),
                        entry("enable_dynamic_required_annotations", "bool", False),
                        {**entry("min_images_per_label", "int", 12), "min_value": 3, "max_value": 10000},
                    ],
                }
                for task in stored.trained
            ]
        }

    @route("PATCH", "projects/{project}/project_configuration")
    def patch_project_configuration(self, project: str) -> Any:
        if not self.geti.patches:
            raise Refused(404, "not_found", "from 2.12 on")
        stored = self.project(project)
        for task in self._json()["task_configs"]:
            self.geti._task(stored, task["task_id"])
            for entry in task["auto_training"]:
                if entry["key"] == "enable":
                    stored.auto[task["task_id"]] = entry["value"]
        return 204, None

    @route("GET", "projects/{project}/training_configuration")
    def training(self, project: str) -> Any:
        stored = self.project(project)
        manifest = self.query["model_manifest_id"][0]
        task = next(entry["id"] for entry in stored.trained if manifest == f"manifest-of-{entry['task_type']}")
        entry = {"key": "max_epochs", "name": "", "type": "int", "description": "", "value": stored.iterations[task]}
        return {
            "task_id": task,
            "dataset_preparation": {},
            "evaluation": [],
            "training": [{**entry, "default_value": 300, "min_value": 1, "max_value": 1000}],
        }

    @route("GET", "projects/{project}/supported_algorithms")
    def algorithms(self, project: str) -> Any:
        kinds = [task["task_type"] for task in self.project(project).trained]
        return {
            "supported_algorithms": [
                {"model_manifest_id": f"{name}-of-{kind}", "task": kind, "name": name, "is_default_model": default}
                for kind in kinds
                for name, default in (("other", False), ("manifest", True))
            ]
        }

    @route("GET", "projects/{project}/model_groups")
    def models(self, project: str) -> Any:
        self.project(project)
        return {"model_groups": []}

    @route("PATCH", "projects/{project}/training_configuration")
    def patch_training(self, project: str) -> Any:
        body = self._json()
        for entry in body["training"]:
            if entry["key"] == "max_epochs":
                self.project(project).iterations[body["task_id"]] = entry["value"]
        return 204, None

    # Media

    @route("POST", "projects/{project}/datasets/{dataset}/media/{kind}")
    def upload(self, project: str, dataset: str, kind: str) -> Any:
        stored = self.project(project)
        if dataset not in stored.media:
            raise Refused(404, "not_found", f"there is no dataset {dataset}")
        boundary = re.search(r"boundary=(\S+)", self.headers.get("Content-Type") or "")
        if boundary is None:
            raise Refused(400, "bad_request", "the body is no form")
        for part in self.body.split(b"--" + boundary[1].encode())[1:-1]:
            head, _, data = part.partition(b"\r\n\r\n")
            disposition = head.decode("utf-8")
            if 'name="file"' in disposition:
                name = re.search(r'filename="([^"]*)"', disposition)
                if name is None or not name[1]:
                    raise Refused(400, "bad_request", "the file has no name")
                return self.geti.upload(stored, dataset, kind[:-1], name[1].replace("%22", '"'), data[:-2])
        raise Refused(400, "bad_request", "there is no file")

    @route("GET", "projects/{project}/datasets/{dataset}/media/{kind}")
    def list_media(self, project: str, dataset: str, kind: str) -> Any:
        server, stored = self.geti, self.project(project)
        if server.modern:
            raise Refused(404, "not_found", "2.x lists by media:query")
        top, after = int(self.query["top"][0]), self.query.get("skiptoken", [""])[0]
        everything = [medium for medium in stored.media[dataset].values() if f"{medium.kind}s" == kind]
        page = [medium for medium in everything if medium.id > after][:top]
        response: dict[str, Any] = {
            "media": [server.medium_json(stored, dataset, medium) for medium in page],
            "media_count": {kind: len(everything)},
        }
        if page:
            path = f"{server.api}/projects/{project}/datasets/{dataset}/media/{kind}"
            response["next_page"] = f"{path}?top={top}&skiptoken={page[-1].id}"
        return response

    @route("POST", "projects/{project}/datasets/{dataset}/media:query")
    def query_media(self, project: str, dataset: str) -> Any:
        server, stored, body = self.geti, self.project(project), self._json()
        if not server.modern:
            raise Refused(404, "not_found", "SC lists by media/images")
        limit, after = int(self.query.get("limit", ["100"])[0]), self.query.get("skiptoken", [""])[0]
        if body["condition"].lower() != "and" or not 1 <= limit <= 500:
            raise Refused(400, "bad_request", "condition or limit")
        everything = list(stored.media[dataset].values())
        for rule in body["rules"]:
            if rule["operator"].lower() != "equal":
                raise Refused(400, "bad_request", "operator")
            name, value = rule["field"].lower(), rule["value"].lower()
            if name == "media_type" and value == server.refused_media:
                raise Refused(404, "not_found", f"there is no {value}")
            if name == "media_type":
                everything = [medium for medium in everything if medium.kind == value]
            elif name == "annotation_scene_state":
                everything = [medium for medium in everything if self._scene_state(stored, medium) == value]
            else:
                raise Refused(400, "bad_request", f"there is no field {name}")
        page = [medium for medium in everything if medium.id > after][:limit]
        response: dict[str, Any] = {
            "media": [server.medium_json(stored, dataset, medium) for medium in page],
            "total_images": sum(medium.kind == "image" for medium in stored.media[dataset].values()),
            "total_matched_images": sum(medium.kind == "image" for medium in everything),
            "total_matched_videos": sum(medium.kind == "video" for medium in everything),
        }
        if page and page[-1] is not everything[-1]:
            path = f"{server.api}/projects/{project}/datasets/{dataset}/media:query"
            response["next_page"] = f"{path}?limit={limit}&skiptoken={page[-1].id}"
        return response

    def _scene_state(self, project: Project, medium: Medium) -> str:
        states = set(self.geti.states(project, medium).values())
        return (
            "annotated" if states == {"annotated"} else "unannotated" if states == {"none"} else "partially_annotated"
        )

    @route("GET", "projects/{project}/datasets/{dataset}/statistics")
    def statistics(self, project: str, dataset: str) -> Any:
        stored = self.project(project)
        media = [medium for medium in stored.media[dataset].values() if medium.kind == "image"]
        done = sum(self._scene_state(stored, medium) == "annotated" for medium in media)
        return {"overview": {"images": len(media), "annotated_images": done, "videos": 0}}

    @route("DELETE", "projects/{project}/datasets/{dataset}/media/{kind}/{medium}")
    def delete_medium(self, project: str, dataset: str, kind: str, medium: str) -> Any:
        stored_project, stored_medium = self.medium(project, dataset, kind, medium)
        if stored_project.locked:
            raise Refused(409, "project_locked", "the project is locked while its jobs run")
        del stored_project.media[dataset][stored_medium.id]
        return {"result": "success"}

    @route("GET", "projects/{project}/datasets/{dataset}/media/{kind}/{medium}/display/{how}")
    def display(self, project: str, dataset: str, kind: str, medium: str, how: str) -> Any:
        _, stored_medium = self.medium(project, dataset, kind, medium)
        data = stored_medium.read()
        if self.geti.reencodes is not None and stored_medium.kind == "image":
            data = self.geti.reencodes(data)
        return 200, (stored_medium.content_type, data)

    @route("GET", "projects/{project}/datasets/{dataset}/media/videos/{medium}/frames/{frame}/display/full")
    def display_frame(self, project: str, dataset: str, medium: str, frame: str) -> Any:
        _, stored_medium = self.medium(project, dataset, "videos", medium)
        buffer = BytesIO()
        Image.new("RGB", (stored_medium.width, stored_medium.height), (int(frame) % 256, 0, 0)).save(buffer, "PNG")
        return 200, ("image/png", buffer.getvalue())

    # Annotations

    @route("POST", "projects/{project}/datasets/{dataset}/media/images/{medium}/annotations")
    def annotate(self, project: str, dataset: str, medium: str) -> Any:
        stored_project, stored_medium = self.medium(project, dataset, "images", medium)
        return self.geti.annotate(stored_project, stored_medium, None, self._json())

    @route("GET", "projects/{project}/datasets/{dataset}/media/images/{medium}/annotations/latest")
    def latest(self, project: str, dataset: str, medium: str) -> Any:
        stored_project, stored_medium = self.medium(project, dataset, "images", medium)
        if None not in stored_medium.scenes:
            if self.geti.modern:
                return 204, None
            raise Refused(404, "annotation_not_found", "there is no annotation yet")
        return self.geti.scene_json(stored_project, stored_medium, None)

    @route("POST", "projects/{project}/datasets/{dataset}/media/videos/{medium}/frames/{frame}/annotations")
    def annotate_frame(self, project: str, dataset: str, medium: str, frame: str) -> Any:
        stored_project, stored_medium = self.medium(project, dataset, "videos", medium)
        return self.geti.annotate(stored_project, stored_medium, int(frame), self._json())

    @route("GET", "projects/{project}/datasets/{dataset}/media/videos/{medium}/frames/{frame}/annotations/latest")
    def latest_of_frame(self, project: str, dataset: str, medium: str, frame: str) -> Any:
        stored_project, stored_medium = self.medium(project, dataset, "videos", medium)
        if int(frame) not in stored_medium.scenes:
            return 204, None
        return self.geti.scene_json(stored_project, stored_medium, int(frame))

    @route("GET", "projects/{project}/datasets/{dataset}/media/videos/{medium}/annotations/latest")
    def latest_of_video(self, project: str, dataset: str, medium: str) -> Any:
        stored_project, stored_medium = self.medium(project, dataset, "videos", medium)
        start = int(self.query.get("start_frame", ["0"])[0])
        frames = sorted(frame for frame in stored_medium.scenes if frame is not None and frame >= start)
        if not self.geti.modern:
            return [
                self.geti.scene_json(stored_project, stored_medium, frame) for frame in frames
            ]  # a bare list, whole
        page = frames[: self.geti.most_frames]
        if not page:
            return 204, None
        return {
            "video_annotations": [self.geti.scene_json(stored_project, stored_medium, frame) for frame in page],
            "video_annotation_properties": {
                "total_count": len(page),
                "start_frame": page[0],
                "end_frame": page[-1],
                "total_requested_count": len(frames),
                "requested_start_frame": start if "start_frame" in self.query else None,
                "requested_end_frame": None,
            },
        }

    # Jobs

    @route("GET", "jobs/{job}")
    def job(self, job: str) -> Any:
        if job not in self.geti.jobs:
            raise Refused(404, "job_not_found", f"there is no job {job}")
        return {"id": job, **self.geti.jobs[job]}

    @route("POST", "jobs/{job}:cancel")
    def cancel(self, job: str) -> Any:
        if self.geti.jobs[job]["state"] not in ("scheduled", "running"):
            raise Refused(412, "job_not_cancellable", "the job has ended")
        self.geti.jobs[job]["state"] = "cancelled"
        return 202, {}


@contextmanager
def geti_server(version: str = SC, **options: Any) -> Iterator[GetiServer]:
    server = GetiServer(version, **options)
    thread = threading.Thread(target=server.http.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield server
    finally:
        server.http.shutdown()
        thread.join()
        server.http.server_close()
