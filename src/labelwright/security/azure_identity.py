"""This machine's identity for Azure, and whether a missing token is an outage or a wrong set-up.

azure-identity raises the same ClientAuthenticationError for both, with every attempt in one text. So the responses of
the endpoints that issue tokens (a virtual machine's, an app service's, Microsoft Entra) are observed on their way.
Also loaded by path by the programs that run the Azure ML SDKs: imports nothing of Labelwright.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

_MACHINE_ENDPOINT = "169.254.169.254"
_MACHINE_PATH = "/metadata/identity/oauth2/token"
_PAUSES_OF_MACHINE_ENDPOINT = (404, 410)
"""What the endpoint of a virtual machine answers while it is updated, for up to 70 seconds."""
_AZURE_TAG = "7783-7084-3265-9085-8269-3286-77"
"""The chassis tag of every virtual machine in Azure."""
_TAG_FILE = Path("/sys/class/dmi/id/chassis_asset_tag")
_ENTRA_CODE = re.compile(r"AADSTS\d{4,9}")
_EXPIRED = re.compile(r"expired|lifetime validation|not yet valid|not valid yet", re.IGNORECASE)


@dataclass(frozen=True)
class TokenOutage:
    """An endpoint that issues tokens could not issue one now."""

    message: str
    retry_after: str | None = None


class MachineIdentity:
    """Whatever identity this machine has: managed, workload, service principal, or `az login`.

    A credential as Azure's clients take it: DefaultAzureCredential, with one repetition of a failed request instead of
    its half minute of them, because the caller retries. `outage_of` tells why it raised an error.
    Raises ModuleNotFoundError without azure-identity.
    """

    def __init__(self, **options: Any) -> None:
        from azure.core.pipeline.transport import RequestsTransport
        from azure.identity import DefaultAzureCredential

        transport = RequestsTransport()
        self._outages = threading.local()
        self._send = transport.send
        transport.send = self._observe
        self._chain = DefaultAzureCredential(transport=transport, retry_total=1, retry_status=1, **options)
        self.get_token = self._explaining(self._chain.get_token)
        if hasattr(self._chain, "get_token_info"):
            self.get_token_info = self._explaining(self._chain.get_token_info)

    def __repr__(self) -> str:
        return "MachineIdentity()"

    def close(self) -> None:
        self._chain.close()

    def _explaining(self, get: Callable[..., Any]) -> Callable[..., Any]:
        def get_or_explain(*scopes: str, **options: Any) -> Any:
            self._outages.last = None
            try:
                return get(*scopes, **options)
            except Exception as error:
                error.token_outage = self._outages.last  # type: ignore[attr-defined]
                raise

        return get_or_explain

    def _observe(self, request: Any, **options: Any) -> Any:
        parts = urlsplit(request.url)
        place = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"
        try:
            response = self._send(request, **options)
        except Exception:
            if _is_expected(parts.hostname or ""):
                self._outages.last = TokenOutage(f"{place}, which issues tokens, did not answer")
            raise
        status = int(response.status_code)
        pauses = _PAUSES_OF_MACHINE_ENDPOINT if parts.path == _MACHINE_PATH else ()
        if status >= 500 or status in (408, 429, *pauses):
            message = f"{place}, which issues tokens, answered {status}"
            self._outages.last = TokenOutage(message, response.headers.get("Retry-After"))
        else:
            self._outages.last = None
        return response


def _is_expected(host: str) -> bool:
    """Whether somebody should answer there: outside Azure a machine has no endpoint of its own."""
    return host != _MACHINE_ENDPOINT or _is_in_azure()


def _is_in_azure() -> bool:
    try:
        return _TAG_FILE.read_text(encoding="ascii", errors="replace").strip() == _AZURE_TAG
    except OSError:
        return False


def outage_of(error: BaseException | None) -> TokenOutage | None:
    """The outage of a token endpoint behind an error, or behind its causes; None when there was none."""
    known: list[BaseException] = []
    while error is not None and error not in known:
        outage = getattr(error, "token_outage", None)
        if isinstance(getattr(outage, "message", None), str):
            return outage
        known.append(error)
        inner = getattr(error, "inner_exception", None)
        error = inner if isinstance(inner, BaseException) else error.__cause__ or error.__context__
    return None


def says_expired(text: str) -> bool:
    """Whether a server's message says that a token is not valid any more, or not yet: the next one may be."""
    return _EXPIRED.search(text) is not None


def no_token_message(error: BaseException) -> str:
    """Why there is no token, when no endpoint was away. Of the client's own text only Entra's code is repeated."""
    code = _ENTRA_CODE.search(str(error))
    return f"this machine's identity was refused ({code[0]})" if code else "no identity of this machine gave a token"


def no_token_advice(error: BaseException) -> str:
    """What a person can do when no endpoint was away."""
    if _ENTRA_CODE.search(str(error)):
        return "Look the code up in Microsoft Entra's error codes: a secret may have expired (AZURE_CLIENT_SECRET)."
    return "Give this machine an identity (managed, workload, a service principal), or run `az login`."
