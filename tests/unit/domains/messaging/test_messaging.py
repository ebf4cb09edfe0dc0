"""What is decided about the brokers of a cloud, and what its conditions say of them."""

from collections.abc import Sequence
from dataclasses import replace

import pytest

from stackroles.agents.broker.protocol import (
    BrokerDecision,
    BrokerMode,
    BrokerStatus,
    State,
    VhostQueues,
)
from stackroles.api.v1alpha1.cloud_controller import CloudControllerStatus, Recovery
from stackroles.api.v1alpha1.conditions import Reason
from stackroles.domains.messaging.decide import LOST_SECONDS, Outcome, decide
from stackroles.domains.messaging.departures import view_members
from stackroles.domains.messaging.model import Broker, Brokers
from stackroles.domains.messaging.status import assess_health, remembered_messaging
from stackroles.workloads.departures import MemberView

PODS = [f"demo-rabbitmq-{n}" for n in range(3)]
NODES = frozenset(f"rabbit@{pod}.demo-rabbitmq.ns.svc" for pod in PODS)
LACKS = "calls in progress"
SERVING = BrokerStatus(State.RUNNING, NODES, running=NODES)
WAITING = BrokerStatus(State.STOPPED, attempt="attempt", seconds=LOST_SECONDS)
EMPTY = BrokerStatus(State.EMPTY)
SPLIT = BrokerStatus(
    State.SPLIT,
    message="demo-rabbitmq-2 is in a cluster of its own, its queues hold 7 messages",
    attempt="attempt",
)


def brokers(
    *reports: BrokerStatus | None, consent: Recovery | None = None, claims: Sequence[str] = "abc"
) -> Brokers:
    """Return brokers with their reports."""
    return Brokers(
        owner_uid="uid-demo",
        role="rabbitmq",
        members=[
            Broker(pod=pod, claim=claim, report=report)
            for pod, claim, report in zip(PODS, claims, reports, strict=True)
        ],
        consent=consent,
    )


def message(outcome: Outcome) -> str:
    """Return the message of a problem."""
    assert outcome.problem is not None
    assert outcome.problem.reason is Reason.MESSAGING_BLOCKED
    return outcome.problem.message


def offered(outcome: Outcome) -> Recovery:
    """Return the consent that a message asks for."""
    text = message(outcome).partition("spec.roles.rabbitmq.recovery to {")[2].partition("}")[0]
    survivor, _, incident = text.removeprefix("from: ").partition(", incident: ")
    return Recovery(survivor=survivor, incident=incident)


def test_brokers_that_serve_need_nobody_and_no_answer_is_no_problem() -> None:
    assert decide(brokers(SERVING, SERVING, SERVING), LACKS) == Outcome()
    assert decide(brokers(SERVING, SERVING, None), LACKS) == Outcome()


def test_what_an_agent_says_reaches_the_condition() -> None:
    says = replace(EMPTY, message="demo-rabbitmq-2 has an empty volume and waits")
    outcome = decide(brokers(SERVING, SERVING, says), LACKS)
    assert message(outcome) == "demo-rabbitmq-2 has an empty volume and waits."


@pytest.mark.parametrize(
    "reports",
    [
        (WAITING, WAITING, None),
        (WAITING, WAITING, EMPTY),
        (WAITING, WAITING, WAITING),
        (EMPTY, EMPTY, EMPTY),
        (None, None, None),
        (WAITING, BrokerStatus(State.FORMING), EMPTY),
    ],
)
def test_a_majority_and_what_has_no_data_at_all_comes_together_by_itself(
    reports: tuple[BrokerStatus | None, ...],
) -> None:
    assert decide(brokers(*reports), LACKS) == Outcome()


def test_a_lost_majority_is_named_with_its_cost_once_it_lasts() -> None:
    soon = replace(WAITING, seconds=LOST_SECONDS - 1)
    assert decide(brokers(soon, EMPTY, None), LACKS) == Outcome(settled=False)
    text = message(decide(brokers(WAITING, EMPTY, None), LACKS))
    assert "demo-rabbitmq-1 (its volume is empty), demo-rabbitmq-2 (it does not answer)" in text
    assert "Lost are then calls in progress." in text


def test_with_the_consent_that_is_asked_for_the_named_broker_continues() -> None:
    consent = offered(decide(brokers(WAITING, EMPTY, None), LACKS))
    outcome = decide(brokers(WAITING, EMPTY, None, consent=consent), LACKS)
    assert outcome == Outcome(
        decisions={
            PODS[0]: BrokerDecision(
                attempt="attempt", mode=BrokerMode.CONTINUE, incident=consent.incident
            )
        }
    )
    # Also before anybody would have been warned: the user knows.
    soon = replace(WAITING, seconds=0)
    assert decide(brokers(soon, EMPTY, None, consent=consent), LACKS).decisions


def test_the_broker_that_ran_last_is_named_as_the_one_to_continue_from() -> None:
    """Of five, two remain: the first was killed before the second."""
    nodes = {pod: f"rabbit@{pod}.demo-rabbitmq.ns.svc" for pod in PODS}
    first = replace(WAITING, last_seen=frozenset(nodes.values()))
    second = replace(WAITING, last_seen=frozenset({nodes[PODS[1]], nodes[PODS[2]]}))
    five = brokers(first, second, None)
    more = [*five.members, Broker(pod="demo-rabbitmq-3"), Broker(pod="demo-rabbitmq-4")]
    assert offered(decide(replace(five, members=more), LACKS)).survivor == PODS[1]


def test_a_consent_that_stays_never_applies_to_a_later_loss() -> None:
    consent = offered(decide(brokers(WAITING, EMPTY, None), LACKS))
    recovered = replace(WAITING, recovered=consent.incident)
    for later in (
        brokers(recovered, EMPTY, None, consent=consent),
        brokers(WAITING, EMPTY, None, consent=consent, claims="abd"),
        brokers(EMPTY, WAITING, None, consent=consent),
    ):
        outcome = decide(later, LACKS)
        assert not outcome.decisions
        assert f"for another incident, {consent.incident}" in message(outcome)


def test_a_consent_to_continue_from_lost_data_is_refused() -> None:
    consent = offered(decide(brokers(WAITING, EMPTY, None), LACKS))
    wrong = Recovery(survivor=PODS[1], incident=consent.incident)
    outcome = decide(brokers(WAITING, EMPTY, None, consent=wrong), LACKS)
    assert not outcome.decisions
    assert "names demo-rabbitmq-1, which has no data" in message(outcome)


def test_a_second_cluster_with_messages_is_given_up_only_by_consent() -> None:
    outcome = decide(brokers(SERVING, SERVING, SPLIT), LACKS)
    assert not outcome.decisions
    assert message(outcome).startswith(f"{SPLIT.message}. To have demo-rabbitmq-2 join the others")
    consent = offered(outcome)
    assert decide(brokers(SERVING, SERVING, SPLIT, consent=consent), LACKS).decisions == {
        PODS[2]: BrokerDecision(attempt="attempt", mode=BrokerMode.YIELD, incident=consent.incident)
    }


def test_a_consent_that_stays_in_the_spec_gives_up_no_second_cluster_twice() -> None:
    consent = offered(decide(brokers(SERVING, SERVING, SPLIT), LACKS))
    again = replace(SPLIT, yielded=consent.incident)
    outcome = decide(brokers(SERVING, SERVING, again, consent=consent), LACKS)
    assert not outcome.decisions
    assert offered(outcome).incident != consent.incident


def test_sound_brokers_are_sound_and_silent_ones_are_unknown() -> None:
    assert assess_health(brokers(SERVING, SERVING, SERVING)).reason is Reason.BROKERS_SOUND
    assert assess_health(brokers(None, EMPTY, WAITING)).reason is Reason.BROKERS_UNKNOWN


def test_an_alarm_names_broker_space_and_the_queue_with_most_messages() -> None:
    full = replace(
        SERVING,
        alarms=("disk",),
        disk_free=12 << 20,
        disk_limit=95 << 20,
        largest="info in notify: 1000000",
    )
    found = assess_health(brokers(full, SERVING, SERVING))
    assert found.reason is Reason.BROKER_ALARM
    assert "demo-rabbitmq-0 has an alarm (disk): nobody can publish" in found.message
    assert "12 MiB of its volume are free, and 95 MiB must be" in found.message
    assert "info in notify: 1000000" in found.message


def test_a_volume_is_reported_before_the_alarm_comes() -> None:
    filling = replace(SERVING, disk_free=400 << 20, disk_limit=95 << 20)
    assert assess_health(brokers(filling, SERVING, SERVING)).reason is Reason.BROKER_VOLUME_FILLING
    enough = replace(filling, disk_free=500 << 20)
    assert assess_health(brokers(enough, SERVING, SERVING)).reason is Reason.BROKERS_SOUND


def test_queues_that_lack_members_are_named_with_their_account() -> None:
    small = VhostQueues(total=30, small=21, small_names=("conductor", "scheduler"))
    found = assess_health(brokers(replace(SERVING, queues={"nova": small}), SERVING, None))
    assert found.reason is Reason.QUEUES_TOO_SMALL
    assert "21 of 30 queues of nova" in found.message
    assert "conductor, scheduler and 19 more" in found.message
    silent = VhostQueues(total=30, silent=1, silent_names=("compute.node",))
    report = replace(SERVING, queues={"nova": silent})
    found = assess_health(brokers(SERVING, report, None))
    assert found.reason is Reason.QUEUES_WITHOUT_MAJORITY
    assert "1 of 30 queues of nova" in found.message


def test_a_partition_is_named() -> None:
    parted = replace(SERVING, partitions=frozenset({"rabbit@demo-rabbitmq-2.demo-rabbitmq.ns.svc"}))
    found = assess_health(brokers(parted, SERVING, None))
    assert found.reason is Reason.BROKERS_PARTED
    assert "demo-rabbitmq-0 is parted from demo-rabbitmq-2" in found.message


def test_without_a_status_nothing_is_remembered() -> None:
    state = remembered_messaging(CloudControllerStatus())
    assert state.problem is None
    assert state.health.reason is Reason.BROKERS_UNKNOWN


def test_a_broker_has_left_when_it_says_so_and_none_counts_it() -> None:
    left = BrokerStatus(State.LEFT)
    reports: dict[str, BrokerStatus | None] = dict(zip(PODS, (SERVING, SERVING, left), strict=True))
    assert view_members(reports)[2] == MemberView()
    fewer = replace(SERVING, members=frozenset(n for n in NODES if PODS[2] not in n))
    gone = {PODS[0]: fewer, PODS[1]: fewer, PODS[2]: left}
    assert view_members(gone)[2] == MemberView(left=True)
    assert view_members({PODS[2]: left, PODS[0]: None}) == {2: MemberView()}


def test_a_broker_is_healthy_when_it_serves_with_a_majority() -> None:
    alone = replace(SERVING, running=frozenset([min(NODES)]))
    joining = replace(SERVING, message="it has no member of 3 queues yet")
    found = view_members(dict(zip(PODS, (SERVING, alone, joining), strict=True)))
    assert [found[n].healthy for n in range(3)] == [True, False, False]
