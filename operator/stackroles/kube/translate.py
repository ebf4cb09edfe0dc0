"""Kubernetes API failures become our own errors here, and nowhere else."""

import json
from collections.abc import Mapping
from typing import Any, Final

from stackroles.errors import (
    ClusterError,
    Conflict,
    Expired,
    Forbidden,
    NotFound,
    Rejected,
    Throttled,
    Unavailable,
)

_DEFAULT_DELAY: Final = 1.0
_REFUSED: Final = frozenset({400, 413, 415, 422})
_PLAIN: Final[dict[int, type[ClusterError]]] = {
    401: Forbidden,
    403: Forbidden,
    404: NotFound,
    409: Conflict,
    410: Expired,
    412: Conflict,
}


def to_error(what: str, status: int, headers: Mapping[str, str], body: bytes) -> ClusterError:
    """Return the error of our tree for an HTTP answer of 400 or more.

    Args:
        what: the request in a few words, such as "PATCH StatefulSet demo/db".
        status: the HTTP status.
        headers: the answer's headers; Retry-After counts on 429 and 503.
        body: the answer, a metav1.Status when the API server itself answered.
    """
    details = _status_object(body)
    message = f"{what}: {details.get('message') or f'HTTP {status}'}"
    if status == 429:
        return Throttled(message, _retry_after(headers, details))
    if status in _REFUSED:
        return Rejected(message, status, _fields(details))
    fallback = Unavailable if status >= 500 else ClusterError
    return _PLAIN.get(status, fallback)(message, status)


def _status_object(body: bytes) -> dict[str, Any]:
    """Return the metav1.Status in an answer; proxies in between may send anything else."""
    try:
        value = json.loads(body)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


def _fields(status: dict[str, Any]) -> tuple[str, ...]:
    causes = (status.get("details") or {}).get("causes") or ()
    return tuple(cause["field"] for cause in causes if cause.get("field"))


def _retry_after(headers: Mapping[str, str], status: dict[str, Any]) -> float:
    value = headers.get("Retry-After") or (status.get("details") or {}).get("retryAfterSeconds")
    try:
        return max(float(value), 0.0) if value is not None else _DEFAULT_DELAY
    except ValueError:  # an HTTP date: rare, and never from an API server
        return _DEFAULT_DELAY
