"""What a role lost, what was decided, and how long it took."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from stackroles.api.v1alpha1.cloud_controller import RoleRecovery, RoleStatus
from stackroles.api.v1alpha1.common import ClusteringModel
from stackroles.domains.cloud.recoveries import (
    KEPT,
    KEPT_OF_ALL,
    RoleCourse,
    update_recoveries,
)
from stackroles.workloads.course import Course, Decided
from stackroles.workloads.role import RoleState

START = datetime(2026, 1, 1, tzinfo=UTC)
ROLE = "mariadb"


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def state(ready: int = 3, *, outdated: int = 0, desired: int = 3) -> RoleState:
    return RoleState(
        name=ROLE,
        present=True,
        desired=desired,
        ready=ready,
        updated=desired,
        lacking=tuple(f"demo-{ROLE}-{n}" for n in range(ready, desired)),
        outdated=outdated,
        current=True,
        available=ready >= 2,
    )


def shown(found: RoleState) -> list[RoleStatus]:
    return [
        RoleStatus(
            name=ROLE,
            model=ClusteringModel.ACTIVE_ACTIVE,
            desired=found.desired,
            ready=found.ready,
            outdated=found.outdated,
        )
    ]


def run(
    *steps: tuple[float, RoleCourse], before: RoleState | None = None
) -> tuple[RoleRecovery, ...]:
    """Return the recoveries after some passes, each with its time."""
    found: tuple[RoleRecovery, ...] = ()
    last = before or state()
    for seconds, course in steps:
        found = update_recoveries(found, shown(last), [course], at(seconds))
        last = course.state
    return found


def course(ready: int = 3, outdated: int = 0, **known: Any) -> RoleCourse:
    return RoleCourse(state=state(ready, outdated=outdated), course=Course(**known))


def lost(ready: int = 2, **known: Any) -> RoleCourse:
    return course(ready, **known)


WHOLE = RoleCourse(state=state())


def test_a_loss_is_recorded_with_its_members_and_its_duration() -> None:
    (found,) = run((0, lost()), (3, lost(1)), (20, WHOLE))
    assert found.role == ROLE
    assert found.members == ("demo-mariadb-2", "demo-mariadb-1")
    assert (found.started_at, found.completed_at) == (at(0), at(20))
    assert found.duration_seconds == 20
    assert not found.served


def test_a_role_that_keeps_its_majority_has_served() -> None:
    (found,) = run((0, lost()), (5, WHOLE))
    assert found.served


def test_it_is_under_way_until_the_members_are_one_cluster_again() -> None:
    (found,) = run((0, lost()), (5, course(unsettled=True)))
    assert found.completed_at is None
    assert found.duration_seconds is None


def test_decisions_of_it_are_kept_once_each_and_none_of_an_earlier_one() -> None:
    old, new, later = Decided(at(-60), "old"), Decided(at(-2), "bootstrap"), Decided(at(4), "join")
    (found,) = run(
        (0, lost(decided=[old, new])),
        (5, lost(decided=[new, later])),
        (9, course(decided=[new, later])),
    )
    assert found.decisions == ("bootstrap", "join")


def test_the_next_loss_has_none_of_the_last_ones_decisions() -> None:
    first = Decided(at(1), "bootstrap")
    newest, _ = run(
        (0, lost(decided=[first])),
        (9, course(decided=[first])),
        (12, lost(decided=[first])),
        (14, lost(1, decided=[first])),
    )
    assert newest.started_at == at(12)
    assert newest.decisions == ()


def test_members_that_a_roll_or_a_change_of_their_number_takes_away_are_no_loss() -> None:
    rolling = RoleCourse(state=state(2, outdated=1))
    last_of_it = RoleCourse(state=state(2))
    assert run((0, rolling), (5, last_of_it), (9, lost()), (12, WHOLE)) == ()
    growing = RoleCourse(state=state(3, outdated=1, desired=5))
    grown = RoleCourse(state=state(4, desired=5))
    assert run((0, growing), (5, grown)) == ()


def test_a_workload_that_is_gone_is_a_loss() -> None:
    gone = RoleCourse(state=RoleState(name=ROLE, present=False, desired=3))
    (found,) = run((0, gone), (5, lost(0)), (9, WHOLE))
    assert not found.served
    assert found.members == ("demo-mariadb-0", "demo-mariadb-1", "demo-mariadb-2")


def test_a_record_under_way_stays_before_newer_ones() -> None:
    done = [RoleRecovery(role=f"r{n}", started_at=at(n), completed_at=at(n + 1)) for n in range(60)]
    opened = RoleRecovery(role="other", started_at=at(-9))
    found = update_recoveries([opened, *done], [], [], at(100))
    assert len(found) == KEPT_OF_ALL
    assert found[0].role == "other"
    assert found[1].role == "r59"


def test_a_cloud_that_never_had_all_members_lost_none() -> None:
    assert run((0, lost(1)), (5, lost(2)), before=state(0)) == ()


def test_the_last_ten_are_kept_the_newest_first() -> None:
    steps = [step for n in range(KEPT + 3) for step in ((60.0 * n, lost()), (60.0 * n + 5, WHOLE))]
    found = run(*steps)
    assert len(found) == KEPT
    assert [record.started_at for record in found] == [at(60 * n) for n in range(12, 2, -1)]


def test_status_records_of_another_role_stay() -> None:
    other = RoleRecovery(role="rabbitmq", started_at=at(-9), completed_at=at(-5))
    found = update_recoveries([other], shown(state()), [lost()], at(0))
    assert [record.role for record in found] == [ROLE, "rabbitmq"]


# What members do by themselves about a loss.
MEMBER = "demo-mariadb-1"
RESTART = f"{MEMBER} starts its server again, which ended with -9"
ASIDE = f"{MEMBER} puts its file aside and joins the others anew: no header"


def did(seconds: float, text: str = RESTART) -> Decided:
    return Decided(at(seconds), text, by=MEMBER)


def test_a_loss_that_a_member_overcomes_before_a_probe_fails_is_recorded() -> None:
    (found,) = run((4, course(decided=[did(1)], unsettled=True)), (9, course(decided=[did(1)])))
    assert (found.members, found.decisions, found.served) == ((MEMBER,), (RESTART,), True)
    assert (found.started_at, found.completed_at, found.duration_seconds) == (at(1), at(9), 8)


def test_a_loss_that_is_over_when_it_is_reported_is_recorded_once() -> None:
    after = course(decided=[did(1)])
    (found,) = run((4, after), (9, after), (600, after))
    assert (found.started_at, found.completed_at) == (at(1), at(4))


def test_a_probe_that_fails_later_belongs_to_the_same_loss() -> None:
    decided = [did(1), did(12, ASIDE)]
    (found,) = run(
        (3, course(decided=decided[:1], unsettled=True)),
        (15, lost(decided=decided, unsettled=True)),
        (20, course(decided=decided)),
    )
    assert found.members == (MEMBER, "demo-mariadb-2")
    assert found.decisions == (RESTART, ASIDE)
    assert found.duration_seconds == 19


def test_a_role_whose_members_all_say_that_they_do_not_serve_did_not_serve() -> None:
    (found,) = run(
        (3, course(decided=[did(1)], unsettled=True, down=True)), (9, course(decided=[did(1)]))
    )
    assert not found.served


def test_a_report_that_comes_after_the_end_is_added_to_what_it_is_of() -> None:
    reported = course(decided=[did(5), did(30, ASIDE)])
    found = run((0, lost()), (9, WHOLE), (12, course(decided=[did(5)])), (31, reported))
    assert [record.decisions for record in found] == [(ASIDE,), (RESTART,)]
    assert found == run((0, lost()), (9, WHOLE), (31, reported), (31, reported))


@pytest.mark.parametrize(
    ("steps", "records"),
    [
        # Somebody else decided, as a planned switchover is.
        ([(5, course(decided=[Decided(at(1), "b takes over")]))], 0),
        # An operator that begins does not take what is long over for news.
        ([(600, course(decided=[did(1)]))], 0),
        # A clock that is far ahead tells nothing.
        ([(5, course(decided=[did(600)]))], 0),
        # One that is a little ahead tells the same loss once.
        ([(5, course(decided=[did(8)])), (7, course(decided=[did(8)]))], 1),
        ([(5, course(decided=[did(1)])), (99, course(decided=[did(1), did(95)]))], 2),
        # A roll is no loss, and what began during one is a roll's.
        ([(5, course(2, outdated=1, decided=[did(1)]))], 0),
    ],
)
def test_which_reports_begin_a_recovery(
    steps: Sequence[tuple[float, RoleCourse]], records: int
) -> None:
    found = run(*steps)
    assert len(found) == records
    assert all(record.completed_at for record in found)


def test_more_decisions_than_are_kept_settle() -> None:
    decided = [did(n, f"{MEMBER} does {n}") for n in range(12)]
    steps = [(20.0 + n, lost(decided=decided)) for n in range(3)]
    found = [run(*steps[:count]) for count in (1, 2, 3)]
    assert found[0] == found[1] == found[2]
    assert found[0][0].decisions[-1] == f"{MEMBER} does 11"
    assert len(found[0][0].decisions) == 8
