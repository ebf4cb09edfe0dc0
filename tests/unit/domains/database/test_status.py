"""What database members lack while they serve, with what to do about it."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from stackroles.agents.galera.protocol import DONOR, Connections
from stackroles.api.v1alpha1.conditions import Reason
from stackroles.domains.database.model import Member
from stackroles.domains.database.status import (
    DatabaseState,
    VolumeClaim,
    add_decision,
    assess_health,
    explain_desync,
)
from tests.unit.domains.database.test_decide import at as stopped_at
from tests.unit.domains.database.test_decide import synced, unknown

CROWD = Connections(account="nova", count=700, used=900, limit=1000)
CLAIMS = {"m-1": VolumeClaim("data-m-1", "10Gi")}


def serving(n: int, percent: int = 10, crowd: Connections | None = None) -> Member:
    member = synced(n)
    assert member.report is not None
    return replace(member, report=replace(member.report, disk_percent=percent, connections=crowd))


def test_a_volume_is_reported_from_80_percent_on_with_claim_and_size() -> None:
    assert assess_health([serving(0), serving(1, 79)], CLAIMS).reason is Reason.DATABASE_SOUND

    found = assess_health([serving(0), serving(1, 80)], CLAIMS)

    assert found.reason is Reason.DATABASE_VOLUME_FILLING
    assert found.message.startswith(
        "80 % of the file system of m-1 on claim data-m-1 (10Gi) are used"
    )


def test_a_member_that_left_for_want_of_room_is_named() -> None:
    found = assess_health([serving(0), stopped_at(1, 5, full=True, disk_percent=96)], CLAIMS)

    assert found.reason is Reason.DATABASE_VOLUME_FILLING
    assert "m-1 has left the cluster before that, and joins again once there is room" in (
        found.message
    )
    assert "Set a larger spec.roles.mariadb.storage.size" in found.message


def test_connections_are_reported_with_the_account_before_volumes() -> None:
    found = assess_health([serving(0, crowd=CROWD), serving(1, 95)], CLAIMS)

    assert found.reason is Reason.CONNECTIONS_USED_UP
    assert "900 of 1000 connections of m-0 are used, 700 of them by the account nova" in (
        found.message
    )
    assert "95 % of the file system of m-1" in found.message


def test_paused_replication_is_reported_with_the_member_that_does_not_keep_up() -> None:
    def paused(n: int, percent: int, pauses: bool = False) -> Member:
        member = serving(n)
        assert member.report is not None
        report = replace(member.report, paused_percent=percent, pauses=pauses)
        return replace(member, report=report)

    assert assess_health([paused(0, 40), paused(1, 40, pauses=True)], {}).reason is (
        Reason.DATABASE_SOUND
    )
    found = assess_health([paused(0, 60), paused(1, 50, pauses=True)], {})
    assert found.reason is Reason.REPLICATION_PAUSED
    assert "for 60 % of the last half minute, since m-1 does not keep up" in found.message


def test_a_member_that_gives_a_copy_is_named_as_desynced() -> None:
    member = synced(1)
    assert member.report is not None
    assert member.report.view is not None
    view = replace(member.report.view, synced=False, state=DONOR)
    donor = replace(member, report=replace(member.report, view=view))
    assert explain_desync([synced(0)]) == ""
    assert explain_desync([synced(0), donor]).startswith("m-1: desynced")


@pytest.mark.parametrize("members", [[], [unknown(0)]])
def test_without_an_answer_nothing_is_known(members: list[Member]) -> None:
    assert assess_health(members, {}).reason is Reason.DATABASE_UNKNOWN


def at(seconds: float) -> datetime:
    return datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds)


def test_decisions_are_kept_until_the_next_incident_begins() -> None:
    unsettled = DatabaseState(message="m-1 joins m-0.")
    first = add_decision(DatabaseState(), "m-0 starts at 7.", ready=False, now=at(0))
    second = add_decision(replace(unsettled, decided=first), "m-1 joins m-0.", False, at(1))
    again = add_decision(replace(unsettled, decided=second), "m-1 joins m-0.", False, at(2))
    settled = add_decision(replace(unsettled, decided=again), "", ready=True, now=at(3))
    assert [decided.text for decided in settled] == ["m-0 starts at 7.", "m-1 joins m-0."]
    assert [decided.at for decided in settled] == [at(0), at(1)]

    later = add_decision(DatabaseState(decided=settled), "m-2 joins m-0.", False, at(60))
    assert [decided.text for decided in later] == ["m-2 joins m-0."]
