from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stackroles.agents.galera.protocol import (
    DONOR,
    SYNCED,
    Activity,
    Decision,
    MemberPhase,
    Mode,
    Position,
    Report,
    View,
)
from stackroles.domains.database.model import Member
from stackroles.domains.database.rolling import RollMember, next_to_restart


def whole(n: int, *, outdated: bool = True, donor: bool = False, size: int = 3) -> RollMember:
    view = View(
        primary=True,
        synced=not donor,
        uuid="u",
        committed=1,
        size=size,
        state=DONOR if donor else SYNCED,
    )
    return with_report(n, MemberPhase.RUNNING, view=view, outdated=outdated)


def with_report(
    n: int,
    phase: MemberPhase,
    *,
    view: View | None = None,
    outdated: bool = True,
    joining: bool = False,
    failed: int = 0,
    error: str = "",
) -> RollMember:
    position = Position(uuid="u", seqno=1, error=error) if phase is MemberPhase.WAITING else None
    report = Report(
        pod_uid=f"p{n}",
        volume_id=f"v{n}",
        attempt="a",
        phase=phase,
        view=view,
        position=position,
        activity=Activity.JOINING if joining else None,
        failed_starts=failed,
    )
    member = Member(name=f"m-{n}", ordinal=n, pod_uid=f"p{n}", report=report)
    return RollMember(member=member, outdated=outdated)


def test_the_writer_comes_last() -> None:
    members = [whole(0), whole(1), whole(2)]

    assert next_to_restart(members, "m-2") == "m-1"
    assert next_to_restart([whole(0), whole(1, outdated=False), whole(2)], "m-2") == "m-0"
    assert next_to_restart([whole(n, outdated=n == 2) for n in range(3)], "m-2") == "m-2"


def test_nobody_is_restarted_without_need() -> None:
    assert next_to_restart([whole(n, outdated=False) for n in range(3)], "m-0") is None


def test_nobody_is_restarted_while_a_state_is_sent_or_received() -> None:
    joining = with_report(2, MemberPhase.STARTING, joining=True)

    assert next_to_restart([whole(0), whole(1), joining], "m-0") is None
    assert next_to_restart([whole(0, donor=True), whole(1), whole(2)], "m-1") is None
    assert next_to_restart([whole(0, size=2), whole(1, size=2), whole(2, size=2)], "m-1") is None


def test_nobody_is_restarted_while_another_pod_is_gone_or_going() -> None:
    gone = RollMember(member=Member(name="m-2", ordinal=2), outdated=False)

    assert next_to_restart([whole(0), whole(1), gone], "m-0") is None
    assert next_to_restart([whole(0), whole(1), replace(whole(2), leaving=True)], "m-0") is None


def test_a_member_that_does_not_come_up_gets_the_template_that_was_put_back() -> None:
    failing = with_report(2, MemberPhase.WAITING)
    unpulled = RollMember(
        member=Member(name="m-2", ordinal=2, pod_uid="p2"), outdated=True, running=False
    )
    silent = replace(unpulled, running=True)
    others = [whole(0, size=2, outdated=False), whole(1, size=2, outdated=False)]

    assert next_to_restart([*others, failing], "m-0") == "m-2"
    assert next_to_restart([*others, unpulled], "m-0") == "m-2"
    assert next_to_restart([*others, silent], "m-0") is None
    assert next_to_restart([whole(0), whole(1), replace(failing, outdated=False)], "m-0") is None


@given(
    st.lists(
        st.sampled_from(["whole", "joining", "waiting", "failing", "unknown"]),
        min_size=1,
        max_size=5,
    )
)
def test_a_restart_takes_no_member_away_from_those_that_serve_but_one(states: list[str]) -> None:
    makers: dict[str, Callable[[int], RollMember]] = {
        "whole": whole,
        "joining": lambda n: with_report(n, MemberPhase.STARTING, joining=True),
        "waiting": lambda n: with_report(n, MemberPhase.WAITING),
        "failing": lambda n: with_report(n, MemberPhase.WAITING, failed=1),
        "unknown": lambda n: RollMember(
            member=Member(name=f"m-{n}", ordinal=n, pod_uid=f"p{n}"), outdated=True
        ),
    }
    members = [makers[state](n) for n, state in enumerate(states)]

    chosen = next_to_restart(members, "m-0")

    if chosen is not None:
        assert "joining" not in states
        left = {s for n, s in enumerate(states) if f"m-{n}" != chosen}
        assert states[int(chosen[2:])] == "failing" or left <= {"whole"}


def test_pods_that_never_ran_get_the_corrected_template_one_by_one() -> None:
    def stuck(n: int, *, outdated: bool = True) -> RollMember:
        member = Member(name=f"m-{n}", ordinal=n, pod_uid=f"p{n}")
        return RollMember(member=member, outdated=outdated, running=False)

    assert next_to_restart([stuck(0), stuck(1), stuck(2)], None) == "m-2"
    assert next_to_restart([stuck(0), stuck(1), stuck(2, outdated=False)], None) == "m-1"
    leaving = replace(stuck(2), leaving=True)
    assert next_to_restart([stuck(0), stuck(1), leaving], None) is None


@pytest.mark.parametrize("phase", [MemberPhase.WAITING, MemberPhase.RECOVERING])
def test_members_that_cannot_start_get_the_corrected_template_one_by_one(
    phase: MemberPhase,
) -> None:
    """A bad option on a fresh cloud: the first one fails, the others wait for it for ever."""
    failing = with_report(0, phase, failed=1)
    waiting = [with_report(n, MemberPhase.WAITING) for n in (1, 2)]

    assert next_to_restart([failing, *waiting], None) == "m-0"
    assert next_to_restart([replace(failing, outdated=False), *waiting], None) is None
    assert next_to_restart([replace(failing, leaving=True), *waiting], None) is None
    cured = whole(0, outdated=False, size=1)
    joiners = [with_report(n, phase, failed=2) for n in (1, 2)]
    assert next_to_restart([cured, *joiners], "m-0") == "m-1"
    assert next_to_restart([cured, replace(joiners[0], outdated=False), joiners[1]], None) == "m-2"


def test_a_position_that_cannot_be_recovered_may_be_the_fault_of_an_option() -> None:
    unusable = [with_report(n, MemberPhase.WAITING, error="unknown variable 'x'") for n in range(3)]

    assert next_to_restart(unusable, None) == "m-0"


def test_a_single_member_that_cannot_start_is_cured_and_one_that_merely_waits_is_left() -> None:
    assert next_to_restart([with_report(0, MemberPhase.WAITING, failed=1)], None) == "m-0"
    assert next_to_restart([with_report(0, MemberPhase.WAITING)], None) is None
    assert next_to_restart([with_report(0, MemberPhase.STARTING, failed=1)], None) is None


def test_an_outage_of_sound_members_is_not_made_longer_by_restarts() -> None:
    assert next_to_restart([with_report(n, MemberPhase.WAITING) for n in range(3)], None) is None


def test_a_member_with_a_decision_to_start_may_be_starting_now() -> None:
    failing = with_report(0, MemberPhase.WAITING, failed=1)
    decided = replace(failing.member, published=Decision(attempt="a", epoch=1, mode=Mode.JOIN))
    before = replace(decided, published=Decision(attempt="before", epoch=1, mode=Mode.JOIN))

    assert next_to_restart([replace(failing, member=decided)], None) is None
    assert next_to_restart([replace(failing, member=before)], None) == "m-0"


def test_a_member_that_cannot_start_waits_for_the_transfer_of_another() -> None:
    failing = with_report(2, MemberPhase.WAITING, failed=1)

    for other in (
        whole(1, donor=True, size=2),
        with_report(1, MemberPhase.STARTING, joining=True),
        with_report(1, MemberPhase.RUNNING, joining=True),
    ):
        assert next_to_restart([whole(0, size=2), other, failing], "m-0") is None


def test_a_member_that_cannot_start_does_not_wait_for_one_that_does_not_report() -> None:
    failing = with_report(0, MemberPhase.WAITING, failed=1)
    silent = RollMember(member=Member(name="m-1", ordinal=1, pod_uid="p1"), outdated=False)

    assert next_to_restart([failing, silent, whole(2, size=1)], "m-2") == "m-0"
