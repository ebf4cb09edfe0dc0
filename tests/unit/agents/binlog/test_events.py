"""Binary logs cut into transactions."""

import io
import random
from collections.abc import Callable

import pytest
from typing_extensions import override

from stackroles.agents.binlog.events import (
    MAGIC,
    BinlogError,
    BinlogWriter,
    Gtid,
    Head,
    Splitter,
    Transaction,
    parse_format,
    read_head,
)
from tests.support.binlogs import (
    described,
    event,
    gtid,
    listed,
    numbers_of,
    row,
    statement,
    transaction,
)

HEAD = MAGIC + described() + listed((1, 4))
XID = event(16, bytes(8))


class Trickle(io.BytesIO):
    """Gives as many bytes as it likes."""

    def __init__(self, data: bytes, seed: int) -> None:
        super().__init__(data)
        self._random = random.Random(seed)

    @override
    def read(self, size: int | None = -1, /) -> bytes:
        assert size is not None
        return super().read(self._random.randint(1, size) if size > 0 else size)


def head(log: bytes = HEAD) -> Head:
    found = read_head(io.BytesIO(log))
    assert found is not None
    return found


def split(
    events: bytes, wanted: Callable[[Gtid], bool] = lambda _: True, *, seed: int = 0
) -> tuple[list[Transaction], bytes, int]:
    """Return the transactions, what is passed on, and how much is done with."""
    passed = bytearray()
    splitter = Splitter(Trickle(events, seed), head().format, wanted, passed.extend)
    found = list(splitter)
    return found, bytes(passed), splitter.position


def numbers(found: list[Transaction]) -> list[int]:
    return [transaction.gtid.number for transaction in found]


def test_a_head_says_after_which_transaction_a_log_begins() -> None:
    log = MAGIC + described() + listed((100, 9), (1, 22), (101, 44))

    assert head(log).position == 22
    assert head(MAGIC + described() + listed()).position == 0


def test_a_head_stays_when_the_log_is_closed_and_differs_between_logs() -> None:
    opened = described(5)
    closed = opened[:17] + b"\0" + opened[18:]

    assert head(MAGIC + opened + listed()) == head(MAGIC + closed + listed())
    assert head(MAGIC + opened + listed()).identity != head(HEAD).identity


@pytest.mark.parametrize("size", range(len(HEAD)))
def test_a_head_that_is_being_written_is_none_yet(size: int) -> None:
    assert read_head(io.BytesIO(HEAD[:size])) is None


@pytest.mark.parametrize(
    ("log", "says"),
    [
        (b"\xfdbin" + described(), "encrypted"),
        (MAGIC + described() + event(164, bytes(20)), "encrypt_binlog"),
        (MAGIC + event(15, bytes(300)) + listed(), "version 4"),
        (MAGIC + described()[:-1] + b"x" + listed(), "checksum"),
    ],
    ids=["magic", "encrypted", "version", "damaged"],
)
def test_what_is_no_log_is_refused(log: bytes, says: str) -> None:
    with pytest.raises(BinlogError, match=says):
        read_head(io.BytesIO(log))


def test_logs_of_one_server_are_of_one_format() -> None:
    assert parse_format(described(5)) == parse_format(described(9))
    assert parse_format(described(5, b"12.0")) != parse_format(described(5))


@pytest.mark.parametrize("seed", range(20))
def test_transactions_are_passed_on_as_they_are(seed: int) -> None:
    large = transaction(6, 20, b"x" * 600_000)
    between = event(161, b"checkpoint") + transaction(5, 9) + event(4, b"rotate")

    found, passed, position = split(between + large, lambda g: g.number > 5, seed=seed)

    assert [(t.gtid.number, t.gtid.time) for t in found] == [(5, 9), (6, 20)]
    assert passed == large
    assert position == len(between + large)


@pytest.mark.parametrize(
    "events",
    [
        gtid(1, 5, flags=41) + statement(b"CREATE TABLE t (id INT)", 5),
        gtid(1, 5) + row(b"1", 5) + statement(b"COMMIT", 5),
        gtid(1, 5) + row(b"1", 5) + statement(b"ROLLBACK", 5),
        gtid(1, 5) + statement(b"ROLLBACK TO `a`", 5) + row(b"1", 5) + XID,
        gtid(1, 5) + statement(b"INSERT INTO t VALUES (1)", 5) + XID,
        gtid(1, 5, flags=41) + event(5, bytes(9)) + statement(b"CREATE TABLE t", 5),
    ],
    ids=["ddl", "commit", "rollback", "savepoint", "statement", "variable"],
)
def test_a_transaction_ends_with_its_last_event(events: bytes) -> None:
    found, passed, position = split(events + gtid(2, 6))

    assert numbers(found) == [1]
    assert passed[:position] == events


def test_what_is_not_there_to_its_end_is_not_done_with() -> None:
    whole, next_one = transaction(1, 5), transaction(2, 6)
    for size in range(len(next_one)):
        found, _, position = split(whole + next_one[:size])
        assert (numbers(found), position) == ([1], len(whole)), size


def test_what_a_killed_server_left_is_nobodys() -> None:
    found, _, position = split(gtid(1, 5) + row(b"1", 5) + transaction(1, 9))

    assert [(t.gtid.number, t.gtid.time) for t in found] == [(1, 9)]
    assert position == len(gtid(1, 5) + row(b"1", 5) + transaction(1, 9))


def test_a_digest_is_of_what_changes() -> None:
    [one], *_ = split(transaction(1, 5, b"a", table=7))
    [same], *_ = split(transaction(1, 6, b"a", table=9))
    [other], *_ = split(transaction(1, 5, b"b"))
    [ddl], *_ = split(gtid(1, 5, flags=41) + statement(b"DROP TABLE a", 5, thread=1))
    [same_ddl], *_ = split(gtid(1, 6, flags=9) + statement(b"DROP TABLE a", 6, thread=8))
    [other_ddl], *_ = split(gtid(1, 5, flags=41) + statement(b"DROP TABLE b", 5))

    assert one.digest == same.digest != other.digest
    assert ddl.digest == same_ddl.digest != other_ddl.digest


@pytest.mark.parametrize("size", [10, 300_000])
def test_a_damaged_event_is_noticed(size: int) -> None:
    events = bytearray(transaction(1, 5, bytes(size)))
    events[len(events) - 100] ^= 1

    with pytest.raises(BinlogError, match="checksum"):
        split(bytes(events))


def test_events_without_checksums_are_read() -> None:
    log = MAGIC + described(crc=False)
    commit = event(16, bytes(8), crc=False)
    gtid_event = gtid(3, 5)
    body = event(162, gtid_event[19:-4], 5, crc=False)
    passed = bytearray()
    form = parse_format(log[len(MAGIC) :])

    source = io.BytesIO(body + row(b"1", 5, crc=False) + commit)
    found = list(Splitter(source, form, lambda _: True, passed.extend))

    assert numbers(found) == [3]
    assert len(passed) == len(source.getvalue())


def test_one_log_is_made_of_transactions_of_several() -> None:
    made = bytearray()
    writer = BinlogWriter(made.extend)
    for version, number in ((b"11", 1), (b"11", 2), (b"12", 3)):
        writer.begin(parse_format(described(number, version)))
        writer.write(transaction(number, 5))

    assert numbers_of(bytes(made)) == [1, 2, 3]
    found = read_all(bytes(made))
    assert numbers(found) == [1, 2, 3]
    assert bytes(made).count(b"\x00\x04\x00" + b"11") == 1


def read_all(log: bytes) -> list[Transaction]:
    source = io.BytesIO(log[len(MAGIC) :])
    return list(Splitter(source, head().format, lambda _: True, lambda _: None))
