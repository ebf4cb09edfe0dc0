"""Brokers of the real server with the real agent: they come together by themselves, without loss.

It needs a container engine and the images of the `rabbitmq` and `nova` roles: `make build`, and the
exports that `python -m lab env` prints.
"""

from collections.abc import Iterator

import pytest

from stackroles.agents.broker.protocol import BrokerMode, State
from tests.support.broker_members import BrokerMembers
from tests.support.ovn_members import await_until, image

IMAGE, CLIENT = image("rabbitmq"), image("nova")
QUEUE = "acknowledged"
MESSAGES = 2000
INCIDENT = "0123abcd"
FORM_SECONDS = 300
WHOLE_SECONDS = 300

pytestmark = pytest.mark.skipif(
    not (IMAGE and CLIENT), reason="no container engine with the images answers"
)


@pytest.fixture
def brokers() -> Iterator[BrokerMembers]:
    """Three brokers with messages that were confirmed."""
    with BrokerMembers("test-broker-members", IMAGE, CLIENT) as found:
        found.await_whole(FORM_SECONDS)
        assert found.publish(QUEUE, MESSAGES)["confirmed"] == MESSAGES
        yield found


def nothing_is_lost(brokers: BrokerMembers, members: tuple[int, ...] = (0, 1, 2)) -> bool:
    """Return whether all brokers are whole and every confirmed message is there."""
    brokers.await_whole(WHOLE_SECONDS, members)
    found = brokers.fetch(QUEUE, MESSAGES)
    assert found["lost"] == 0, found
    return True


def test_a_lost_volume_is_filled_again(brokers: BrokerMembers) -> None:
    brokers.lose(1)
    brokers.start(1)
    assert nothing_is_lost(brokers)
    assert "is to forget rabbit@demo-rabbitmq-1" in brokers.log(1)


def test_a_majority_starts_without_a_broker_that_stays_away(brokers: BrokerMembers) -> None:
    brokers.stop(2)
    brokers.kill(0, 1)
    await_until(
        "the majority serves",
        WHOLE_SECONDS,
        lambda: all((s := brokers.status(n)) and s.state is State.RUNNING for n in (0, 1)),
        brokers.report,
    )
    brokers.start(2)
    assert nothing_is_lost(brokers)


def test_a_majority_starts_without_a_volume_that_is_lost(brokers: BrokerMembers) -> None:
    brokers.lose(2)
    brokers.kill(0, 1)
    brokers.start(2)
    assert nothing_is_lost(brokers)


def test_by_consent_one_broker_continues_and_those_given_up_join_it_anew(
    brokers: BrokerMembers,
) -> None:
    """One of the two comes back with its data, after its queues went on without it."""
    brokers.stop(1)
    brokers.lose(2)
    brokers.kill(0)
    brokers.start(2)
    brokers.publish_decision(0, BrokerMode.CONTINUE, INCIDENT)
    await_until(
        "it is the cluster",
        WHOLE_SECONDS,
        lambda: bool((s := brokers.status(0)) and s.recovered and s.state is State.RUNNING),
        brokers.report,
    )
    brokers.start(1)
    assert nothing_is_lost(brokers)
    assert "puts its data aside" in brokers.log(1)


def part(brokers: BrokerMembers, messages: int) -> None:
    """Let member 2 come back as a cluster of its own, which the others do not know of."""
    brokers.lose(2)
    brokers.form_apart(2, messages)
    brokers.start(2)


def test_a_second_cluster_without_messages_joins_the_first(brokers: BrokerMembers) -> None:
    part(brokers, 0)
    assert nothing_is_lost(brokers)
    assert "which holds no message" in brokers.log(2)


def test_a_second_cluster_with_messages_joins_by_consent_alone(brokers: BrokerMembers) -> None:
    part(brokers, 7)
    await_until(
        "it is stopped",
        WHOLE_SECONDS,
        lambda: bool((s := brokers.status(2)) and s.state is State.SPLIT),
        brokers.report,
    )
    status = brokers.status(2)
    assert status
    assert "its queues hold 7 messages" in status.message
    brokers.publish_decision(2, BrokerMode.YIELD, INCIDENT)
    assert nothing_is_lost(brokers)


def test_a_frozen_broker_keeps_nobody_from_publishing(brokers: BrokerMembers) -> None:
    brokers.freeze(2, frozen=True)
    result = brokers.publish("beside", 500)
    brokers.freeze(2, frozen=False)
    assert result["longest"] < 20, result
    assert nothing_is_lost(brokers)


def test_brokers_leave_one_by_one_with_nothing_left_behind(brokers: BrokerMembers) -> None:
    for member in (2, 1, 0):
        brokers.stop(member)
        brokers.start(member, size=1)
        brokers.await_whole(WHOLE_SECONDS)
    for leaver, stay in ((2, (0, 1)), (1, (0,))):
        brokers.ask_to_leave(leaver)
        await_until(
            f"{leaver} has left",
            WHOLE_SECONDS,
            lambda leaver=leaver: bool((s := brokers.status(leaver)) and s.state is State.LEFT),  # type: ignore[misc]
            brokers.report,
        )
        brokers.lose(leaver)
        brokers.await_whole(WHOLE_SECONDS, stay)
    assert nothing_is_lost(brokers, (0,))


def test_queues_of_one_broker_have_members_on_all_before_the_first_is_replaced() -> None:
    with BrokerMembers("test-broker-growth", IMAGE, CLIENT, size=1) as brokers:
        brokers.await_whole(FORM_SECONDS)
        brokers.publish(QUEUE, MESSAGES)
        brokers.size = 3
        for member in (1, 2):
            brokers.start(member)
        # Ready: a StatefulSet replaces the first one from then on.
        await_until(
            "the new ones are ready",
            WHOLE_SECONDS,
            lambda: all(
                (s := brokers.status(n)) and s.state is State.RUNNING and not s.message
                for n in (1, 2)
            ),
            brokers.report,
        )
        brokers.lose(0)
        brokers.start(0)
        assert nothing_is_lost(brokers)
