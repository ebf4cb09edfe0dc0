from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stackroles.api.v1alpha1.backup_policy import BackupPolicySpec
from stackroles.domains.backup.decide import (
    FAILED_KEPT,
    SETS_ASKED,
    PolicyRun,
    ScheduleTrigger,
    SourceCandidate,
    choose_source,
    degradation,
    due,
    has_expired,
    is_old_failure,
    leaves_set,
    patience_ends,
    retired,
    sets_believed_in,
)

NOW = datetime(2026, 11, 1, tzinfo=UTC)

HEALTHY = (
    {"type": "Available", "status": "True", "message": "all serve"},
    {"type": "QuorumAtRisk", "status": "False", "message": "members to spare"},
    {"type": "DatabaseDegraded", "status": "Unknown", "message": "nobody answered"},
    {"type": "MessagingDegraded", "status": "True", "message": "a queue"},
)


@pytest.mark.parametrize(
    ("kind", "status"),
    [("Available", "False"), ("QuorumAtRisk", "True"), ("DatabaseDegraded", "True")],
)
def test_a_cloud_is_degraded_by_any_condition_that_its_database_has_to_recover_from(
    kind: str, status: str
) -> None:
    worse = {"type": kind, "status": status, "message": "one is away"}

    assert degradation(HEALTHY) == ""
    assert degradation((*HEALTHY[3:], worse)) == f"{kind}: one is away"


@pytest.mark.parametrize(
    ("scheduled", "age", "waits"), [(True, 0, True), (True, 1800, False), (False, 0, False)]
)
def test_only_a_scheduled_run_waits_and_only_so_long(
    *, scheduled: bool, age: int, waits: bool
) -> None:
    run = PolicyRun("one", NOW, scheduled=scheduled, ended=False, verified=False)
    patience = timedelta(seconds=1800)

    until = patience_ends(run, patience, NOW + timedelta(seconds=age))

    assert until == (NOW + patience if waits else None)


members = st.lists(
    st.builds(
        SourceCandidate,
        st.sampled_from([f"demo-mariadb-{n}" for n in range(12)]),
        st.sampled_from(["", "10.0.0.1"]),
        st.booleans(),
    ),
    unique_by=lambda member: member.name,
    max_size=9,
)


@given(members, st.sampled_from([None, *(f"demo-mariadb-{n}" for n in range(12))]))
def test_a_source_is_ready_and_not_the_writer_of_a_cluster(
    cluster: list[SourceCandidate], writer: str | None
) -> None:
    source = choose_source(cluster, writer, len(cluster))

    if source is not None:
        assert source.ready
        assert source.address
        assert source.name != writer or len(cluster) == 1


def test_the_highest_ordinal_is_taken_by_number_not_by_letter() -> None:
    cluster = [SourceCandidate(f"m-{n}", "10.0.0.1", True) for n in (2, 10, 9)]

    chosen = choose_source(cluster, "m-2", 3)

    assert chosen is not None
    assert chosen.name == "m-10"


def test_nothing_is_taken_while_the_writer_is_unknown() -> None:
    assert (
        choose_source(
            [SourceCandidate("m-0", "a", True), SourceCandidate("m-1", "b", True)], None, 2
        )
        is None
    )


def test_a_single_member_is_its_own_source() -> None:
    only = SourceCandidate("m-0", "a", True)

    assert choose_source([only], "m-0", 1) == only
    assert choose_source([SourceCandidate("m-0", "a", False)], "m-0", 1) is None


def test_a_writer_that_is_the_only_pod_of_a_cluster_is_left_alone() -> None:
    assert choose_source([SourceCandidate("m-0", "a", True)], "m-0", 3) is None


def test_marks_are_acted_on_once_and_in_order() -> None:
    marks = [
        ScheduleTrigger("late", NOW + timedelta(hours=2)),
        ScheduleTrigger("early", NOW),
        ScheduleTrigger("old", NOW - timedelta(1)),
    ]

    assert [mark.name for mark in due(marks, NOW - timedelta(hours=1))] == ["early", "late"]
    assert due(marks, NOW + timedelta(hours=2)) == ()
    assert [mark.name for mark in due(marks, None)] == ["old", "early", "late"]


def test_a_member_that_streams_to_another_run_is_left_out() -> None:
    cluster = [SourceCandidate(f"m-{n}", f"10.0.0.{n}", True) for n in range(3)]

    assert choose_source(cluster, "m-0", 3, {"m-2"}) == cluster[1]
    assert choose_source(cluster, "m-0", 3, {"m-1", "m-2"}) is None
    assert choose_source(cluster[:1], "m-0", 1, {"m-0"}) is None


def policy_run(
    number: int, *, scheduled: bool = True, verified: bool = True, expired: Iterable[int] = ()
) -> PolicyRun:
    names = frozenset(f"run-{other}" for other in expired)
    created = NOW + timedelta(hours=number)
    return PolicyRun(f"run-{number}", created, scheduled, True, verified, names)


def test_what_any_younger_run_found_gone_has_expired_and_nothing_between() -> None:
    runs = [
        policy_run(0),
        policy_run(1, expired=[0]),
        policy_run(2, verified=False),
        policy_run(3),
        policy_run(4, expired=[2, 3, 9]),
    ]

    assert [run.name for run in runs if has_expired(run, runs)] == ["run-0", "run-3"]
    assert retired(runs) >= {"run-0", "run-3"}
    assert sets_believed_in(reversed(runs)) == ("run-1", "run-4")


def test_only_a_run_that_did_not_fail_and_did_not_expire_leaves_a_set() -> None:
    runs = [
        policy_run(0),
        policy_run(1, verified=False),
        policy_run(2),
        policy_run(3, expired=[0]),
    ]

    assert [run.name for run in runs if leaves_set(run, runs)] == ["run-2", "run-3"]
    assert leaves_set(replace(policy_run(4, verified=False), ended=False), runs)


def test_a_backup_of_a_name_that_expired_before_has_not() -> None:
    runs = [policy_run(4, expired=[5]), policy_run(5)]

    assert not any(has_expired(run, runs) for run in runs)
    assert sets_believed_in(runs) == ("run-4", "run-5")
    assert has_expired(runs[1], [*runs, policy_run(6, expired=[5])])


def test_the_oldest_sets_are_asked_for_more_than_periods_can_keep() -> None:
    runs = [policy_run(number) for number in range(SETS_ASKED + 5)]
    properties = BackupPolicySpec.model_json_schema()["properties"]
    periods = ("keepHourly", "keepDaily", "keepWeekly", "keepMonthly", "keepYearly")

    assert sets_believed_in(runs) == tuple(run.name for run in runs[:SETS_ASKED])
    assert sum(properties[name]["maximum"] for name in periods) < SETS_ASKED


@given(st.lists(st.tuples(st.booleans(), st.booleans()), max_size=30))
def test_only_old_failures_of_the_schedule_go(
    scheduled_and_verified: list[tuple[bool, bool]],
) -> None:
    runs = [
        policy_run(n, scheduled=s, verified=v) for n, (s, v) in enumerate(scheduled_and_verified)
    ]

    gone = [run for run in runs if is_old_failure(run, runs)]

    failed = [run for run in runs if run.scheduled and not run.verified]
    assert gone == failed[: max(0, len(failed) - FAILED_KEPT)]
