"""What the brokers' agents say reaches the cloud's conditions."""

import pytest

from stackroles.agents.broker_protocol import BrokerStatus, State
from stackroles.api.v1alpha1.conditions import Reason
from stackroles.domains.messaging.status import assess_brokers, parse_report

SPLIT = BrokerStatus(State.SPLIT, message="demo-rabbitmq-1 is in a cluster of its own")


def test_the_agents_own_form_is_read() -> None:
    running = BrokerStatus(State.RUNNING, frozenset({"rabbit@b", "rabbit@a"}))
    assert parse_report(running.to_json()) == running


@pytest.mark.parametrize("answer", [None, "no", {}, {"state": "running", "members": None}])
def test_another_answer_is_none(answer: object) -> None:
    assert parse_report(answer) is None


def test_a_second_cluster_is_reported_and_no_answer_is_not() -> None:
    well = parse_report(BrokerStatus(State.RUNNING, frozenset({"rabbit@a"})).to_json())
    assert assess_brokers({"demo-rabbitmq-0": well, "demo-rabbitmq-1": None}) is None
    found = assess_brokers(
        {"demo-rabbitmq-0": well, "demo-rabbitmq-1": parse_report(SPLIT.to_json())}
    )
    assert found is not None
    assert found.reason is Reason.MESSAGING_BLOCKED
    assert found.message == "demo-rabbitmq-1 is in a cluster of its own."
