"""The records that end-to-end tests draw their conclusions from are read rightly."""

import json
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

from tests.support.audit import writes
from tests.support.client import Row, first_after, longest_gap, read_rows
from tests.support.measurements import Measurements

USER = "system:serviceaccount:stackroles-system:stackroles"
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def row(identity: int, at: float, *, error: str = "") -> Row:
    return Row(identity, at - 0.01, at, host="" if error else "demo-mariadb-0", error=error)


def test_an_attempt_without_an_answer_is_not_acknowledged_and_half_a_line_is_no_row() -> None:
    record = (
        '{"id": 1, "sent": 1.0, "at": 1.1, "host": "demo-mariadb-0"}\n'
        '{"id": 2, "sent": 2.0, "at": 6.0, "error": "OperationalError: lost"}\n'
        '{"id": 3, "se'
    )
    rows = read_rows(record)
    assert [(one.identity, one.acknowledged) for one in rows] == [(1, True), (2, False)]


def test_the_first_row_after_a_kill_is_one_that_was_begun_after_it() -> None:
    rows = [row(1, 10.0), Row(2, 9.9, 10.4, host="a"), row(3, 10.6, error="gone"), row(4, 13.0)]
    found = first_after(rows, 10.0)
    assert found is not None
    assert found.identity == 4


def test_the_longest_gap_begins_before_the_kill_and_leaves_older_gaps_out() -> None:
    rows = [row(1, 1.0), row(2, 9.0), row(3, 9.9), row(4, 12.0, error="gone"), row(5, 13.9)]
    assert longest_gap(rows, 10.0) == 4.0
    assert longest_gap([], 10.0) == 0.0


def entry(
    verb: str, resource: str, *, user: str = USER, after: float = 1, name: str = "demo"
) -> str:
    """Return a line of an audit log."""
    plural, _, part = resource.partition("/")
    target = {"resource": plural, "name": name} | ({"subresource": part} if part else {})
    return json.dumps(
        {
            "verb": verb,
            "user": {"username": user},
            "objectRef": target,
            "responseStatus": {"code": 200},
            "requestReceivedTimestamp": (NOON + timedelta(seconds=after)).isoformat(),
        }
    )


def test_only_a_users_writes_within_the_time_are_counted_over_rotated_files(tmp_path: Path) -> None:
    (tmp_path / "audit-2026.log").write_text(entry("patch", "pods", after=2) + "\n")
    (tmp_path / "audit.log").write_text(
        "\n".join(
            (
                entry("get", "secrets", after=3),
                entry("patch", "cloudcontrollers/status", after=4),
                entry("patch", "pods", user="kubelet", after=5, name=USER),
                entry("create", "events", after=60),
                entry("delete", "pods", after=-1),
            )
        )
    )
    for number, name in enumerate(("audit-2026.log", "audit.log")):
        os.utime(tmp_path / name, (NOON.timestamp() + number, NOON.timestamp() + number))
    found = list(writes(tmp_path, USER, NOON, NOON + timedelta(seconds=60)))
    assert [(call.verb, call.resource) for call in found] == [
        ("patch", "pods"),
        ("patch", "cloudcontrollers/status"),
    ]


def test_a_case_measured_anew_leaves_the_others_as_they_were(tmp_path: Path) -> None:
    file = tmp_path / "measurements.json"
    Measurements(file).record("roll", seconds=1.234)
    Measurements(file).record("kill", seconds=2)
    Measurements(file).record("roll", seconds=3.0)
    kept = json.loads(file.read_text())
    assert (kept["roll"]["seconds"], kept["kill"]["seconds"]) == (3.0, 2)
