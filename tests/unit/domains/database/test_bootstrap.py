"""Nobody is primary: what exactly is published, recorded and said."""

from dataclasses import replace

import pytest

from stackroles.agents.galera.protocol import Decision, MemberPhase, Mode, Position
from stackroles.domains.database.bootstrap import MERGE_SECONDS
from stackroles.domains.database.decide import decide
from stackroles.domains.database.members import STARTS_THAT_TELL
from stackroles.domains.database.model import Bootstrap, Member, Outcome, PersistedState, Verdict
from tests.unit.domains.database.test_decide import (
    FORMED,
    U1,
    U2,
    VOLUMES,
    at,
    decisions,
    empty,
    member,
    outside,
    unknown,
)

TERM = replace(FORMED, epoch=7, leader="one")
CREATED = Bootstrap(
    member="m-0",
    pod_uid="pod-0",
    volume_id="vol-0",
    decision=Decision(attempt="", epoch=1, mode=Mode.CREATE),
)


def cut_off(n: int) -> Member:
    return member(n, position=Position(transfer=True))


# -- starting --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("members", "before", "chosen", "mode", "does"),
    [
        ([at(0, 5), at(1, 9), at(2, 7)], TERM, 1, Mode.BOOTSTRAP, "starts at 9"),
        ([empty(0), empty(1)], PersistedState(epoch=7, leader="one"), 0, Mode.CREATE,
         "makes the database"),
    ],
)  # fmt: skip
def test_a_start_is_published_and_recorded_for_the_attempt_and_volume_of_the_chosen(
    members: list[Member], before: PersistedState, chosen: int, mode: Mode, does: str
) -> None:
    position = members[chosen].position
    assert position is not None
    decision = Decision(
        attempt=f"attempt-{chosen}", epoch=7, mode=mode, uuid=position.uuid, seqno=position.seqno
    )
    record = Bootstrap(
        member=f"m-{chosen}",
        pod_uid=f"pod-{chosen}",
        volume_id=f"vol-{chosen}",
        decision=decision,
    )
    message = f"m-{chosen} {does}; the others join it."

    assert decide(members, before, "one") == Outcome(
        verdict=Verdict.STARTING,
        message=message,
        persisted=replace(before, bootstrap=record),
        decisions={f"m-{chosen}": decision},
        decided=message,
    )


@pytest.mark.parametrize(
    ("members", "start"),
    [
        ([empty(0), at(1, 0), empty(2)], ("m-1", 0)),
        ([cut_off(0), at(1, 0), empty(2)], ("m-1", 0)),
        ([cut_off(0), at(1, -1), cut_off(2)], ("m-1", -1)),
        ([at(0, -1), at(1, 0), at(2, -1)], ("m-1", 0)),
    ],
)
def test_the_least_that_a_history_holds_is_more_than_none(
    members: list[Member], start: tuple[str, int]
) -> None:
    name, seqno = start

    outcome = decide(members, replace(FORMED, volumes={}), "one")

    assert decisions(outcome) == {name: (Mode.BOOTSTRAP, seqno)}


@pytest.mark.parametrize(
    "members", [[cut_off(0), empty(1), empty(2)], [empty(0), cut_off(1)], [cut_off(0), cut_off(1)]]
)
def test_what_a_transfer_has_left_is_no_new_database_even_without_a_record(
    members: list[Member],
) -> None:
    for persisted in (PersistedState(), FORMED):
        outcome = decide(members, replace(persisted, volumes={}), "one")

        assert (outcome.verdict, outcome.decisions) == (Verdict.VOLUME_LOST, {})


def test_one_that_rests_between_its_starts_is_starting() -> None:
    resting = at(0, 9, failed_starts=STARTS_THAT_TELL, failure="why", backing_off=True)

    outcome = decide([resting, at(1, 5), at(2, 5)], TERM, "one")

    assert (outcome.verdict, outcome.decisions, outcome.decided) == (Verdict.STARTING, {}, "")
    assert outcome.persisted == TERM


# -- what is lost, and what is not -----------------------------------------------------------------


def test_a_joiner_whose_volume_is_on_record_and_still_empty_has_lost_nothing() -> None:
    assert decisions(decide([at(0, 5), empty(1), at(2, 5)], FORMED, "one")) == {
        "m-0": (Mode.BOOTSTRAP, 5)
    }


def test_data_that_is_back_on_another_volume_is_not_lost() -> None:
    back = at(2, 9, volume_id="vol-new")

    assert decisions(decide([at(0, 5), at(1, 5), back], FORMED, "one")) == {
        "m-2": (Mode.BOOTSTRAP, 9)
    }


def test_a_founder_whose_volume_was_replaced_since_is_a_member_like_any_other() -> None:
    volumes = {**VOLUMES, "m-0": "vol-new"}
    persisted = replace(FORMED, volumes=volumes, bootstrap=CREATED)
    members = [at(0, 9, volume_id="vol-new"), at(1, 5), at(2, 5)]

    assert decisions(decide(members, persisted, "one")) == {"m-0": (Mode.BOOTSTRAP, 9)}


# -- waiting for reports ---------------------------------------------------------------------------


def test_a_request_to_report_is_for_the_present_attempt_in_the_term_of_the_leader() -> None:
    outcome = decide([at(0, 5), at(1, 5), outside(2, 1)], TERM, "one")

    message = "Nobody is primary; m-2 must stop to report what they hold."
    assert outcome == Outcome(
        verdict=Verdict.WAITING,
        message=message,
        persisted=TERM,
        decisions={"m-2": Decision(attempt="attempt-2", epoch=7, mode=Mode.RECOVER)},
        decided=message,
    )


def test_so_is_one_to_a_member_that_may_still_be_starting() -> None:
    start = Decision(attempt="attempt-0", epoch=6, mode=Mode.BOOTSTRAP, uuid=U1, seqno=5)
    persisted = replace(TERM, bootstrap=replace(CREATED, decision=start))

    outcome = decide([at(0, 5), at(1, 9), at(2, 5)], persisted, "one")

    assert outcome.verdict is Verdict.WAITING
    assert outcome.decisions == {
        "m-0": Decision(attempt="attempt-0", epoch=7, mode=Mode.RECOVER),
    }


@pytest.mark.parametrize(
    ("others", "seconds"), [([at(0, 5)], 1), ([at(0, 5), outside(1, MERGE_SECONDS)], MERGE_SECONDS)]
)
def test_one_without_a_component_is_asked_once_nobody_can_come_back_to_it(
    others: list[Member], seconds: int
) -> None:
    number = len(others)

    assert not decide([*others, outside(number, seconds - 1)], PersistedState(), "one").decisions
    asked = decide([*others, outside(number, seconds)], PersistedState(), "one").decisions
    assert f"m-{number}" in asked


# -- what a person reads ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("members", "said"),
    [
        ([at(0, 5), unknown(1), unknown(2)], "No report from m-1, m-2;"),
        ([member(0, phase=MemberPhase.STARTING), at(1, 5)], "m-0 is starting."),
        ([outside(0, 99), outside(1, 99), at(2, 5)], "; m-0, m-1 must stop"),
        ([member(n, position=Position(error=f"why {n}")) for n in range(2)],
         "m-0: why 0; m-1: why 1 "),
        ([at(0, 5, U2), at(1, 5)], f"({U1}, {U2}; on record: none)"),
    ],
)  # fmt: skip
def test_a_message_names_all_that_it_is_about(members: list[Member], said: str) -> None:
    assert said in decide(members, PersistedState(), "one").message
