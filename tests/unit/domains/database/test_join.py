"""A primary component is there: what exactly is published, recorded and said."""

from dataclasses import replace

import pytest

from stackroles.agents.galera.protocol import (
    DONOR,
    Activity,
    Decision,
    MemberPhase,
    Mode,
    Position,
)
from stackroles.domains.database.decide import decide
from stackroles.domains.database.model import Bootstrap, Member, Outcome, Verdict
from tests.unit.domains.database.test_decide import (
    FORMED,
    U1,
    U2,
    at,
    decisions,
    member,
    synced,
    unknown,
)

TERM = replace(FORMED, epoch=7, leader="one")
TWO = [synced(0, size=2), synced(1, size=2)]
STARTED = Bootstrap(
    member="m-1",
    pod_uid="pod-1",
    volume_id="vol-1",
    decision=Decision(attempt="attempt-1", epoch=6, mode=Mode.BOOTSTRAP, uuid=U1, seqno=9),
)


def test_a_join_is_published_for_the_attempt_and_position_that_were_reported() -> None:
    decision = Decision(attempt="attempt-2", epoch=7, mode=Mode.JOIN, uuid=U1, seqno=5)

    assert decide([*TWO, at(2, 5)], TERM, "one") == Outcome(
        verdict=Verdict.JOINING,
        message="m-2 joins m-0, m-1.",
        persisted=TERM,
        decisions={"m-2": decision},
        decided="m-2 joins m-0, m-1.",
    )


def test_one_whose_position_is_not_known_gets_the_data_as_a_whole() -> None:
    failed = member(2, position=Position(error="disk full"))

    assert decide([*TWO, failed], FORMED, "one").decisions["m-2"].full


def test_one_that_holds_all_that_is_committed_joins() -> None:
    assert decisions(decide([*TWO, at(2, 100)], FORMED, "one")) == {"m-2": (Mode.JOIN, 100)}


def test_the_present_members_of_a_component_keep_nobody_from_joining() -> None:
    both = frozenset({"10.0.0.0", "10.0.0.1"})
    serving = [synced(n, size=2, addresses=both) for n in range(2)]

    assert decisions(decide([*serving, at(2, 5)], FORMED, "one")) == {"m-2": (Mode.JOIN, 5)}


def test_a_component_of_another_history_than_that_on_record_stops_everything() -> None:
    outcome = decide([synced(0, size=1, uuid=U2), at(1, 5), at(2, 5)], FORMED, "one")

    assert (outcome.verdict, outcome.decisions) == (Verdict.HISTORIES_DIFFER, {})
    assert outcome.persisted == FORMED


@pytest.mark.parametrize(
    ("members", "said"),
    [
        ([synced(0), at(1, 5), at(2, 5)], "The component still counts a member that has ended."),
        ([unknown(0), synced(1, size=1, state=DONOR), at(2, 5)],
         "m-1 is sending its state to a member that joins."),
        ([synced(0, size=1), member(1, phase=MemberPhase.STARTING), at(2, 5)], "m-1 is joining."),
        ([synced(0, size=1), member(1, phase=MemberPhase.RUNNING, activity=Activity.TRANSFER),
          at(2, 5)], "m-1 is joining."),
    ],
)  # fmt: skip
def test_nobody_joins_meanwhile(members: list[Member], said: str) -> None:
    outcome = decide(members, TERM, "one")

    assert (outcome.verdict, outcome.decisions) == (Verdict.JOINING, {})
    assert (outcome.message, outcome.decided) == (said, "")


@pytest.mark.parametrize(
    ("addressee", "attempt"),
    [
        (synced(1, size=2), ""),
        (at(1, 9, attempt="later"), ""),
        (at(1, 9), "attempt-1"),
        (unknown(1), "attempt-1"),
        (None, "attempt-1"),
    ],
    ids=["applied", "out of date", "pending", "unknown", "gone"],
)
def test_a_recorded_start_stands_until_it_was_applied_or_is_out_of_date(
    addressee: Member | None, attempt: str
) -> None:
    members = [synced(0, size=1), *([addressee] if addressee else []), at(2, 5)]

    record = decide(members, replace(TERM, bootstrap=STARTED), "one").persisted.bootstrap

    assert record == replace(STARTED, decision=replace(STARTED.decision, attempt=attempt))


def test_a_message_names_all_that_wait_and_why() -> None:
    full, resting = at(1, 5, full=True), at(2, 5, backing_off=True)
    waits = decide([synced(0, size=1), full, resting], FORMED, "one")
    assert waits.message == (
        "m-1, m-2: not yet synced; m-0 serve. m-1: waits for room on its volume."
    )

    ahead = decide([synced(0, size=1), at(1, 101), at(2, 102)], FORMED, "one")
    assert "then empty its volume. m-2 holds transactions up to 102" in ahead.message

    failing = [at(n, 5, failed_starts=n, failure=f"why {n}", backing_off=True) for n in (1, 2)]
    quoted = decide([synced(0, size=1), *failing], FORMED, "one")
    assert quoted.message.endswith("m-0 serve. m-1, start 1: why 1 m-2, start 2: why 2")
