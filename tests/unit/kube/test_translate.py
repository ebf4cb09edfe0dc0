import json

import pytest

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
from stackroles.kube.translate import to_error


@pytest.mark.parametrize(
    ("status", "expected"),
    [(404, NotFound), (410, Expired), (409, Conflict), (403, Forbidden), (422, Rejected),
     (400, Rejected), (429, Throttled), (500, Unavailable), (503, Unavailable),
     (418, ClusterError)],
)  # fmt: skip
def test_status_becomes_our_error(status: int, expected: type[ClusterError]) -> None:
    assert type(to_error("GET /x", status, {}, b"not json")) is expected


def test_refused_fields_and_the_servers_message_are_kept() -> None:
    causes = [{"field": "spec.replicas", "message": "must be positive"}]
    body = json.dumps({"message": "Deployment is invalid", "details": {"causes": causes}}).encode()

    error = to_error("PATCH /x", 422, {}, body)

    assert isinstance(error, Rejected)
    assert error.fields == ("spec.replicas",)
    assert str(error) == "PATCH /x: Deployment is invalid"


def test_delay_of_a_throttled_request_is_the_servers() -> None:
    error = to_error("GET /x", 429, {"Retry-After": "7"}, b"")

    assert isinstance(error, Throttled)
    assert error.delay == 7.0
