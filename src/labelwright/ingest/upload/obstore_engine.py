"""A dropbox through obstore (Rust): the same conditions, a fraction of the processor's time.

It sends no checksum of ours and shows none, but the store computes the MD5 of every single put by itself and lists it:
`Dropbox.read_back` and `compare` verify what arrived. Everything that is not a single put goes through
`signed_url_engine`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any
from urllib.parse import unquote, urlsplit

from labelwright.domain import Image
from labelwright.platforms.errors import PlatformError

from .azure_client import IMAGE_STORE, for_status
from .azure_engine import TAKEN, content_type
from .renewal import Renewable
from .signed_url_engine import SignedUrlEngine
from .verify import StoredFile

_VERB = "keep an image"
_STATUS = re.compile(r"status code: (\d{3})")
_NO_ANSWER = (
    ("TimedOut", "it took too long"),
    ("kind: Timeout", "it took too long"),
    ("ConnectionRefused", "the connection was refused"),
    ("ConnectionReset", "the connection was broken off"),
    ("dns error", "its name could not be resolved"),
)
_CODE = re.compile(r"<Code>(\w{1,80})</Code>")


class ObstoreMissing(Exception):
    """The optional engine is asked for and not installed."""


class ObstoreEngine:
    """See upload.Engine. `timeout` in seconds: to connect; a whole put may take five times that. `renew` gives the
    container's URL with a new signature."""

    def __init__(
        self, container_url: str, signed: SignedUrlEngine, *, timeout: float, renew: Callable[[], str] | None = None
    ) -> None:
        try:
            import obstore
            from obstore import exceptions
        except ImportError:
            raise ObstoreMissing(
                "The upload engine 'obstore' is not installed. Install labelwright[obstore], or use the engine 'azure'."
            ) from None
        self._signed = signed
        self._put: Any = obstore.put
        self._errors: Any = exceptions
        self._stores: Renewable[Any] = Renewable(
            _store(container_url, timeout), None if renew is None else lambda: _store(renew(), timeout)
        )

    def put(self, image: Image, data: bytes) -> bool:
        try:
            self._stores.use(lambda store: self._put_into(store, image, data))
        except PlatformError as error:
            if error.message in TAKEN:
                return False
            raise
        return True

    def _put_into(self, store: Any, image: Image, data: bytes) -> None:
        try:
            attributes = {"Content-Type": content_type(image)}
            self._put(store, image.name, data, mode="create", use_multipart=False, attributes=attributes)
        except (self._errors.BaseError, OSError) as error:  # a 404 comes as FileNotFoundError
            failure = _translated(str(error))
        else:
            return
        raise failure

    def put_blocks(self, image: Image, pieces: Iterator[bytes]) -> bool:
        return self._signed.put_blocks(image, pieces)

    def look(self, name: str) -> StoredFile | None:
        return self._signed.look(name)

    def everything(self) -> Iterator[StoredFile]:
        return self._signed.everything()


def _store(container_url: str, timeout: float) -> Any:
    from obstore.store import AzureStore

    parts = urlsplit(container_url)
    account, _, container = parts.path.strip("/").rpartition("/")
    host = f"{parts.scheme}://{parts.netloc}"
    return AzureStore(
        container_name=unquote(container),
        account_name=account.rpartition("/")[2] or str(parts.hostname).partition(".")[0],
        endpoint=f"{host}/{account}" if account else host,
        sas_key=parts.query,
        client_options={
            "allow_http": parts.scheme == "http",
            "connect_timeout": timedelta(seconds=timeout),
            "timeout": timedelta(seconds=5 * timeout),
        },
        # Every retry has to be seen by who counts retries.
        retry_config={"max_retries": 0, "retry_timeout": timedelta(0)},
    )


def _translated(text: str) -> PlatformError:
    """Of the client's own text nothing is taken over but the status and Azure's error code."""
    status, code = _STATUS.search(text), _CODE.search(text)
    message = code[1] if code else ""
    if status is not None:
        return for_status(IMAGE_STORE, _VERB, int(status[1]), message)
    for sign, message in _NO_ANSWER:
        if sign in text:
            return for_status(IMAGE_STORE, _VERB, None, message)
    return for_status(IMAGE_STORE, _VERB, None, "the connection failed")
