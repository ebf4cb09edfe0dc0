"""The newest set of a policy, by when it was begun and not by how that is written."""

from datetime import UTC, datetime
from typing import Any

import pytest

from stackroles.agents.backup.sets import newest_set, snapshots_of

NOW = datetime(2026, 11, 28, 12, tzinfo=UTC)


def snapshot(name: str, time: str | None, *, policy: str = "p", part: str = "manifest") -> Any:
    tags = [f"policy={policy}", f"set={name}", f"part={part}"]
    return {"id": f"{name}-{time}", "tags": tags} | ({"time": time} if time else {})


OLD = snapshot("old", "2026-11-27T03:00:00Z")


@pytest.mark.parametrize(
    ("newer", "expected"),
    [
        (snapshot("b", "2026-11-27T03:00:00.5Z"), "b"),
        (snapshot("b", "2026-11-27T01:00:00.123456789-05:00"), "b"),
        (snapshot("b", "2026-11-27T04:00:00+05:00"), "old"),
        # The clock of its node was ahead.
        (snapshot("b", "2027-11-27T03:00:00Z"), "old"),
        (snapshot("b", "no time"), "old"),
        (snapshot("b", None), "old"),
        (snapshot("b", "2026-11-28T03:00:00Z", policy="q"), "old"),
        (snapshot("b", "2026-11-28T03:00:00Z", part="database"), "old"),
    ],
)
def test_the_newest_set_is_the_last_that_was_begun_by_now(newer: Any, expected: str) -> None:
    assert newest_set([OLD, newer], "p", NOW) == expected
    assert newest_set([newer, OLD], "p", NOW) == expected


def test_where_all_are_of_a_time_to_come_the_last_is_taken() -> None:
    ahead = [snapshot(str(year), f"{year}-01-01T00:00:00Z") for year in (2028, 2029)]
    assert newest_set(ahead, "p", NOW) == "2029"
    assert newest_set([], "p", NOW) == ""


def test_the_last_manifest_of_a_set_is_that_which_was_stored_last() -> None:
    first = snapshot("a", "2026-11-27T03:00:00Z")
    second = snapshot("a", "2026-11-27T03:00:00.5Z")
    manifests, _ = snapshots_of([second, first], "p", "a")
    assert manifests == (first["id"], second["id"])
