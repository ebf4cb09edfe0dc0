"""What a broker's answer means, and that a report stays small however many queues there are."""

import base64
import json
from typing import Any

import pytest

from stackroles.agents import wire
from stackroles.agents.broker.node import NodeView, parse_answer
from stackroles.agents.broker.protocol import BrokerStatus, State, VhostQueues

# The operator reads no larger answer (reconcile/pod_http.py).
LARGEST = 65536
ANSWER: dict[str, Any] = {
    "members": ["rabbit@a", "rabbit@b"],
    "running": ["rabbit@a"],
    "partitions": [],
    "alarms": ["disk"],
    "disk_free": 7,
    "disk_limit": 9,
    "queues": {
        "nova": {"total": 21, "small": 1, "smallNames": ["q"], "silent": 0, "silentNames": []}
    },
    "leaders": {"rabbit@a": 3, "rabbit@b": 0},
    "lacks": 2,
    "holds": 19,
    "messages": 5,
    "largest": "q in nova: 5",
}


def printed(answer: Any) -> str:
    """Return what erl_call prints for a string."""
    return f'{{ok, "{base64.b64encode(json.dumps(answer).encode()).decode()}"}}'


def test_the_brokers_answer_is_read() -> None:
    found = parse_answer(printed(ANSWER))
    assert found is not None
    assert found.members == {"rabbit@a", "rabbit@b"}
    assert found.queues["nova"] == VhostQueues(total=21, small=1, small_names=("q",))
    assert (found.alarms, found.disk_free, found.lacks) == (("disk",), 7, 2)
    assert found.small == 1


@pytest.mark.parametrize(
    "text", ["{ok, stopped}", "{error, undef}", "", '{ok, "###"}', printed({"members": 1})]
)
def test_a_broker_that_does_not_run_or_says_something_else_has_no_view(text: str) -> None:
    assert parse_answer(text) is None


def test_a_report_of_many_hosts_and_long_names_stays_below_what_is_read() -> None:
    name = "q" * 255
    queues = {
        f"{n:03}{'v' * 252}": VhostQueues(
            total=9, small=n, small_names=(name,) * 5, silent=n, silent_names=(name,) * 5
        )
        for n in range(300)
    }
    view = NodeView(members=frozenset({"rabbit@a"}), queues=queues)
    reported = view.reported()
    assert [queues.silent for queues in reported.values()][:2] == [299, 298]
    status = BrokerStatus(State.RUNNING, view.members, queues=reported)
    assert len(wire.dumps(status)) < LARGEST
    assert wire.loads(BrokerStatus, wire.dumps(status)) == status
