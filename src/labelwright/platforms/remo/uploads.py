"""Uploads into a dataset, for both generations: files sent, linked on the server, or fetched by it.

0.3 imports files before it responds. 0.4.25 and later open a session that several requests may fill. The session does
nothing until it is completed, and is then polled. In both, a file is identified by its name within the dataset. An
existing one is skipped and reported as an error. So uploads may be repeated, and are verified by listing the images.

Where `folder_id` goes, by form and generation (measured; the user's document has it the other way round):

               JSON           form with files
    0.3        body           query
    0.6        body           nowhere: ignored in the query, and 500 in the body
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import quote, unquote, urlsplit

from labelwright.platforms import batches
from labelwright.platforms.errors import AccessDenied, NotFound, PlatformRefused, PlatformUnavailable
from labelwright.platforms.http.multipart import Form, FormFile

from .models import RemoUpload, Task, dataset_from, upload_from
from .names import ENDINGS
from .session import NAME, RemoSession

UPLOADS = "/api/v1/ui/uploads"
FILES_A_REQUEST = 50
BYTES_A_REQUEST = 16 << 20
"""Largest size of a request, unless it has a single file."""
_LOST = timedelta(days=1)


class RemoUploads:
    """The calls that upload files into a dataset."""

    def __init__(self, session: RemoSession) -> None:
        self.session = session

    # The user's document

    def upload_files(
        self,
        dataset: str,
        files: Iterable[FormFile | Path],
        *,
        annotation_set: str | None = None,
        task: Task | None = None,
        folder: str | None = None,
    ) -> RemoUpload:
        """Uploads images, annotation files and archives.

        Returns the result on 0.3. On 0.4.25 and later, returns a pending session: see `wait_for_upload`.
        Raises PlatformRefused for a folder on 0.4.25 and later, which ignore it: link the files there.
        """
        operation = f"take files into dataset {dataset}"
        sessions = self.session.server().uploads_in_sessions
        if folder and sessions:
            message = "this version does not put files that are sent into folders"
            advice = "Send them without a folder, or link files that lie on the server."
            raise PlatformRefused(NAME, operation, message=message, advice=advice)
        query = _query(annotation_set) | ({"folder_id": folder} if folder else {})
        fields = {"annotation_task": str(task)} if task else {}
        return self._send(operation, dataset, map(_file, files), query, fields)

    def link_files(
        self,
        dataset: str,
        paths: Sequence[str],
        *,
        annotation_set: str | None = None,
        task: Task | None = None,
        folder: str | None = None,
    ) -> RemoUpload:
        """Links files and folders on the server by their paths there, without copying them."""
        operation = f"link files into dataset {dataset}"
        return self._post(operation, dataset, {"local_files": list(paths)}, annotation_set, task, folder)

    def upload_urls(
        self,
        dataset: str,
        urls: Sequence[str],
        *,
        annotation_set: str | None = None,
        task: Task | None = None,
        folder: str | None = None,
        fetch: Callable[[str], BinaryIO] | None = None,
    ) -> RemoUpload:
        """Lets the server fetch archives and annotation files. Images are fetched here with `fetch` and uploaded.

        The reason: 0.3 loses the name of a linked image, and 0.6 does not take one. Without `fetch`, a link to an image
        raises PlatformRefused before anything is sent. Returns the last upload.
        """
        operation = f"fetch files into dataset {dataset}"
        images = [url for url in urls if Path(urlsplit(url).path).suffix.lower() in ENDINGS]
        if images and fetch is None:
            message = f"{len(images)} of the links lead to images, and Remo would lose their names"
            raise PlatformRefused(
                NAME, operation, message=message, advice="Send the images as files, or link an archive of them."
            )
        others = [url for url in urls if url not in set(images)]
        result = RemoUpload(None, "done", 0)
        if others:
            result = self._post(operation, dataset, {"urls": others}, annotation_set, task, folder)
        if images and fetch is not None:
            files = (_fetched(url, fetch) for url in images)
            if result.session:
                self.wait_for_upload(result.session)
            result = self.upload_files(dataset, files, annotation_set=annotation_set, task=task, folder=folder)
        return result

    # Sessions

    def start_upload(self, dataset: str) -> RemoUpload:
        """Opens an empty session. Repeating it opens another one."""
        body = {"dataset_id": _number(dataset)}
        operation = f"open an upload into dataset {dataset}"
        return upload_from(self.session.fields(operation, "POST", f"{UPLOADS}/", json=body))

    def complete_upload(self, upload: str) -> None:
        """Completes a session, so that the server processes it. Idempotent: Remo's 404 for a repetition is ignored."""
        path = f"{UPLOADS}/{_id(upload)}/complete/"
        try:
            self.session.call(f"complete upload {upload}", "POST", path)
        except NotFound:
            if self.read_upload(upload).state == "not complete":
                raise

    def read_upload(self, upload: str) -> RemoUpload:
        path = f"{UPLOADS}/{_id(upload)}/status/"
        return upload_from(self.session.fields(f"read upload {upload}", "GET", path))

    def list_uploads(self, dataset: str, *, active: bool) -> Iterator[RemoUpload]:
        """Returns the unfinished sessions of a dataset, or the finished ones; the newest first."""
        operation, params = f"list the uploads into dataset {dataset}", {"show_active": "true"} if active else {}
        response = self.session.fields(operation, "GET", f"{UPLOADS}/", params=params)
        return (upload for upload in map(upload_from, response.each("results")) if upload.dataset == dataset)

    def wait_for_upload(self, upload: str, seconds: float = 3600) -> RemoUpload:
        """Waits until a session is over and returns it. Raises PlatformUnavailable at the deadline."""
        operation = f"work off upload {upload}"
        result: RemoUpload = _until(lambda: self.read_upload(upload), lambda result: result.over, seconds, operation)
        return result

    def wait_until_quiet(self, dataset: str, seconds: float = 3600) -> None:
        """Waits until no session of the dataset is running.

        Concurrent sessions may add the same name twice, and each costs the server a process.
        """
        operation = f"work off the uploads into dataset {dataset}"
        _until(lambda: self.is_busy(dataset), lambda busy: not busy, seconds, operation)

    def is_busy(self, dataset: str) -> bool:
        """Returns whether a session of the dataset is running.

        Sessions older than a day are ignored: Remo shows those that a restart interrupted as running for ever.
        """
        try:
            return any(upload.running and not _is_old(upload) for upload in self.list_uploads(dataset, active=True))
        except NotFound:  # this version has no such list
            return False

    # Sending

    def _send(
        self,
        operation: str,
        dataset: str,
        files: Iterable[FormFile],
        query: dict[str, str],
        fields: dict[str, str],
    ) -> RemoUpload:
        """Sends files in parts. A transport error only repeats one part, in a new session.

        It is unknown how much of that part the first session has, so that session is completed too. Remo skips files
        that exist, by their names.
        """
        sessions = self.session.server().uploads_in_sessions
        added, session = 0, None
        left_out: list[tuple[str, str]] = []
        for part in _parts(files):
            for pause in (*batches.PAUSES, None):
                try:
                    result = self._send_part(operation, dataset, part, query, fields, session)
                    break
                except PlatformUnavailable as error:
                    if pause is None or (error.retry_after or 0.0) > batches.LONGEST_WAIT:
                        raise
                    wait = max(pause, error.retry_after or 0.0)
                if session is not None:
                    left_out += self._finish_early(dataset, session)
                    session = None
                time.sleep(wait)
            session, added = result.session, added + result.added
            left_out += result.left_out
        if not sessions or session is None:
            return RemoUpload(None, "done", added, tuple(left_out))
        self.wait_until_quiet(dataset)
        self.complete_upload(session)
        return RemoUpload(session, "pending", 0, tuple(left_out), dataset=dataset)

    def _send_part(
        self,
        operation: str,
        dataset: str,
        part: list[FormFile],
        query: dict[str, str],
        fields: dict[str, str],
        session: str | None,
    ) -> RemoUpload:
        form = Form(fields | ({"session_id": session} if session else {}), part)
        with self._naming(dataset):
            return upload_from(self.session.send(operation, f"/api/dataset/{_id(dataset)}/upload/", form, query))

    def _finish_early(self, dataset: str, session: str) -> tuple[tuple[str, str], ...]:
        """Completes a session early and waits for it. Returns the files that it left out."""
        self.wait_until_quiet(dataset)
        self.complete_upload(session)
        return self.wait_for_upload(session).left_out

    def _post(
        self,
        operation: str,
        dataset: str,
        payload: dict[str, Any],
        annotation_set: str | None,
        task: Task | None,
        folder: str | None,
    ) -> RemoUpload:
        body = payload | ({"annotation_task": str(task)} if task else {})
        body |= {"folder_id": _number(folder)} if folder else {}
        if self.session.server().uploads_in_sessions:
            self.wait_until_quiet(dataset)
            body |= {"complete": True}
        path = f"/api/dataset/{_id(dataset)}/upload/"
        with self._naming(dataset):
            params = _query(annotation_set)
            result = upload_from(self.session.fields(operation, "POST", path, json=body, params=params))
        return result if result.session is None else RemoUpload(result.session, "pending", 0, dataset=dataset)

    def _naming(self, dataset: str) -> _Naming:
        return _Naming(self.session, dataset)


class _Naming:
    """Raises NotFound for a missing dataset, for which Remo responds that only an admin may edit it."""

    def __init__(self, session: RemoSession, dataset: str) -> None:
        self._session, self._dataset = session, dataset

    def __enter__(self) -> None:
        return None

    def __exit__(self, _kind: object, error: object, _trace: object) -> None:
        if isinstance(error, AccessDenied) and error.status == 403:
            operation, path = f"read dataset {self._dataset}", f"/api/v1/ui/datasets/{_id(self._dataset)}/"
            dataset_from(self._session.fields(operation, "GET", path))  # raises NotFound


def _parts(files: Iterable[FormFile]) -> Iterator[list[FormFile]]:
    """Yields the files of each request. A file of unknown size is sent alone."""
    part: list[FormFile] = []
    held = 0
    for file in files:
        size = BYTES_A_REQUEST if file.size is None else file.size
        if part and (len(part) == FILES_A_REQUEST or held + size > BYTES_A_REQUEST):
            yield part
            part, held = [], 0
        part.append(replace(file, field="files", media_type="application/octet-stream"))
        held += size
    if part:
        yield part


def _file(file: FormFile | Path) -> FormFile:
    if isinstance(file, FormFile):
        return file
    return FormFile(file.name, lambda: file.open("rb"), file.stat().st_size)


def _fetched(url: str, fetch: Callable[[str], BinaryIO]) -> FormFile:
    with fetch(url) as file:
        data = file.read()
    name = unquote(urlsplit(url).path.rpartition("/")[2])
    return FormFile(name, lambda: BytesIO(data), len(data))


def _until(look: Callable[[], Any], enough: Callable[[Any], bool], seconds: float, operation: str) -> Any:
    end, pause = time.monotonic() + seconds, 0.1
    while not enough(result := look()):
        if time.monotonic() > end:
            message = f"it is not finished after {seconds:.0f} seconds"
            raise PlatformUnavailable(
                NAME, operation, message=message, advice="Wait longer, or check whether the server was restarted."
            )
        time.sleep(pause)
        pause = min(pause * 1.5, 5)
    return result


def _is_old(upload: RemoUpload) -> bool:
    try:
        created = datetime.fromisoformat(upload.created_at.replace("Z", "+00:00"))
    except ValueError:
        return False
    return created.tzinfo is not None and datetime.now(UTC) - created > _LOST


def _query(annotation_set: str | None) -> dict[str, str]:
    return {"annotation_set_id": annotation_set} if annotation_set else {}


def _number(identity: str) -> int | str:
    return int(identity) if identity.isascii() and identity.isdecimal() else identity


def _id(identity: str) -> str:
    return quote(identity, safe="")
