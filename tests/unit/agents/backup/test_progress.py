"""What a run says of how far it is."""

import json
import queue

import pytest

from stackroles.agents.backup import progress
from stackroles.agents.backup.progress import Progress
from stackroles.agents.backup.protocol import PROGRESS_PREFIX
from stackroles.domains.backup.outcome import read_progress


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_line_holds_part_bytes_rate_and_what_the_repository_fails_with() -> None:
    lines: list[str] = []
    clock = Clock()
    reporter = Progress(lines.append, clock)

    reporter.begin("database")
    reporter.count(100)
    clock.now = 10
    reporter.report()
    reporter.count(50)
    reporter.trouble("Save() returned error")
    clock.now = 20
    reporter.report()
    reporter.trouble("")
    reporter.begin("verify")

    assert [json.loads(line.removeprefix(PROGRESS_PREFIX)) for line in lines] == [
        {"part": "database", "bytes": 0, "bytesPerSecond": 0, "trouble": ""},
        {"part": "database", "bytes": 100, "bytesPerSecond": 10, "trouble": ""},
        {"part": "database", "bytes": 150, "bytesPerSecond": 5, "trouble": "Save() returned error"},
        {"part": "verify", "bytes": 0, "bytesPerSecond": 0, "trouble": ""},
    ]
    read = read_progress("\n".join(lines[:3]) + "\nsomething else\n" + lines[3][:-5])
    assert read is not None
    assert (read.part, read.bytes, read.bytes_per_second) == ("database", 150, 5)
    assert read.message == "Save() returned error"


def test_a_line_is_written_now_and_then_also_while_nothing_moves(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(progress, "PERIOD_SECONDS", 0.01)
    lines: queue.Queue[str] = queue.Queue()
    reporter = Progress(lines.put)

    reporter.start()
    for _ in range(3):
        assert lines.get(timeout=20).startswith(PROGRESS_PREFIX)

    reporter.stop()


def test_a_log_without_progress_has_none() -> None:
    assert read_progress("") is None
    assert read_progress('progress {"part": 1}\nprogress nonsense') is None
