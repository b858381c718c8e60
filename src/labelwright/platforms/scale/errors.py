"""Scale's errors, as classes of the platform error tree.

PlatformUnavailable
|- TooManyRequests         429
|- InternalError           500
|- ServiceUnavailable      503
'- TimedOut                504
PlatformRefused
|- InvalidRequest          400
|- NotEnabled              402: this account may not create tasks of that type
'- Duplicate               409: a name or a unique_id that is taken
   (401 is AccessDenied and 404 NotFound, as on every platform)

Status and message are Scale's own: `{"status_code": 409, "error": "..."}`.
"""

from __future__ import annotations

from labelwright.platforms.errors import PlatformError, PlatformRefused, PlatformUnavailable


class TooManyRequests(PlatformUnavailable):
    """429: nothing was done. Scale documents no number and no Retry-After."""


class InternalError(PlatformUnavailable):
    """500: the request may have taken effect all the same."""


class ServiceUnavailable(PlatformUnavailable):
    """503: the request was queued for too long."""


class TimedOut(PlatformUnavailable):
    """504: the request may have taken effect all the same."""


class InvalidRequest(PlatformRefused):
    """400: a parameter is missing or wrong, or the object's state does not allow the request."""


class NotEnabled(PlatformRefused):
    """402: the account has to be enabled for this type of task first."""


class Duplicate(PlatformRefused):
    """409: the name, the unique_id or the reference_id is taken."""


_BY_STATUS: dict[int, type[PlatformError]] = {
    400: InvalidRequest,
    402: NotEnabled,
    409: Duplicate,
    429: TooManyRequests,
    500: InternalError,
    503: ServiceUnavailable,
    504: TimedOut,
}
_ADVICE = {402: "Ask Scale to enable this type of task for the account."}


def classify(error: PlatformError) -> PlatformError:
    """Returns the same error as the class that Scale documents for its status."""
    kind = _BY_STATUS.get(error.status or 0, type(error))
    message, advice = error.message, _ADVICE.get(error.status or 0, error.advice)
    if isinstance(error, PlatformUnavailable):
        unavailable = kind if issubclass(kind, PlatformUnavailable) else type(error)
        return unavailable(
            error.platform,
            error.operation,
            status=error.status,
            message=message,
            advice=advice,
            retry_after=error.retry_after,
        )
    return kind(error.platform, error.operation, status=error.status, message=message, advice=advice)
