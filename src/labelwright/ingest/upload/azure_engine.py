"""A dropbox through Microsoft's own client: the store verifies every file as it arrives."""

from __future__ import annotations

import base64
import hashlib
import uuid
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, TypeVar

from labelwright.domain import Image
from labelwright.platforms.errors import PlatformError

from .azure_client import IMAGE_STORE, WITH_METADATA, is_folder, translated
from .renewal import Renewable
from .verify import StoredFile

if TYPE_CHECKING:
    from azure.storage.blob import BlobProperties, ContainerClient, ContentSettings

T = TypeVar("T")

TAKEN = frozenset({"BlobAlreadyExists", "ConditionNotMet", "UnauthorizedBlobOverwrite"})
"""Azure's codes for a name that is in use; other conflicts (a sealed container, a lease) are refusals."""

_TYPES = {
    "JPEG": "image/jpeg",
    "PNG": "image/png",
    "WEBP": "image/webp",
    "TIFF": "image/tiff",
    "BMP": "image/bmp",
    "GIF": "image/gif",
}


def content_type(image: Image) -> str:
    return _TYPES.get(image.format, "application/octet-stream")


class AzureEngine:
    """See upload.Engine.

    `renew` gives a client with a new signature. When a signature is refused, one thread asks for a new one, and what
    was refused is tried once more with it; a listing goes on with the page at which it stood.
    """

    def __init__(self, client: ContainerClient, renew: Callable[[], ContainerClient] | None = None) -> None:
        self._clients: Renewable[ContainerClient] = Renewable(client, renew)

    def put(self, image: Image, data: bytes) -> bool:
        """The request carries Content-MD5: the store refuses a body that is another one, and keeps the MD5."""
        headers = {"Content-MD5": base64.b64encode(bytes.fromhex(image.md5)).decode()}

        def send(client: ContainerClient) -> object:
            return client.upload_blob(
                image.name,
                data,
                length=len(data),
                overwrite=False,
                content_settings=_settings(image),
                headers=headers,
                max_concurrency=1,
            )

        return self._created("keep an image", send)

    def put_blocks(self, image: Image, pieces: Iterator[bytes]) -> bool:
        from azure.core import MatchConditions
        from azure.storage.blob import BlobBlock

        # Names of blocks that nobody else uses: two senders at once cannot mix their blocks.
        attempt, blocks = uuid.uuid4().hex, []
        for number, piece in enumerate(pieces):
            block = f"{attempt}{number:08}"
            digest = base64.b64encode(hashlib.md5(piece, usedforsecurity=False).digest()).decode()
            headers = {"Content-MD5": digest}

            def stage(client: ContainerClient, block: str = block, piece: bytes = piece, headers: Any = headers) -> Any:
                blob = client.get_blob_client(image.name)
                return blob.stage_block(block, piece, length=len(piece), headers=headers)

            self._ask("keep a part of an image", stage)
            blocks.append(BlobBlock(block))

        def commit(client: ContainerClient) -> object:
            # The checksum of the whole has to be said: a store knows those of the parts only.
            return client.get_blob_client(image.name).commit_block_list(
                blocks, content_settings=_settings(image), match_condition=MatchConditions.IfMissing
            )

        return self._created("put an image together", commit)

    def look(self, name: str) -> StoredFile | None:
        def read_properties(client: ContainerClient) -> BlobProperties:
            return client.get_blob_client(name).get_blob_properties()

        try:
            stored = _stored(self._ask("say what it holds", read_properties))
        except PlatformError as error:
            if error.status == 404:
                return None  # if it is the container that is gone, the next put says so
            raise
        if stored.md5_hex is not None:
            return stored
        return StoredFile(name, stored.bytes, self._ask("send an image back", lambda client: _hash(client, name)))

    def everything(self) -> Iterator[StoredFile]:
        token: str | None = None

        def read_page(client: ContainerClient) -> tuple[list[BlobProperties], str | None]:
            pages: Any = client.list_blobs(results_per_page=5000, include=WITH_METADATA).by_page(token)
            page = list(next(pages, ()))
            return page, pages.continuation_token

        while True:
            page, token = self._ask("list what it holds", read_page)
            yield from (_stored(blob) for blob in page if not is_folder(blob))
            if not token:
                return

    def _ask(self, operation: str, call: Callable[[ContainerClient], T]) -> T:
        return self._clients.use(lambda client: _asked(operation, lambda: call(client)))

    def _created(self, operation: str, call: Callable[[ContainerClient], object]) -> bool:
        """False when something is there already. Azure says 409 when a condition "must be new" fails, others 412."""
        try:
            self._ask(operation, call)
        except PlatformError as error:
            if error.message in TAKEN:
                return False
            raise
        return True


def _hash(client: ContainerClient, name: str) -> str:
    md5 = hashlib.md5(usedforsecurity=False)
    for chunk in client.download_blob(name, max_concurrency=1).chunks():
        md5.update(chunk)
    return md5.hexdigest()


def _settings(image: Image) -> ContentSettings:
    from azure.storage.blob import ContentSettings

    return ContentSettings(content_type=content_type(image), content_md5=bytearray.fromhex(image.md5))


def _stored(blob: BlobProperties) -> StoredFile:
    md5 = blob.content_settings.content_md5
    return StoredFile(str(blob.name), int(blob.size), bytes(md5).hex() if md5 else None)


def _asked(operation: str, call: Callable[[], T]) -> T:
    """The call's answer. The errors raised carry nothing of the client's own, which repeat signed URLs."""
    try:
        return call()
    except Exception as error:  # noqa: BLE001 - translated, or raised again
        failure = translated(error, IMAGE_STORE, operation)
    raise failure
