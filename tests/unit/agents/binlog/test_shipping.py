"""Binary logs of members that answer here, shipped into a repository in memory."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from stackroles.agents.backup.repository import Part, StepFailed
from stackroles.agents.backup.streams import Sink
from stackroles.agents.binlog import pieces, shipping
from stackroles.agents.binlog.member import Member
from stackroles.agents.binlog.pieces import Piece
from stackroles.agents.binlog.protocol import (
    TRANSACTIONS_DAMAGED,
    TRANSACTIONS_FORGED,
    TRANSACTIONS_MISSING,
    ShippingState,
)
from stackroles.agents.binlog.shipping import Shipping
from stackroles.agents.binlog.store import PieceStore
from stackroles.agents.binlog.transactions import Transactions
from stackroles.agents.galera import binlog_files
from tests.support.alarm import alarm
from tests.support.binlogs import HISTORY, SYNCED, PlayedMember, answering, numbers_of
from tests.support.memory_restic import MemoryRestic

OTHER_HISTORY = "11111111-1111-1111-1111-111111111111"
START = 1_790_000_000


@dataclass
class World:
    """Three members, the repositories, and a shipper; time passes only when asked to."""

    played: list[PlayedMember]
    members: list[Member]
    binlogs: Any
    sets: Any
    now: float = START
    shipping: Shipping = field(init=False)
    store: PieceStore = field(init=False)

    def __post_init__(self) -> None:
        for number, member in enumerate(self.played):
            member.table = 7 + number
            member.clock = lambda: self.now
            member.begin_log(0)
        self.restart()

    def restart(self, **options: int) -> None:
        """Have another shipper go on: all that it knows is in the repository."""
        self.store = PieceStore(self.binlogs, "daily", self.sets)

        def clock() -> float:
            return self.now

        self.shipping = Shipping("daily", self.members, self.store, clock, clock, **options)

    def commit(self, *numbers: int, at: int | None = None, content: bytes = b"") -> None:
        """Have all members log transactions."""
        for member in self.played:
            member.commit(*numbers, at=int(self.now) if at is None else at, content=content)

    def ship(self, seconds: float = 15) -> ShippingState:
        self.now += seconds
        self.shipping.round()
        return self.shipping.report().state

    def away(self, *numbers: int) -> None:
        for number, member in enumerate(self.played):
            member.status = {} if number in numbers else dict(SYNCED)

    def take_set(self) -> None:
        """Store a set, as a run does."""

        def write(sink: Sink) -> dict[str, str]:
            sink.write(b"x")
            return {}

        self.sets.open()
        self.sets.tags = ("set=one", "policy=daily")
        self.sets.clock = lambda: datetime.fromtimestamp(self.now, UTC).isoformat()
        for name in ("database", "manifest"):
            self.sets.save(Part(name, name, write))

    def stored(self, after: int = 0, until: int | None = None, history: str = HISTORY) -> list[int]:
        """Return the numbers of what a restore would get."""
        found = bytearray()
        transactions = Transactions("daily", lambda _: self.binlogs)
        latest = int(transactions.coverage(history, lambda: None).until)
        transactions.send(history, after, until or latest, found.extend, lambda: None)
        return numbers_of(bytes(found)) if found else []

    def refused(self, after: int, until: int, history: str = HISTORY) -> StepFailed:
        with pytest.raises(StepFailed) as caught:
            self.stored(after, until, history)
        return caught.value


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    played = [PlayedMember(tmp_path / f"m-{number}") for number in range(3)]
    with alarm(120), answering(*played) as members:
        yield World(played, members, MemoryRestic(), MemoryRestic())


def test_what_is_committed_is_stored_and_can_be_restored_to_any_second(world: World) -> None:
    for number in range(1, 6):
        world.commit(number, at=START + number)

    assert world.ship() is ShippingState.SHIPPING
    assert world.stored() == [1, 2, 3, 4, 5]
    assert world.stored(after=2) == [3, 4, 5]
    assert world.stored(after=5) == []
    assert world.stored(after=1, until=START + 4) == [2, 3]
    report = world.shipping.report()
    assert report.coverage.history == HISTORY
    assert (report.coverage.first, report.coverage.last) == (1, 5)
    assert (report.coverage.since, report.coverage.until) == (START + 1, START + 15)
    assert (report.pieces, report.member) == (1, "127.0.0.1")


def test_rounds_continue_each_other_over_rotated_logs(world: World) -> None:
    world.commit(1)
    world.ship()
    world.commit(2)
    world.played[0].begin_log(2)
    world.commit(3)
    world.ship()
    world.played[0].expire()
    world.commit(4)
    world.ship()

    assert world.stored() == [1, 2, 3, 4]
    assert world.shipping.report().pieces == 3
    # A log that goes on is not read anew from its beginning.
    assert not any("offset=4&" in path for path in world.played[0].asked[-3:])


def test_a_transaction_that_is_half_written_comes_whole_with_the_next_round(world: World) -> None:
    member = world.played[0]
    world.commit(1)
    size = (member.data / member.logs()[-1]).stat().st_size
    member.commit(2, at=START)
    whole = (member.data / member.logs()[-1]).read_bytes()
    (member.data / member.logs()[-1]).write_bytes(whole[:-5])
    world.ship()
    assert world.stored() == [1]

    (member.data / member.logs()[-1]).write_bytes(whole)
    world.ship()

    assert world.stored() == [1, 2]
    assert size < len(whole)


def test_a_number_that_no_log_has_is_no_gap(world: World) -> None:
    # A statement that fails on all members takes one.
    world.commit(1, 3)
    world.ship()
    world.played[0].begin_log(3)
    world.commit(7)
    world.restart()

    assert world.ship() is ShippingState.SHIPPING
    assert world.stored() == [1, 3, 7]
    assert world.stored(after=3) == [7]
    world.away(0)
    world.commit(9)
    assert world.ship() is ShippingState.SHIPPING
    assert world.stored() == [1, 3, 7, 9]


def test_a_time_without_transactions_is_stored_now_and_then(world: World) -> None:
    world.commit(1)
    world.ship()
    world.ship()
    world.ship()
    assert world.shipping.report().coverage.until == START + 15

    world.ship(60)

    assert world.shipping.report().coverage.until == START + 105
    assert world.stored(after=1) == []
    world.restart()
    world.commit(2)
    world.ship()
    assert world.stored() == [1, 2]


def test_another_shipper_goes_on_from_what_is_stored(world: World) -> None:
    world.commit(1, 2)
    world.ship()
    world.commit(3)
    world.restart()

    assert world.ship() is ShippingState.SHIPPING
    assert world.stored() == [1, 2, 3]
    assert world.store.pieces[-1].first == 3


def test_another_member_is_followed_by_numbers(world: World) -> None:
    world.commit(1, 2)
    world.ship()
    # It was given its state later, so that its logs begin elsewhere.
    world.played[1].forget()
    world.played[1].begin_log(1)
    world.played[1].commit(2, at=START)
    world.away(0)
    world.commit(3)

    assert world.ship() is ShippingState.SHIPPING
    assert world.stored() == [1, 2, 3]


def test_a_member_that_is_behind_is_left_for_another(world: World) -> None:
    world.commit(1, 2, 3)
    world.ship()
    world.away(0)
    world.played[1].forget()
    world.played[1].begin_log(0)
    world.played[1].commit(1, at=START)
    world.played[2].commit(4, at=START)

    assert world.ship() is ShippingState.SHIPPING
    assert world.stored() == [1, 2, 3, 4]


def test_while_all_members_are_away_it_waits(world: World) -> None:
    world.commit(1)
    world.ship()
    world.away(0, 1, 2)
    assert world.ship() is ShippingState.WAITING
    assert "not a synchronised one" in world.shipping.report().message
    world.commit(2)
    world.away()

    assert world.ship(600) is ShippingState.SHIPPING
    assert world.stored() == [1, 2]


def test_transactions_that_no_member_has_any_more_are_a_gap_until_a_set_follows(
    world: World,
) -> None:
    world.commit(1)
    world.ship()
    for member in world.played:
        member.forget()
        member.begin_log(4)
    world.commit(5)

    assert world.ship() is ShippingState.GAP
    assert "take a Backup" in world.shipping.report().message
    assert world.ship() is ShippingState.GAP
    assert world.shipping.report().coverage.first == 5
    assert world.refused(1, START + 40).reason == TRANSACTIONS_MISSING
    # What comes before the gap can still be restored to.
    assert world.stored(0, START + 15) == [1]

    world.restart()
    assert world.ship() is ShippingState.GAP
    world.take_set()

    assert world.ship(60) is ShippingState.SHIPPING
    assert world.stored(after=4) == [5]


def test_a_member_without_what_continues_is_no_gap_while_another_has_it(world: World) -> None:
    world.commit(1)
    world.ship()
    world.commit(2)
    world.played[0].forget()
    world.played[0].begin_log(2)
    world.away(1, 2)

    assert world.ship() is ShippingState.WAITING
    world.away(1)
    assert world.ship() is ShippingState.SHIPPING
    assert world.stored() == [1, 2]


def test_a_gap_is_told_when_members_stay_away(world: World) -> None:
    world.commit(1)
    world.ship()
    world.commit(2)
    world.played[0].forget()
    world.played[0].begin_log(2)
    world.away(1, 2)
    world.ship()

    assert world.ship(shipping.PATIENCE_SECONDS) is ShippingState.GAP


def test_another_transaction_under_a_stored_number_is_a_gap(world: World) -> None:
    world.commit(1, 2)
    world.ship()
    for member in world.played:
        member.forget()
        member.begin_log(0)
    world.commit(1)
    world.commit(2, content=b"of another history")
    world.commit(3)
    world.restart()

    assert world.ship() is ShippingState.GAP
    assert "transaction 2 of 127.0.0.1 is another" in world.shipping.report().message
    world.commit(4)
    world.ship()
    # Whoever restores a set from before must not get what followed another transaction.
    assert world.refused(2, int(world.now)).reason == TRANSACTIONS_MISSING
    assert world.stored(after=3) == [4]


def test_another_history_begins_another_chain(world: World) -> None:
    world.commit(1, 2)
    world.ship()
    for member in world.played:
        member.forget()
        member.begin_log(1)
        member.status["wsrep_cluster_state_uuid"] = OTHER_HISTORY
    world.commit(2, content=b"anew")

    assert world.ship() is ShippingState.SHIPPING
    assert world.stored(until=START + 15) == [1, 2]
    assert world.stored(after=1, history=OTHER_HISTORY) == [2]


def test_another_log_of_the_same_name_is_noticed(world: World) -> None:
    member = world.played[0]
    world.commit(1, 2)
    world.ship()
    member.forget()
    member.begin_log(1, created=9)
    member.commit(2, at=START)
    for number in range(3, 40):
        member.commit(number, at=START)

    assert world.ship() is ShippingState.SHIPPING
    assert world.stored() == list(range(1, 40))


def test_a_killed_server_logs_a_transaction_twice(world: World) -> None:
    member = world.played[0]
    world.commit(1, 2)
    log = member.data / member.logs()[-1]
    log.write_bytes(log.read_bytes()[:-5])
    member.begin_log(2)
    world.commit(2, 3)

    assert world.ship() is ShippingState.SHIPPING
    assert world.stored() == [1, 2, 3]


def test_a_clock_that_is_behind_takes_nothing_back(world: World) -> None:
    world.commit(1)
    world.ship()
    world.played[0].ahead = -3600
    world.commit(2, at=START + 1)
    world.ship()

    assert world.shipping.report().coverage.until == START + 15
    assert world.stored() == [1, 2]


def test_the_time_of_a_transaction_never_goes_back(world: World) -> None:
    # A writer's clock is behind, or a statement took long: it was committed after the one before.
    world.commit(1, at=START + 5)
    world.commit(2, at=START + 2)
    world.commit(3, at=START + 6)
    world.ship()

    assert world.stored(until=START + 3) == []
    assert world.stored(until=START + 6) == [1, 2]


def test_while_the_repository_is_away_it_waits_and_loses_nothing(world: World) -> None:
    world.commit(1)
    world.ship()
    world.binlogs.fails = "it is away"
    world.commit(2)
    assert world.ship() is ShippingState.WAITING
    assert "repository of binary logs" in world.shipping.report().message
    world.commit(3)
    world.ship(300)

    world.binlogs.fails = ""

    world.shipping.round()

    report = world.shipping.report()
    assert (report.state, report.lag) == (ShippingState.SHIPPING, 315)
    assert world.shipping.report().lag == 0
    assert world.ship() is ShippingState.SHIPPING
    assert world.stored() == [1, 2, 3]


def test_a_shipper_that_is_killed_before_it_knows_of_a_piece_stores_it_once(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.commit(1)
    world.ship()
    save = MemoryRestic.save

    def killed(restic: MemoryRestic, part: Part) -> None:
        save(restic, part)
        raise StepFailed("binlog", "killed")

    with monkeypatch.context() as patch:
        patch.setattr(MemoryRestic, "save", killed)
        world.commit(2)
        assert world.ship() is ShippingState.WAITING
    world.commit(3)
    world.restart()
    world.ship()

    assert world.stored() == [1, 2, 3]
    assert [(p.first, p.last) for p in world.store.pieces] == [(1, 1), (2, 2), (3, 3)]


def test_a_dead_predecessors_lock_is_removed(world: World) -> None:
    world.commit(1)
    world.ship()
    world.binlogs.locked = True
    world.restart()

    assert world.ship() is ShippingState.SHIPPING
    assert not world.binlogs.locked


def test_small_pieces_become_few(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pieces, "FAN_IN", 3)
    for number in range(1, 12):
        world.commit(number)
        assert world.ship() is ShippingState.SHIPPING

    assert world.stored() == list(range(1, 12))
    levels = sorted((p.first, p.last, p.level) for p in world.store.pieces)
    assert levels == [(1, 9, 2), (10, 10, 0), (11, 11, 0)]
    assert world.stored(after=4, until=START + 15 * 8) == [5, 6, 7, 8]
    world.restart()
    world.commit(12)
    world.ship()
    assert world.stored() == list(range(1, 13))


def test_a_merge_that_breaks_off_costs_nothing(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pieces, "FAN_IN", 3)

    def killed(_: PieceStore, group: Sequence[Piece]) -> None:
        if group:
            raise StepFailed("pieces", "killed")

    with monkeypatch.context() as patch:
        patch.setattr(PieceStore, "forget", killed)
        for number in range(1, 4):
            world.commit(number)
            world.ship()
    assert len(world.binlogs.found) == 4
    assert world.stored() == [1, 2, 3]
    world.restart()
    world.commit(4)
    world.ship()

    assert world.stored() == [1, 2, 3, 4]
    assert len(world.store.pieces) == 2


def test_pieces_that_no_set_needs_are_forgotten(world: World) -> None:
    world.commit(1)
    world.ship()
    world.now += 3 * 24 * 3600
    world.commit(2)

    world.ship()

    assert [piece.first for piece in world.store.pieces] == [2]
    assert world.refused(0, START).reason == TRANSACTIONS_MISSING


def test_a_transaction_larger_than_an_answer_and_a_piece(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(binlog_files, "LONGEST_ANSWER", 1 << 20)
    world.commit(1)
    world.commit(2, content=os.urandom(3 << 20))
    world.commit(3)

    assert world.ship() is ShippingState.SHIPPING
    assert world.stored() == [1, 2, 3]


def test_much_at_once_is_stored_in_pieces(world: World) -> None:
    world.restart(piece_bytes=1000)
    world.commit(*range(1, 31))

    world.ship()

    assert world.stored() == list(range(1, 31))
    assert len(world.store.pieces) > 1


@pytest.mark.parametrize("tag", ["first=0", "until=1999999999", "sha256=00", "signature="])
def test_a_piece_that_was_tagged_anew_is_refused(world: World, tag: str) -> None:
    world.commit(1)
    world.ship()
    [(snapshot, _)] = world.binlogs.found.values()
    name = tag.partition("=")[0]
    snapshot["tags"] = [t for t in snapshot["tags"] if not t.startswith(f"{name}=")] + [tag]

    assert world.refused(0, START + 1).reason == TRANSACTIONS_FORGED


def test_a_piece_in_anothers_place_is_refused(world: World) -> None:
    world.commit(1)
    world.ship()
    world.commit(2)
    world.ship()
    (first, (snapshot, _)), (_, (_, data)) = world.binlogs.found.items()
    world.binlogs.found[first] = (snapshot, data)

    assert world.refused(0, START + 1).reason == TRANSACTIONS_DAMAGED


def test_a_piece_that_is_gone_is_missed(world: World) -> None:
    for number in (1, 2, 3):
        world.commit(number)
        world.ship()
    del world.binlogs.found[world.store.pieces[1].snapshot]

    assert world.refused(0, START + 45).reason == TRANSACTIONS_MISSING
    assert world.stored(after=2) == [3]
    world.restart()
    assert world.ship() is ShippingState.GAP
