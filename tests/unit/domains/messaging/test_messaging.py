"""What the brokers' agents say reaches the cloud's conditions."""

from stackroles.agents.broker.protocol import BrokerStatus, State
from stackroles.api.v1alpha1.conditions import Reason
from stackroles.domains.messaging.status import assess_brokers

SPLIT = BrokerStatus(State.SPLIT, message="demo-rabbitmq-1 is in a cluster of its own")


def test_a_second_cluster_is_reported_and_no_answer_is_not() -> None:
    well = BrokerStatus(State.RUNNING, frozenset({"rabbit@a"}))
    assert assess_brokers({"demo-rabbitmq-0": well, "demo-rabbitmq-1": None}).problem is None
    found = assess_brokers({"demo-rabbitmq-0": well, "demo-rabbitmq-1": SPLIT}).problem
    assert found is not None
    assert found.reason is Reason.MESSAGING_BLOCKED
    assert found.message == "demo-rabbitmq-1 is in a cluster of its own."
