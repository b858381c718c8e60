"""The Azure blob client as we use it: sized, without hidden retries, and with errors that tell no secret."""

from __future__ import annotations

import email.utils
import logging
import os
import re
import time
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from labelwright.platforms.answers import conceal
from labelwright.platforms.errors import AccessDenied, NotFound, PlatformError, PlatformRefused, PlatformUnavailable
from labelwright.settings import SettingsError

if TYPE_CHECKING:
    from azure.storage.blob import ContainerClient

IMAGE_STORE = "image store"


WITH_METADATA = ["metadata"]
"""What a listing is asked to include, so that `is_folder` can tell."""


class DropboxExpired(AccessDenied):
    """The signed URL was refused: it has expired, lacks a right, or was revoked. Ask for a new one and go on."""


def container_client(
    container_url: str,
    *,
    sas: str | None = None,
    credential: Any = None,
    threads: int,
    timeout: float,
    **options: Any,
) -> ContainerClient:
    """A client for as many threads. `timeout` in seconds: to connect, and between two pieces of an answer.

    `container_url` may carry the SAS as its query, or have it beside it; or there is a `credential` as Azure's client
    takes it: an account's name and key, or an identity.
    """
    import requests
    from azure.core.pipeline.transport import RequestsTransport
    from azure.storage.blob import ContainerClient
    from requests.adapters import HTTPAdapter

    _keep_signatures_out_of_the_log()
    # requests looks for proxies, CA bundles and netrc in the environment with every single request, which costs about
    # a tenth of an upload. There is one host: proxies and CA bundle are looked up once, and a netrc has no say here.
    session = requests.Session()
    session.trust_env = False
    session.proxies.update(requests.utils.get_environ_proxies(container_url.partition("?")[0]))
    for scheme in ("https://", "http://"):
        # The standard pool keeps 10 connections and throws the others away with a warning each.
        session.mount(scheme, HTTPAdapter(pool_connections=1, pool_maxsize=threads, max_retries=0))
    transport = RequestsTransport(
        session=session,
        connection_timeout=timeout,
        read_timeout=timeout,
        use_env_settings=False,
        connection_verify=os.environ.get("REQUESTS_CA_BUNDLE") or os.environ.get("CURL_CA_BUNDLE") or True,
    )
    return ContainerClient.from_container_url(
        container_url,
        credential=sas or credential,
        transport=transport,
        # Every retry has to be seen by who counts retries.
        retry_total=0,
        retry_connect=0,
        retry_read=0,
        retry_status=0,
        **options,
    )


def fit_to_be_shown(text: str, secrets: Iterable[str] = ()) -> str:
    """The text of somebody else's error without the secrets given, and without signatures."""
    return conceal(text, secrets)


def is_folder(blob: Any) -> bool:
    """Whether it is no file: accounts with a hierarchical namespace list folders as empty blobs, and only the metadata
    of these tells."""
    metadata = blob.metadata or {}
    marked = any(name.lower() == "hdi_isfolder" and value == "true" for name, value in metadata.items())
    return marked or str(blob.name).endswith("/")


def machine_identity() -> Any:
    """Whatever identity this machine has: managed, workload, service principal, or `az login`. Raises SettingsError."""
    try:
        from azure.identity import DefaultAzureCredential
    except ModuleNotFoundError:
        raise SettingsError("an identity for Azure needs: pip install 'labelwright[azure]'") from None
    return DefaultAzureCredential()


def translated(error: Exception, platform: str, verb: str) -> PlatformError:
    """What an error of the Azure client means to us. Errors of anybody else are raised again.

    Of the client's own text nothing is taken over but error codes: it repeats signed URLs.
    """
    from azure.core.exceptions import AzureError, ClientAuthenticationError, HttpResponseError

    if not isinstance(error, AzureError):
        raise error
    if isinstance(error, ClientAuthenticationError) and error.status_code is None:
        advice = "Give this machine an identity (managed, workload, a service principal), or run `az login`."
        return AccessDenied(platform, verb, words="no identity of this machine gave a token", advice=advice)
    if not isinstance(error, HttpResponseError) or error.status_code is None:
        return for_status(platform, verb, None, _no_answer_words(error))
    status = int(error.status_code)
    code = getattr(error, "error_code", None)
    words = str(getattr(code, "value", code) or error.reason or "")[:200]
    return for_status(platform, verb, status, words, retry_after(error))


def for_status(platform: str, verb: str, status: int | None, words: str, wait: float | None = None) -> PlatformError:
    """The error for an HTTP status (None: no answer came); `words` must hold no secret."""
    if status in (401, 403):
        advice = "Ask for a new signed URL and send what is missing."
        return DropboxExpired(platform, verb, status=status, words=words, advice=advice)
    if status == 404:
        advice = "The container is gone or was never made: look at the image set on the platform."
        return NotFound(platform, verb, status=status, words=words, advice=advice)
    if status is None or status in (408, 429) or status >= 500 or words == "Md5Mismatch":
        # A body that was damaged on its way arrives in one piece when it is sent again.
        return PlatformUnavailable(platform, verb, status=status, words=words, advice="Try again.", retry_after=wait)
    return PlatformRefused(platform, verb, status=status, words=words)


def retry_after(error: object) -> float | None:
    """Seconds that the server asked for (as a number or as a date)."""
    response = getattr(error, "response", None)
    headers = getattr(response, "headers", None)
    text = headers.get("Retry-After") if headers is not None else None
    return seconds_in(text)


def seconds_in(text: str | None) -> float | None:
    """What a Retry-After says, as a number of seconds or as a date."""
    if not text:
        return None
    if re.fullmatch(r"\d+(\.\d+)?", text):
        return float(text)
    try:
        return max(0.0, email.utils.parsedate_to_datetime(text).timestamp() - time.time())
    except ValueError:
        return None


def _no_answer_words(error: Exception) -> str:
    text = f"{type(error).__name__} {error}".lower()
    for sign, words in (
        ("timed out", "it took too long"),
        ("timeout", "it took too long"),
        ("refused", "the connection was refused"),
        ("reset", "the connection was broken off"),
        ("aborted", "the connection was broken off"),
        ("resolve", "its name could not be resolved"),
        ("certificate", "its certificate is not valid"),
    ):
        if sign in text:
            return words
    return "the connection failed"


_SIGNATURE = re.compile(r"(?i)\b(sig|signature)=[^&\s\"']+")


class _Redacting(logging.Filter):
    """urllib3 writes the path and query of every request to its debug log, signatures and all."""

    def filter(self, record: logging.LogRecord) -> bool:
        if record.args:
            message = record.getMessage()
            if "sig" in message.lower():
                record.msg, record.args = _SIGNATURE.sub(r"\1=***", message), ()
        return True


_redacting = _Redacting()


def _keep_signatures_out_of_the_log() -> None:
    for name in ("urllib3.connectionpool", "urllib3.util.retry"):
        logging.getLogger(name).addFilter(_redacting)  # adding it twice does nothing
