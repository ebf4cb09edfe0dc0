"""Fewer database members: none leaves with what the others lack."""

from dataclasses import replace

import pytest

from stackroles.agents.galera.protocol import Mode
from stackroles.domains.database.decide import decide
from stackroles.domains.database.departures import view_members
from stackroles.domains.database.model import Member, PersistedState, Verdict
from stackroles.domains.database.rolling import RollMember, next_to_restart
from stackroles.workloads.departures import MemberView
from tests.unit.domains.database.test_decide import FORMED, U1, U2, at, decisions, empty, synced

FIVE = replace(FORMED, volumes={f"m-{n}": f"vol-{n}" for n in range(5)})
THREE = [synced(0, size=4), synced(1, size=4), synced(2, size=4)]


def left(n: int, seqno: int = 90, uuid: str = U1) -> Member:
    return at(n, seqno, uuid, leaving=True)


def test_a_member_that_has_left_is_forgotten_and_not_missed() -> None:
    outcome = decide([*THREE, synced(3, size=4), left(4)], FIVE, "one")

    assert outcome.verdict is Verdict.SYNCED
    assert outcome.message == "All 4 members are synced."
    assert outcome.persisted.volumes == {f"m-{n}": f"vol-{n}" for n in range(4)}
    assert not outcome.decisions


def test_a_member_that_left_is_not_waited_for_once_all_others_have_ended() -> None:
    forgotten = decide([*THREE, synced(3, size=4), left(4)], FIVE, "one").persisted

    outcome = decide([at(n, 95) for n in range(4)], forgotten, "one")

    assert decisions(outcome) == {"m-0": (Mode.BOOTSTRAP, 95)}


def test_one_that_still_counts_stays_on_record() -> None:
    counting = [synced(n, size=5, addresses=frozenset({"10.0.0.4"})) for n in range(4)]

    outcome = decide([*counting, left(4)], FIVE, "one")

    assert outcome.persisted.volumes == FIVE.volumes


@pytest.mark.parametrize("ahead", [left(4, seqno=101), left(4, uuid=U2)])
def test_one_that_holds_what_the_others_lack_stays_on_record(ahead: Member) -> None:
    outcome = decide([*THREE, synced(3), ahead], FIVE, "one")

    assert outcome.persisted.volumes == FIVE.volumes
    assert not view_members([*THREE, synced(3), ahead], outcome.persisted, {})[4].left


def test_what_a_member_that_is_to_leave_holds_counts_while_nobody_serves() -> None:
    outcome = decide([at(0, 5), at(1, 5), at(2, 5), at(3, 5), left(4, seqno=9)], FIVE, "one")

    assert decisions(outcome) == {"m-4": (Mode.BOOTSTRAP, 9)}


def test_the_others_join_one_at_a_time_while_one_has_left() -> None:
    outcome = decide([synced(0, size=1), at(1, 90), empty(2), left(3)], FORMED, "one")

    assert decisions(outcome) == {"m-1": (Mode.JOIN, 90)}


def test_new_members_join_one_at_a_time() -> None:
    serving = [synced(n, size=3) for n in range(3)]

    outcome = decide([*serving, empty(3), empty(4)], FORMED, "one")
    assert decisions(outcome) == {"m-3": (Mode.JOIN, -1)}

    joining = replace(empty(3), published=outcome.decisions["m-3"])
    outcome = decide([*serving, joining, empty(4)], outcome.persisted, "one")
    assert not outcome.decisions
    assert outcome.message == "m-3 has a decision to join."


def test_a_member_has_left_only_once_it_is_off_the_record_while_others_serve() -> None:
    members = [*THREE, left(4)]
    whole = MemberView(healthy=True)

    assert view_members(members, FIVE, {}) == {0: whole, 1: whole, 2: whole, 4: MemberView()}
    assert view_members(members, FORMED, {})[4] == MemberView(left=True)
    assert view_members([at(0, 90), left(4)], FORMED, {})[4] == MemberView()
    assert view_members([synced(0), at(4, 90)], FORMED, {})[4] == MemberView()


def test_the_writer_is_not_let_go() -> None:
    def because(writers: dict[str, int | None]) -> str:
        return view_members([synced(4)], PersistedState(), writers)[4].kept_because

    assert because({"p-0": 5, "p-1": 1}) == "it is the writer of p-0"
    assert because({"p-1": 5, "p-0": 5}) == "it is the writer of p-0, p-1"
    assert because({"p-0": None, "p-1": None}) == "no proxy answers which member is the writer"
    assert because({"p-0": None, "p-1": 1}) == ""


def test_a_member_that_has_left_holds_up_no_roll() -> None:
    members = [synced(n, size=3) for n in range(3)]
    rolling = [RollMember(member=m, outdated=m.ordinal == 0) for m in members]

    assert next_to_restart([*rolling, RollMember(member=left(3), outdated=True)], None) == "m-0"
