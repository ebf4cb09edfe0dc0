"""The recovery points of a cloud."""

import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from rich.console import Console

from stackroles.cli.cluster import dump
from stackroles.cli.draw_recovery import draw_points, window_lines
from stackroles.cli.points import FoundPoints, nothing_found, points_of

Object = dict[str, Any]
NOW = datetime(2026, 11, 28, 15, 0, tzinfo=UTC)
POSITION = "6f2d5a0e-93a4-11ef-8c1b-0242ac120002:48211"


def backup(name: str, day: int, policy: str = "nightly", **status: Any) -> Object:
    taken = f"2026-11-{day}T03:00:05.25Z"
    status = {"verified": True, "startedAt": taken, "position": POSITION, **status}
    return {"metadata": {"name": name}, "spec": {"policy": policy}, "status": status}


def restore(name: str, of: str, *phases: str) -> Object:
    status = {"phases": [{"name": phase} for phase in phases]}
    return {"metadata": {"name": name}, "spec": {"backup": of}, "status": status}


def policy(name: str, cloud: str = "demo") -> Object:
    return {"metadata": {"name": name}, "spec": {"controller": cloud}}


FOUND = FoundPoints(
    cloud={"metadata": {"name": "demo", "namespace": "ns"}},
    policies=[policy("nightly"), policy("hourly"), policy("theirs", "other")],
    backups=[
        backup("nightly-27", 27, sizeBytes=3 * 2**30, storedBytes=2**20),
        backup("nightly-28", 28),
        backup("hourly-26", 26, "hourly"),
        backup("failed", 28, verified=False),
        backup("theirs-1", 28, "theirs"),
        {"metadata": {"name": "new"}, "spec": {"policy": "nightly"}},
    ],
    restores=[
        restore("back", "nightly-27", "Preflight", "Data"),
        restore("dry", "nightly-28", "Preflight"),
        {"metadata": {"name": "new"}, "spec": {"backup": "nightly-28"}},
    ],
)


def test_a_policy_that_ships_binary_logs_has_a_window() -> None:
    def shipping(name: str, reason: str, since: str, until: str) -> Object:
        condition = {"type": "PointInTimeReady", "reason": reason, "message": "Because."}
        window = {"since": since, "until": until} if since else None
        return {**policy(name), "status": {"conditions": [condition], "recoverable": window}}

    first, last = "2026-11-27T03:00:00Z", "2026-11-28T14:00:00Z"
    policies = [
        shipping("open", "WindowOpen", first, last),
        shipping("gap", "Gap", first, first),
        shipping("empty", "NoSet", "", ""),
        policy("nightly"),
        {**shipping("theirs", "WindowOpen", first, last), "spec": {"controller": "other"}},
    ]

    view = points_of(replace(FOUND, policies=policies), NOW)

    assert window_lines(view) == [
        "empty: no time can be chosen yet; NoSet: Because.",
        "gap: no time can be chosen yet; Gap: Because.",
        "open: any time from 2026-11-27 03:00:00 UTC to 2026-11-28 14:00:00 UTC (--at)",
    ]
    assert json.loads(dump(view))["windows"][2] == {
        "policy": "open", "since": first, "until": last,
        "reason": "WindowOpen", "message": "Because.",
    }  # fmt: skip


def drawn(width: int, *, folded: bool) -> list[str]:
    console = Console(width=width, highlight=False, color_system=None)
    with console.capture() as captured:
        console.print(draw_points(points_of(FOUND, NOW), folded=folded))
    return [line.rstrip() for line in captured.get().splitlines()]


def test_points_are_the_clouds_verified_backups_the_newest_first() -> None:
    view = points_of(FOUND, NOW)
    assert [point.name for point in view.points] == ["nightly-28", "nightly-27", "hourly-26"]
    assert view.policies == ["hourly", "nightly"]


def test_only_a_restore_that_put_data_back_has_used_a_point() -> None:
    used = {point.name: point.restores for point in points_of(FOUND, NOW).points}
    assert used == {"nightly-28": [], "nightly-27": ["back"], "hourly-26": []}


def test_a_restore_that_names_the_set_has_used_it() -> None:
    named = restore("after-a-loss", "", "Data")
    named["spec"] = {"recoverySet": {"policy": "nightly", "name": "nightly-28"}}
    other = restore("of-another-policy", "", "Data")
    other["spec"] = {"recoverySet": {"policy": "hourly", "name": "nightly-28"}}
    view = points_of(replace(FOUND, restores=[named, other]), NOW)
    assert [point.restores for point in view.points] == [["after-a-loss"], [], []]


def test_without_a_terminal_a_point_is_one_line() -> None:
    head, newest, second, _ = drawn(320, folded=False)
    assert head.split() == [
        *("name", "policy", "copied", "at", "age", "bytes", "stored", "position"),
        *("restored", "by"),
    ]
    assert newest.split("  ")[-1].strip() == "-"
    assert second.split() == [
        *("nightly-27", "nightly", "2026-11-27", "03:00:05", "UTC", "1", "d"),
        *("3.0", "GiB", "1.0", "MiB", POSITION, "back"),
    ]


@pytest.mark.parametrize("width", [60, 90])
def test_a_narrow_terminal_loses_nothing(width: int) -> None:
    lines = drawn(width, folded=True)
    assert max(len(line) for line in lines) <= width
    found = set("".join(lines))
    assert set(POSITION) <= found


def test_json_has_the_same_with_the_age_in_seconds() -> None:
    view = json.loads(dump(points_of(FOUND, NOW)))
    assert view["points"][1] == {
        "name": "nightly-27",
        "policy": "nightly",
        "taken": "2026-11-27T03:00:05.25Z",
        "age_seconds": 129595,
        "bytes": 3 * 2**30,
        "stored_bytes": 2**20,
        "position": POSITION,
        "restores": ["back"],
    }


def test_a_cloud_without_a_point_is_told_what_to_do() -> None:
    none = replace(FOUND, backups=[])
    assert nothing_found(points_of(none, NOW)) == (
        "demo has no recovery point yet: `kubectl stackroles backup hourly` makes one."
    )
    unnamed = replace(none, policies=[policy("theirs", "other")])
    assert "no BackupPolicy of namespace ns names it: apply one" in nothing_found(
        points_of(unnamed, NOW)
    )
