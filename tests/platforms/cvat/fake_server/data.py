"""Uploads into tasks of the fake CVAT server, and their imports."""

from __future__ import annotations

import io
import re
from base64 import b64decode
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from PIL import Image, UnidentifiedImageError

from .objects import get_job, get_task, respond
from .state import Data, Frame, Import, Job, Refusal, State, Task, now, server_error

if TYPE_CHECKING:
    from .server import FakeCvat, Request, Response

IMAGES = (".jpg", ".jpeg", ".png", ".bmp", ".gif", ".tif", ".tiff", ".webp")
TUS = {"Tus-Resumable": "1.0.0", "Tus-Version": "1.0.0", "Tus-Extension": "", "Tus-Max-Size": "26843545600"}
_NO_CONTEXT = {"related_files": 0, "has_related_context": False}


def data(cvat: FakeCvat, request: Request, number: str, slash: str) -> Response:
    state = cvat.state
    if request.method == "OPTIONS":
        raise server_error()
    task = get_task(state, request, int(number))
    if request.method == "GET":
        return _frame(task, request)
    if "upload-length" in request.headers:
        return _begin_tus(cvat, request, task, slash)
    if "upload-start" in request.headers:
        _refuse_more(task)
        _data_of(state, task, request)
        return respond(202)
    payload = request.json()
    quality = _quality(payload)
    _refuse_more(task)
    fresh = task.data is None
    upload = _data_of(state, task, request)
    upload.quality = quality
    try:
        _take_files(upload, request)
    except Refusal:
        if fresh:
            task.data = None
        raise
    if "upload-multiple" in request.headers:
        return respond(200)
    upload.sorting = payload.get("sorting_method", upload.sorting)
    upload.use_cache = payload.get("use_cache") is True
    order = payload.get("upload_file_order") or []
    upload.order = [name for name in order if name in upload.files]
    again = task.work is not None and task.work.state in ("queued", "started")
    task.work = Import(message="twice" if again else "")
    if payload.get("remote_files"):
        task.work.message = "remote"
    if cvat.dialect == "requests":
        return respond(202, {"rq_id": f"create:task-{task.id}"})
    return respond(202, _echo(upload, payload))


def _echo(upload: Data, payload: dict[str, Any]) -> dict[str, Any]:
    return {
        "chunk_size": None, "image_quality": upload.quality, "start_frame": 0, "stop_frame": 0, "frame_filter": "",
        "client_files": list(upload.files), "server_files": [], "remote_files": payload.get("remote_files", []),
        "use_zip_chunks": False, "server_files_exclude": [], "use_cache": False, "copy_data": False,
        "storage_method": "file_system", "storage": "local", "sorting_method": upload.sorting, "filename_pattern": None,
    }  # fmt: skip


def _quality(payload: dict[str, Any]) -> int:
    if "image_quality" not in payload:
        raise Refusal(400, {"image_quality": ["This field is required."]})
    quality = int(payload["image_quality"])
    if quality > 100:
        raise Refusal(400, {"image_quality": ["Ensure this value is less than or equal to 100."]})
    return quality


def _refuse_more(task: Task) -> None:
    if task.frames:
        raise Refusal(400, "Adding more data is not supported")


def _data_of(state: State, task: Task, request: Request) -> Data:
    if task.data is None:
        task.data = Data(state.next_id("data"), 70)
    return task.data


def _take_files(upload: Data, request: Request) -> None:
    """Only fields called client_files[0], client_files[1], ... are looked at. A name that is there already breaks the
    request, and nothing of it stays."""
    fresh: dict[str, bytes] = {}
    for field, name, content in request.files:
        if re.fullmatch(r"client_files\[\d+\]", field):
            if name in upload.files or name in fresh:
                raise server_error()
            fresh[name] = content
    upload.files |= fresh


# TUS


def _begin_tus(cvat: FakeCvat, request: Request, task: Task, slash: str) -> Response:
    if "origin" not in request.headers and "x-forwarded-host" not in request.headers:
        raise server_error()
    _refuse_more(task)
    coded = request.headers["upload-metadata"].partition("filename ")[2]
    name = b64decode(coded).decode()
    if name.startswith(("..", "/")):
        return _text(400, f"File name {name} is not allowed")
    upload = _data_of(cvat.state, task, request)
    if name in upload.files:
        return _text(409, "File with same name already exists")
    id = str(uuid4()) if cvat.legacy_api else f"{request.me.id}_{uuid4()}"
    upload.uploads[id] = (name, int(request.headers["upload-length"]), bytearray())
    upload.files[name] = b""  # known from now on, whether it arrives or not
    place = f"{request.headers.get('origin', cvat.url)}/api/tasks/{task.id}/data{slash}{id}"
    return respond(201, None, TUS | {"Location": place, "Upload-Filename": name.encode().decode("latin-1")})


def _text(status: int, message: str) -> Response:
    from .server import Response

    return Response(status, message, dict(TUS))


def tus(cvat: FakeCvat, request: Request, number: str, id: str) -> Response:
    task = get_task(cvat.state, request, int(number))
    upload = task.data.uploads.get(id) if task.data else None
    if upload is None or task.data is None:
        if not cvat.legacy_api:  # it looks into the file's notes, which are gone with its last part
            raise server_error()
        return respond(404, None, TUS)
    name, length, content = upload
    if request.method == "HEAD":
        return respond(200, None, TUS | {"Upload-Offset": str(len(content)), "Upload-Length": str(length)})
    if int(request.headers["upload-offset"]) != len(content):
        return respond(409, None, TUS)
    content += request.body
    if len(content) >= length:
        del task.data.uploads[id]
        task.data.files[name] = bytes(content) if "/" not in name else b""
        if "/" in name:
            raise server_error()
    headers = {"Upload-Offset": str(len(content)), "Upload-Filename": name.encode().decode("latin-1")}
    return respond(204, None, TUS | headers)


# Imports


def status(cvat: FakeCvat, request: Request, number: str) -> Response:
    task = get_task(cvat.state, request, int(number))
    if not cvat.legacy_api:
        raise Refusal(404, {"detail": "Not found."})
    work = step(cvat, task)
    if work is None or work.state == "finished" or work.expired:
        return respond(200, {"state": "Finished", "message": "", "progress": 0.0})
    return respond(200, {"state": work.state.capitalize(), "message": work.message, "progress": 0.0})


def step(cvat: FakeCvat, task: Task) -> Import | None:
    """One step of an import: queued, started, and its end."""
    work = task.work
    if work is None or cvat.held or work.state in ("finished", "failed", "canceled"):
        return work
    if work.state == "queued":
        work.state = "started"
        return work
    end(cvat, task)
    return work


def end(cvat: FakeCvat, task: Task) -> None:
    """The end of an import, whatever it is."""
    work, upload = task.work, task.data
    assert work is not None
    assert upload is not None
    work.finished = now()
    try:
        task.frames = _frames(work, upload)
    except Exception as fault:  # noqa: BLE001 - each is told in words, as the server does
        kind = type(fault).__name__
        kind = f"PIL.{kind}" if isinstance(fault, UnidentifiedImageError) else kind
        message = f"{kind}: {fault}"
        trace = f'Traceback (most recent call last):\n  File "worker.py", line 1, in perform_job\n{message}'
        work.state, work.message = "failed", trace if cvat.dialect == "2.15" else f"{message}\n"
        return
    work.state, work.message = "finished", ""
    _cut_into_jobs(cvat, task)


def _frames(work: Import, upload: Data) -> list[Frame]:
    if work.message == "twice":
        raise IndexError("Invalid index number: 5, Maximum allowed index is 4")
    if work.message == "remote":
        raise ConnectionRefusedError("[Errno 111] Connection refused")
    names = [name for name in upload.files if name.lower().endswith(IMAGES)]
    if not names:
        raise ValueError("No media data found")
    if upload.sorting == "lexicographical":
        names.sort()
    elif upload.sorting == "natural":
        names.sort(key=lambda name: [int(part) if part.isdigit() else part for part in re.split(r"(\d+)", name)])
    elif upload.sorting == "predefined" and upload.order:
        names = list(upload.order)
    frames = []
    for name in names:
        content = upload.files[name]
        if "/" in name or not content:
            raise FileNotFoundError(f"[Errno 2] No such file or directory: '/data/{upload.id}/raw/{name}'")
        try:
            with Image.open(io.BytesIO(content)) as image:
                width, height = image.size
                if image.getexif().get(0x0112, 1) > 4:
                    width, height = height, width
        except UnidentifiedImageError:
            raise UnidentifiedImageError(f"cannot identify image file '/data/{upload.id}/raw/{name}'") from None
        frames.append(Frame(name, width, height, content))
    return frames


def _cut_into_jobs(cvat: FakeCvat, task: Task) -> None:
    size = len(task.frames)
    segment = task.segment_size or size
    overlap = min(task.overlap or 0, segment // 2) if task.segment_size else 0
    start = 0
    while True:
        stop = min(start + segment, size) - 1
        job = Job(cvat.state.next_id("job"), task.id, start, stop)
        cvat.state.jobs[job.id] = job
        cvat.send_event("create:job", task.project, {"job": cvat.state.job_json(job)}, cvat.state.users[task.owner])
        if stop == size - 1:
            break
        start += segment - overlap
    task.segment_size, task.overlap = segment, overlap


# Frames


def meta(cvat: FakeCvat, request: Request, what: str, number: str) -> Response:
    state = cvat.state
    if what == "jobs":
        job = get_job(state, request, int(number))
        task, first, last = state.tasks[job.task], job.start, job.stop
    else:
        task = get_task(state, request, int(number))
        first, last = 0, max(len(task.frames) - 1, 0)
    if task.data is None:
        raise server_error()
    frames = task.frames[first : last + 1]
    payload = {
        "chunk_size": 72 if task.frames else None, "size": len(frames), "image_quality": task.data.quality,
        "start_frame": first, "stop_frame": last, "frame_filter": "",
        "frames": [
            {"width": frame.width, "height": frame.height, "name": frame.name, **_NO_CONTEXT} for frame in frames
        ],
        "deleted_frames": task.deleted_frames, "included_frames": None,
    }  # fmt: skip
    if not cvat.legacy_api:
        payload |= {"chunks_updated_date": task.updated, "storage": "local", "cloud_storage_id": None}
    return respond(200, payload)


def _frame(task: Task, request: Request) -> Response:
    from .server import Response

    if request.query.get("type") == "chunk":
        import zipfile

        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w") as file:
            for number, frame in enumerate(task.frames):
                file.writestr(f"{number:06d}.jpeg", frame.content)
        headers = {"Content-Disposition": 'inline; filename="0.zip"'}
        return Response(200, buffer.getvalue(), headers, kind="application/zip")
    frame = task.frames[int(request.query["number"])]
    return Response(200, frame.content, kind="image/jpeg")
