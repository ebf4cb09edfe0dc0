"""What clients saw of a fault."""

from typing import Any

from lab.soak.accounting import Attempt, Times, lost, reverted, times
from lab.soak.record import parse

ROWS = [
    Attempt(1, sent=9.0, ended=9.1, good=True),
    Attempt(2, sent=9.9, ended=10.1, good=True),
    Attempt(3, sent=10.4, ended=14.4, good=False),
    Attempt(4, sent=14.5, ended=15.0, good=False),
    Attempt(5, sent=15.5, ended=15.6, good=True),
    Attempt(6, sent=15.7, ended=15.8, good=True),
]


def rounded(found: Times) -> tuple[float | None, ...]:
    values = (found.first_loss, found.serving, found.longest_gap)
    return tuple(None if value is None else round(value, 3) for value in values)


def test_serving_again_is_the_first_acknowledgement_after_the_last_failure() -> None:
    assert rounded(times(ROWS, started=10.0, complete=10.2)) == (0.4, 5.6, 5.5)


def test_an_acknowledgement_between_failures_is_not_the_end_of_an_outage() -> None:
    between = Attempt(9, sent=14.42, ended=14.44, good=True)
    attempts = sorted([*ROWS, between], key=lambda attempt: attempt.ended)

    assert rounded(times(attempts, started=10.0, complete=10.2))[1] == 5.6


def test_without_a_failure_what_was_begun_after_the_fault_counts() -> None:
    good = [attempt for attempt in ROWS if attempt.good]

    assert rounded(times(good, started=10.0, complete=10.2)) == (None, 5.6, 5.5)


def test_a_client_that_was_not_served_again_has_no_time() -> None:
    assert times(ROWS[:4], started=10.0, complete=10.2).serving is None


def test_the_gap_begins_with_the_last_acknowledgement_before_the_fault() -> None:
    attempts = [ROWS[0], Attempt(2, sent=12.0, ended=12.5, good=True)]

    assert round(times(attempts, started=10.0, complete=10.0).longest_gap, 3) == 3.4


def test_only_what_was_acknowledged_can_be_lost() -> None:
    assert lost(ROWS, {1, 2, 6}) == [5]
    assert lost(ROWS, {1, 2, 3, 5, 6}) == []


def test_a_row_and_a_call_are_read_from_their_records() -> None:
    row: dict[str, Any] = {"id": 3, "sent": 1.0, "at": 1.5, "host": "demo-mariadb-0"}
    refused: dict[str, Any] = {"id": 4, "sent": 2.0, "at": 2.5, "error": "gone"}
    call: dict[str, Any] = {
        "name": "placement",
        "at": 3.0,
        "seconds": 0.5,
        "status": 200,
        "body": "",
    }
    failed = {**call, "status": 503}

    assert parse([row, refused]) == [Attempt(3, 1.0, 1.5, True), Attempt(4, 2.0, 2.5, False)]
    assert [(a.sent, a.ended, a.good) for a in parse([call, failed])] == [
        (3.0, 3.5, True),
        (3.0, 3.5, False),
    ]


def test_a_message_that_was_tried_again_was_begun_after_the_failed_try() -> None:
    lines: list[dict[str, Any]] = [
        {"at": 5.0, "error": "connection lost"},
        {"id": 7, "sent": 1.0, "at": 6.0},
        {"id": 8, "sent": 6.1, "at": 6.2},
    ]

    failed, again, other = parse(lines)
    assert (failed.good, again.sent, other.sent) == (False, 5.0, 6.1)
    assert parse(lines[1:], failed)[0] == again


def test_an_acknowledged_write_after_which_an_older_one_is_found_is_reverted() -> None:
    def write(identity: int, found: int | None, *, good: bool = True) -> Attempt:
        return Attempt(identity, float(identity), identity + 0.1, good, found)

    kept = [write(0, -1), write(1, 0), write(2, None, good=False), write(3, 1), write(4, 3)]
    unanswered_and_kept = [write(0, -1), write(1, None, good=False), write(2, 1)]
    gone = [write(0, -1), write(1, 0), write(2, 1), write(3, 0), write(4, 3)]

    assert reverted(kept) == []
    assert reverted(unanswered_and_kept) == []
    assert reverted(gone) == [1, 2]
    assert reverted([write(0, -1), write(1, -1)]) == [0]


def test_what_a_write_found_is_read_from_its_record() -> None:
    line = {"id": 7, "sent": 1.0, "at": 1.5, "error": "", "found": 6}

    assert parse([line]) == [Attempt(7, 1.0, 1.5, True, found=6)]
