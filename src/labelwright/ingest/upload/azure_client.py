"""The Azure blob client as we use it: sized, without hidden retries, and with errors that tell no secret."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from labelwright.platforms.errors import AccessDenied, NotFound, PlatformError, PlatformRefused, PlatformUnavailable
from labelwright.platforms.http.error_messages import cut_masked
from labelwright.platforms.http.error_messages import retry_after as retry_after_in
from labelwright.security.azure_identity import (
    MachineIdentity,
    no_token_advice,
    no_token_message,
    outage_of,
    says_expired,
)
from labelwright.security.masking import remember
from labelwright.settings import SettingsError

if TYPE_CHECKING:
    from azure.storage.blob import ContainerClient

IMAGE_STORE = "image store"


WITH_METADATA = ["metadata"]
"""What a listing is asked to include, so that `is_folder` can tell."""


class DropboxExpired(AccessDenied):
    """The signed URL was refused: it has expired, lacks a right, or was revoked. Ask for a new one and go on."""

    error_code = "LW4014"


def container_client(
    container_url: str,
    *,
    sas: str | None = None,
    credential: Any = None,
    threads: int,
    timeout: float,
    whole: float | None = None,
    **options: Any,
) -> ContainerClient:
    """A client for as many threads. `timeout` in seconds: to connect, for the headers of an answer, and between two
    pieces of its body; `whole` (by default ten times that) for one request altogether.

    `container_url` may carry the SAS as its query, or have it beside it; or there is a `credential` as Azure's client
    takes it: an account's name and key, or an identity.
    """
    import requests
    from azure.core.pipeline.transport import RequestsTransport
    from azure.storage.blob import ContainerClient

    from labelwright.platforms.http.connections import TimedAdapter, environ_proxies

    plain, _, query = container_url.partition("?")
    remember(query, *_secrets_of(sas), *_secrets_of(credential))
    # requests looks for proxies, CA bundles and netrc in the environment with every single request, which costs about
    # a tenth of an upload. There is one host: proxies and CA bundle are looked up once, and a netrc has no say here.
    session = requests.Session()
    session.trust_env = False
    session.proxies.update(environ_proxies(plain))
    for scheme in ("https://", "http://"):
        # The standard pool keeps 10 connections and throws the others away with a warning each.
        adapter = TimedAdapter(pool_connections=1, pool_maxsize=threads, max_retries=0, whole=whole or 10 * timeout)
        session.mount(scheme, adapter)
    transport = RequestsTransport(
        session=session,
        connection_timeout=timeout,
        read_timeout=timeout,
        use_env_settings=False,
        connection_verify=trusted_certificates(),
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


def trusted_certificates() -> str | bool:
    """The environment's CA bundle, else the standard one, as requests takes it."""
    return os.environ.get("REQUESTS_CA_BUNDLE") or os.environ.get("CURL_CA_BUNDLE") or True


def _secrets_of(credential: Any) -> list[str]:
    """What a credential of Azure's client holds that must not be shown; of an identity nothing is known."""
    if isinstance(credential, str):
        return [credential]
    return [str(credential["account_key"])] if isinstance(credential, dict) and "account_key" in credential else []


def is_folder(blob: Any) -> bool:
    """Whether it is no file: accounts with a hierarchical namespace list folders as empty blobs, and only the metadata
    of these tells."""
    metadata = blob.metadata or {}
    marked = any(name.lower() == "hdi_isfolder" and value == "true" for name, value in metadata.items())
    return marked or str(blob.name).endswith("/")


def machine_identity() -> MachineIdentity:
    """Whatever identity this machine has: managed, workload, service principal, or `az login`. Raises SettingsError."""
    try:
        return MachineIdentity()
    except ModuleNotFoundError:
        raise SettingsError("an identity for Azure needs: pip install 'labelwright[azure]'") from None


def translated(error: Exception, platform: str, operation: str) -> PlatformError:
    """What an error of the Azure client means to us. Errors of anybody else are raised again.

    Of the client's own text nothing is taken over but error codes: it repeats signed URLs.
    """
    from azure.core.exceptions import AzureError, ClientAuthenticationError, HttpResponseError

    if _is_strange(error):
        message = "what answers there is no Azure container"
        return PlatformUnavailable(platform, operation, message=message, advice="Check the address, and try again.")
    if not isinstance(error, AzureError):
        raise error
    outage = outage_of(error)
    if outage is not None:
        wait = seconds_in(outage.retry_after)
        return PlatformUnavailable(platform, operation, message=outage.message, advice="Try again.", retry_after=wait)
    if isinstance(error, ClientAuthenticationError) and error.status_code is None:
        return AccessDenied(platform, operation, message=no_token_message(error), advice=no_token_advice(error))
    if not isinstance(error, HttpResponseError) or error.status_code is None:
        return for_status(platform, operation, None, no_answer_words(error))
    status = int(error.status_code)
    code = getattr(error, "error_code", None)
    message = cut_masked(str(getattr(code, "value", code) or error.reason or ""), 200)
    if status == 401 and (says_expired(str(error)) or _is_without_details(error)):
        # The identity's next token may be accepted; signatures are refused with 403.
        advice = "Try again, which takes a new token. If it stays so, check this machine's clock and its tenant."
        message = f"{message}: the token has expired or is not accepted"
        return PlatformUnavailable(platform, operation, status=401, message=message, advice=advice)
    return for_status(platform, operation, status, message, retry_after(error))


def _is_without_details(error: object) -> bool:
    """Whether the response could not say more than its code, as none to a HEAD request can."""
    request = getattr(getattr(error, "response", None), "request", None)
    return getattr(request, "method", "") == "HEAD"


def _is_strange(error: Exception) -> bool:
    """Whether the client came upon an answer that no Azure container gives: it takes fields for granted."""
    if not isinstance(error, ValueError | AttributeError | KeyError | TypeError):
        return False
    frame = error.__traceback__
    while frame is not None and frame.tb_next is not None:
        frame = frame.tb_next
    return frame is not None and str(frame.tb_frame.f_globals.get("__name__", "")).startswith("azure.")


def for_status(
    platform: str, operation: str, status: int | None, message: str, wait: float | None = None
) -> PlatformError:
    """The error for an HTTP status (None: no answer came); `words` must hold no secret."""
    if status in (401, 403):
        advice = "Ask for a new signed URL and send what is missing."
        return DropboxExpired(platform, operation, status=status, message=message, advice=advice)
    if status == 404:
        advice = "The container is gone or was never made: look at the image set on the platform."
        return NotFound(platform, operation, status=status, message=message, advice=advice)
    if status is None or status in (408, 429) or status >= 500 or message == "Md5Mismatch":
        # A body that was damaged on its way arrives in one piece when it is sent again.
        return PlatformUnavailable(
            platform, operation, status=status, message=message, advice="Try again.", retry_after=wait
        )
    return PlatformRefused(platform, operation, status=status, message=message)


def access_advice(denied: AccessDenied, rights: str) -> str:
    """What to do about a refusal of a container that is ours, by Azure's error code.

    rights: completes "the identity needs ...", and says the same of a signature.
    """
    if denied.status == 401:
        return "The credential was not accepted: check that it belongs to the account, and the identity to its tenant."
    if denied.message == "AuthenticationFailed":
        return "The key or the signature is wrong, or the signature has expired: set a new one, then resume."
    if denied.message == "AuthorizationFailure":
        return f"The account's network rules keep this machine out, or a right is missing: the identity needs {rights}."
    return f"The identity needs {rights}."


def retry_after(error: object) -> float | None:
    """Seconds that the server asked for (as a number or as a date), at most a day."""
    headers = getattr(getattr(error, "response", None), "headers", None)
    return retry_after_in(headers) if headers is not None else None


def seconds_in(text: str | None) -> float | None:
    """What a Retry-After says, as a number of seconds or as a date; at most a day."""
    return retry_after_in({"Retry-After": text}) if text else None


def no_answer_words(error: Exception) -> str:
    text = f"{type(error).__name__} {error}".lower()
    for sign, message in (
        ("timed out", "it took too long"),
        ("timeout", "it took too long"),
        ("refused", "the connection was refused"),
        ("reset", "the connection was broken off"),
        ("aborted", "the connection was broken off"),
        ("resolve", "its name could not be resolved"),
        ("certificate", "its certificate is not valid"),
    ):
        if sign in text:
            return message
    return "the connection failed"
