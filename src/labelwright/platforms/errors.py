"""Errors of calls to platforms.

PlatformError              platform, operation, HTTP status, the server's own message
|- PlatformUnavailable     may work when repeated: no response, 408, 429 (with its Retry-After), 5xx
'- PlatformRefused         will not work when repeated
   |- AccessDenied         401, 403
   '- NotFound             404
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from labelwright.domain.errors import with_code
from labelwright.security.masking import mask, mask_own

_LONGEST = 365 * 86_400.0
_TOO_MANY = 429


class PlatformError(Exception):
    """A call to a platform failed.

    Holds no header, key or signed URL: secrets in its texts are masked, by value and by shape.
    """

    error_code = ""
    code_shown = False
    """Whether `str` ends with the code, see `labelwright.domain.errors.show_code`."""

    def __init__(
        self, platform: str, operation: str, *, status: int | None = None, message: str = "", advice: str = ""
    ) -> None:
        self.platform = platform
        self.operation = mask_own(operation)
        self.status = status
        self.message = mask(message)
        self.advice = mask_own(advice)
        super().__init__(self.platform, self.operation, self.status, self.message, self.advice)

    def __str__(self) -> str:
        text = self._text()
        return with_code(text, self.error_code) if self.code_shown else text

    def _text(self) -> str:
        text = self._without_advice()
        if self.advice:
            return f"{text}. {self.advice}"
        return f"{text}." if self.message.endswith(".") else text

    def _without_advice(self) -> str:
        text = f"{self.platform} {self._outcome()} {self.operation}"
        if self.message:
            text += f": {self.message}"
        return text.removesuffix(".")

    def _outcome(self) -> str:
        outcome = f"answered {self.status}" if self.status is not None else "did not answer"
        return f"{outcome} when asked to"

    def __reduce__(self) -> tuple[object, ...]:
        keywords = {"status": self.status, "message": self.message, "advice": self.advice}
        return _rebuild, (type(self), self.platform, self.operation, keywords | self._details())

    def _details(self) -> dict[str, object]:
        return {}


class PlatformUnavailable(PlatformError):
    """The call may work when it is repeated."""

    error_code = "LW4001"

    def __init__(
        self,
        platform: str,
        operation: str,
        *,
        status: int | None = None,
        message: str = "",
        advice: str = "",
        retry_after: float | None = None,
        not_before: datetime | None = None,
    ) -> None:
        super().__init__(platform, operation, status=status, message=message, advice=advice)
        if status is not None and self.error_code == PlatformUnavailable.error_code:
            self.error_code = "LW4003" if status == _TOO_MANY else "LW4002"
        self.retry_after = retry_after
        """Seconds of its Retry-After; None when there was none."""
        if not_before is None and retry_after:
            not_before = datetime.now(UTC) + timedelta(seconds=min(retry_after, _LONGEST))
        self.not_before = not_before
        """When the call may be repeated (UTC); None when the server did not say."""

    def _text(self) -> str:
        if self.not_before is None or self.retry_after is None or self.retry_after < 1:
            return super()._text()
        # What a person can do next is to wait: no other advice fits.
        return f"{self._without_advice()}. The server asks to wait {self.retry_after:.0f} seconds {self._until()}."

    def _until(self) -> str:
        until = self.not_before or datetime.now(UTC)
        day = "" if until.date() == datetime.now(UTC).date() else f"{until:%Y-%m-%d} "
        return f"(until {day}{until:%H:%M} UTC)"

    def seconds_to_wait(self) -> float:
        """Returns the seconds until the call may be repeated."""
        return 0.0 if self.not_before is None else max(0.0, (self.not_before - datetime.now(UTC)).total_seconds())

    def _details(self) -> dict[str, object]:
        return {"retry_after": self.retry_after, "not_before": self.not_before}


class PlatformRefused(PlatformError):
    """The call will not work when it is repeated. Without a status it was refused on our side and never sent."""

    error_code = "LW4010"

    def __init__(
        self, platform: str, operation: str, *, status: int | None = None, message: str = "", advice: str = ""
    ) -> None:
        super().__init__(platform, operation, status=status, message=message, advice=advice)
        if status is not None and self.error_code == PlatformRefused.error_code:
            self.error_code = "LW4011"

    def _outcome(self) -> str:
        return f"answered {self.status} when asked to" if self.status is not None else "was not asked to"


class AccessDenied(PlatformRefused):
    """401 or 403: the credential is missing, wrong, or lacks a right."""

    error_code = "LW4012"


class NotFound(PlatformRefused):
    """404: it does not exist, or not for this credential."""

    error_code = "LW4013"


def _rebuild(kind: type[PlatformError], platform: str, operation: str, keywords: dict[str, object]) -> PlatformError:
    return kind(platform, operation, **keywords)  # type: ignore[arg-type]
