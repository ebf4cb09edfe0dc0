"""A Restore to a point in time: what it lacks, which set it takes, and what its Job is given."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from stackroles.agents.backup.protocol import Versions
from stackroles.agents.backup.reader_protocol import Manifest, ManifestPart, ReaderProblem
from stackroles.agents.binlog.protocol import TRANSACTIONS_PATH, Coverage
from stackroles.agents.galera.restore_protocol import from_environment
from stackroles.domains.restore import client
from stackroles.domains.restore.point_in_time import (
    Asked,
    achieved,
    completed_at,
    find_missing,
    newest_before,
    stored,
)
from tests.support.restore_cloud import SET
from tests.support.restore_world import RestoreWorld

BEGAN = datetime(2026, 1, 1, 3, 0, tzinfo=UTC)
COMPLETED = BEGAN + timedelta(minutes=5)
AT = BEGAN + timedelta(hours=2)
CHAIN = Coverage(
    history="u",
    first=1,
    last=90,
    since=(BEGAN - timedelta(hours=1)).timestamp(),
    until=(AT + timedelta(minutes=1)).timestamp(),
)
ASKED = Asked(at=AT, completed=COMPLETED, coverage=CHAIN)
MANIFEST = Manifest(
    name="one",
    cloud="demo",
    policy="nightly",
    versions=Versions(operator="1", release="1", images={}),
    position="u:7",
    parts=(
        ManifestPart(name="a", filename="f", bytes=1, sha256="a", snapshot="s", seconds=90.0),
        ManifestPart(name="b", filename="f", bytes=1, sha256="a", snapshot="s", seconds=30.0),
    ),
)


def backup(name: str, completed: datetime | None, *, verified: bool = True) -> dict[str, Any]:
    status = {"verified": verified, "completedAt": completed.isoformat() if completed else None}
    return {"metadata": {"name": name}, "status": status}


def test_nothing_is_missing_between_the_set_and_the_end_of_what_is_stored() -> None:
    assert find_missing(ASKED, "u", BEGAN) == []
    assert find_missing(replace(ASKED, completed=None), "u", None) == []
    for edge in (COMPLETED, AT + timedelta(minutes=1)):
        assert find_missing(replace(ASKED, at=edge), "u", BEGAN) == []


@pytest.mark.parametrize(
    ("asked", "history", "says"),
    [
        (
            replace(ASKED, at=COMPLETED - timedelta(seconds=1)),
            "u",
            (
                "2026-01-01 03:04:59 UTC is before the recovery set was completed, at "
                "2026-01-01 03:05:00 UTC: restore an earlier Backup"
            ),
        ),
        (
            replace(ASKED, at=AT + timedelta(minutes=2)),
            "u",
            (
                "2026-01-01 05:02:00 UTC is after what is stored, which is up to "
                "2026-01-01 05:01:00 UTC: choose a time up to that"
            ),
        ),
        (ASKED, "other", "No transactions of the recovery set's history other are stored"),
        (replace(ASKED, coverage=Coverage()), "u", "No transactions of the recovery set's history"),
        (
            replace(ASKED, coverage=replace(CHAIN, since=BEGAN.timestamp() + 1)),
            "u",
            (
                "Transactions are stored since 2026-01-01 03:00:01 UTC without a gap, and the "
                "recovery set was begun before, at 2026-01-01 03:00:00 UTC"
            ),
        ),
    ],
)
def test_what_is_missing_is_named_with_both_times(asked: Asked, history: str, says: str) -> None:
    [found] = find_missing(asked, history, BEGAN)

    assert says in found


def test_the_newest_verified_set_that_was_completed_by_then_is_taken() -> None:
    backups = [
        backup("old", AT - timedelta(hours=1)),
        backup("newest", AT),
        backup("later", AT + timedelta(seconds=1)),
        backup("broken", AT - timedelta(minutes=1), verified=False),
        backup("running", None),
    ]

    assert newest_before(backups, AT) == "newest"
    assert newest_before(backups, AT - timedelta(hours=2)) is None
    assert newest_before([{"metadata": {"name": "new"}}], AT) is None


def test_when_a_set_was_completed_says_its_backup_or_at_least_its_parts() -> None:
    dated = replace(MANIFEST, time=BEGAN.isoformat())

    assert completed_at(dated, backup("one", COMPLETED)) == COMPLETED
    assert completed_at(dated, None) == BEGAN + timedelta(minutes=2)
    assert completed_at(MANIFEST, None) is None


def test_what_is_stored_and_reached_is_said_in_times() -> None:
    assert stored(ASKED) == {
        "transactions_since": BEGAN - timedelta(hours=1),
        "transactions_until": AT + timedelta(minutes=1),
    }
    assert stored(None) == stored(replace(ASKED, coverage=Coverage())) == {}
    assert achieved(AT, 0) == AT
    assert achieved(AT, int(BEGAN.timestamp())) == BEGAN


@pytest.fixture
def stores(world: RestoreWorld, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Have an hour's transactions stored; returns the histories that the reader was asked for."""
    now, asked = world.clock.now(), []
    coverage = Coverage(
        history="u", first=1, last=90, since=now.timestamp() - 9000, until=now.timestamp()
    )

    async def read(_: str, __: str, history: str) -> Coverage:
        asked.append(history)
        return coverage

    monkeypatch.setattr(client, "read_coverage", read)
    return asked


def at(world: RestoreWorld, **ago: float) -> str:
    return (world.clock.now() - timedelta(**ago)).isoformat().replace("+00:00", "Z")


async def test_the_job_is_given_the_history_and_the_time(
    world: RestoreWorld, stores: list[str]
) -> None:
    time = world.clock.now() - timedelta(minutes=10)
    given: list[Any] = []

    def look() -> None:
        if job := world.api.get("jobs", "ns", "back-member-0"):
            [main] = job["spec"]["template"]["spec"]["containers"]
            given.append(from_environment({e["name"]: e.get("value", "") for e in main["env"]}))
            assert job["spec"]["activeDeadlineSeconds"] > 4 * 3600

    world.declare_restore(overwrite="demo", pointInTime=at(world, minutes=10))
    await world.play(after=look)

    assert world.told()[0] == "Restored"
    assert {(one.history, one.until) for one in given} == {("u", int(time.timestamp()))}
    assert set(stores) == {"u"}
    # The program that is played has applied nothing: the copy was of that time.
    found = world.restored()
    assert datetime.fromisoformat(found["recoveryPoint"]) == time
    assert found["transactions"] == 0
    assert {"transactionsSince", "transactionsUntil"} <= found["preflight"].keys()


async def test_what_would_be_lost_is_what_was_written_since_that_time(
    world: RestoreWorld, stores: list[str]
) -> None:
    time = world.clock.now() - timedelta(minutes=10)
    world.declare_restore(dryRun=True, pointInTime=at(world, minutes=10))

    await world.play(until=lambda: world.told()[0] == "DryRunCompleted")

    assert f"what was written since {time:%Y-%m-%d %H:%M:%S} UTC is lost" in world.told()[1]


async def test_a_time_after_what_is_stored_stops_nothing(
    world: RestoreWorld, stores: list[str]
) -> None:
    world.declare_restore(overwrite="demo", pointInTime=at(world, minutes=-5))

    await world.play(until=lambda: world.told()[0] == "PreflightFailed")

    assert "is after what is stored" in world.told()[1]
    assert world.data == ["former"] * 3


async def test_a_reader_that_cannot_read_transactions_says_why(
    world: RestoreWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def read(*_: str) -> ReaderProblem:
        return ReaderProblem(reason="TransactionsForged", message="Piece 7 is not signed.")

    monkeypatch.setattr(client, "read_coverage", read)
    world.declare_restore(overwrite="demo", pointInTime=at(world, minutes=10))

    await world.play(until=lambda: "Piece 7" in world.told()[1])

    assert world.told()[1] == "Preflight: TransactionsForged: Piece 7 is not signed."


async def test_without_a_name_the_newest_set_before_that_time_is_taken(
    world: RestoreWorld, stores: list[str]
) -> None:
    source = {"policy": "nightly"}
    world.declare_restore(recoverySet=source, overwrite="demo", pointInTime=at(world, minutes=10))

    await world.play()

    assert (world.told()[0], world.restored()["recoverySet"]) == ("Restored", SET)


async def test_without_a_set_before_that_time_a_name_is_asked_for(world: RestoreWorld) -> None:
    source = {"policy": "nightly"}
    world.declare_restore(recoverySet=source, overwrite="demo", pointInTime=at(world, hours=2))

    await world.play(until=lambda: world.told()[0] == "PreflightFailed")

    assert "No verified Backup of BackupPolicy nightly in ns was completed by" in world.told()[1]


async def test_the_reader_is_asked_for_the_coverage_of_a_history(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[str] = []

    async def answer(url: str, **_: Any) -> tuple[int, bytes]:
        asked.append(url)
        return 200, b'{"history": "a&b", "first": 3, "last": 4, "since": 1.0, "until": 2.0}'

    monkeypatch.setattr(client, "get_answer", answer)

    found = await client.read_coverage("10.0.0.1", "t", "a&b")

    assert found == Coverage(history="a&b", first=3, last=4, since=1.0, until=2.0)
    assert asked == [f"http://10.0.0.1:9305{TRANSACTIONS_PATH}/coverage?history=a%26b"]
