"""What can go wrong between us and a platform.

PlatformError              platform, verb, HTTP status, the server's own words
|- PlatformUnavailable     may work if asked again: no answer, 408, 429 (with its Retry-After), 5xx
'- PlatformRefused         will not, however often
   |- AccessDenied         401, 403
   '- NotFound             404
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from labelwright.security.masking import mask, mask_own

_LONGEST = 365 * 86_400.0


class PlatformError(Exception):
    """A call to a platform that failed. Never holds a header, a key or a signed URL: secrets are masked here, by value
    and by shape, whoever makes the error and whatever the server's words repeat."""

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
        text = self._without_advice()
        if self.advice:
            return f"{text}. {self.advice}"
        return f"{text}." if self.message.endswith(".") else text

    def _without_advice(self) -> str:
        text = f"{self.platform} {self._answered()} {self.operation}"
        if self.message:
            text += f": {self.message}"
        return text.removesuffix(".")

    def _answered(self) -> str:
        answered = f"answered {self.status}" if self.status is not None else "did not answer"
        return f"{answered} when asked to"

    def __reduce__(self) -> tuple[object, ...]:
        keywords = {"status": self.status, "message": self.message, "advice": self.advice}
        return _rebuild, (type(self), self.platform, self.operation, keywords | self._more())

    def _more(self) -> dict[str, object]:
        return {}


class PlatformUnavailable(PlatformError):
    """May work if asked again."""

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
        self.retry_after = retry_after
        """Seconds that the server asked for."""
        if not_before is None and retry_after:
            not_before = datetime.now(UTC) + timedelta(seconds=min(retry_after, _LONGEST))
        self.not_before = not_before
        """When the server may be asked again (UTC); None when it did not say."""

    def __str__(self) -> str:
        if self.not_before is None or self.retry_after is None or self.retry_after < 1:
            return super().__str__()
        # What a person can do next is to wait: no other advice fits.
        return f"{self._without_advice()}. The server asks to wait {self.retry_after:.0f} seconds {self._until()}."

    def _until(self) -> str:
        until = self.not_before or datetime.now(UTC)
        day = "" if until.date() == datetime.now(UTC).date() else f"{until:%Y-%m-%d} "
        return f"(until {day}{until:%H:%M} UTC)"

    def seconds_to_wait(self) -> float:
        """How long the server is still to be left alone."""
        return 0.0 if self.not_before is None else max(0.0, (self.not_before - datetime.now(UTC)).total_seconds())

    def _more(self) -> dict[str, object]:
        return {"retry_after": self.retry_after, "not_before": self.not_before}


class PlatformRefused(PlatformError):
    """Will not work, however often it is asked. Without a status it was refused on our side and never sent."""

    def _answered(self) -> str:
        return f"answered {self.status} when asked to" if self.status is not None else "was not asked to"


class AccessDenied(PlatformRefused):
    """401 or 403: the credential is missing, wrong, or lacks a right."""


class NotFound(PlatformRefused):
    """404: the thing is not there, or not for this credential."""


def _rebuild(kind: type[PlatformError], platform: str, operation: str, keywords: dict[str, object]) -> PlatformError:
    return kind(platform, operation, **keywords)  # type: ignore[arg-type]
