from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from stackroles.api.v1alpha1.conditions import Reason
from stackroles.workloads.rejected_pods import assess_rejections, lacks_pods

Object = dict[str, Any]
NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
QUOTA = 'create Pod db-0 in StatefulSet db failed error: pods "db-0" is forbidden: exceeded quota'


def ago(minutes: float) -> str:
    return (NOW - timedelta(minutes=minutes)).isoformat().replace("+00:00", "Z")


def workload(age: float = 60) -> Object:
    return {"kind": "StatefulSet", "metadata": {"name": "db", "creationTimestamp": ago(age)}}


def pod(age: float = 30, *, going: bool = False) -> Object:
    metadata = {"name": "db-0", "creationTimestamp": ago(age)}
    return {"metadata": metadata | ({"deletionTimestamp": ago(0)} if going else {})}


def event(age: float, note: str = QUOTA, **times: Any) -> Object:
    times = times or {"deprecatedLastTimestamp": ago(age)}
    return {"metadata": {"creationTimestamp": ago(50)}, "note": note, **times}


@pytest.mark.parametrize(
    ("pods", "age", "lacks"),
    [
        ([], 60, True),
        ([pod()], 60, True),
        ([pod(), pod(), pod()], 60, False),
        # its controller may not have come to it yet
        ([], 0.1, False),
        # one that goes is made again when it is gone
        ([pod(), pod(going=True)], 60, False),
    ],
)
def test_fewer_pods_than_wanted_for_some_time(pods: list[Object], age: float, lacks: bool) -> None:
    assert lacks_pods(workload(age), pods, 3, NOW) is lacks


@pytest.mark.parametrize(
    "times",
    [
        {},
        {"eventTime": ago(2)},
        {"eventTime": ago(40), "series": {"count": 9, "lastObservedTime": ago(2)}},
    ],
)
def test_the_newest_refusal_is_reported_with_its_own_message(times: Object) -> None:
    older = event(10, "something else")
    found = assess_rejections(workload(), [pod()], [older, event(2, **times)], NOW)
    assert found is not None
    assert found.reason is Reason.PODS_REFUSED
    assert QUOTA in found.message
    assert "Pods of StatefulSet db are refused" in found.message
    assert "Change the quota or the policy" in found.message


@pytest.mark.parametrize(
    ("pods", "events"),
    [
        ([], []),
        # a pod was made since: what was refused then is not refused now
        ([pod(1)], [event(2)]),
        # its controller would have tried again
        ([], [event(30)]),
    ],
)
def test_what_is_over_is_not_reported(pods: list[Object], events: list[Object]) -> None:
    assert assess_rejections(workload(), pods, events, NOW) is None
