"""What is stored of a cloud's binary logs: pieces, and the chains that they make; pure.

Runs inside role pods: standard library only. A piece is a binary log by itself, of transactions of
one history that follow each other. All that is known of it is in the tags of its snapshot,
which are signed together with its checksum, in the way a manifest is (backup/manifest.py).

Pieces of one chain continue each other. A chain ends where transactions are missing, or where
another history begins; the next one has a higher number.
"""

import hmac
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from itertools import groupby
from typing import Any

from stackroles.agents import wire
from stackroles.agents.backup.manifest import Identity, signature_tag
from stackroles.agents.backup.sets import MANIFEST_TAG, SIGNATURE_TAG
from stackroles.agents.binlog.protocol import Coverage

PART = "binlog"
FILE = "transactions.binlog"
PIECE_BYTES = 64 << 20
"""A piece that has reached it ends with its transaction."""
# So many pieces of one level become one of the next.
FAN_IN = 32
# A clock may be wrong by so much where the age of a piece is compared with that of a set.
CLOCK_SECONDS = 3600
# Without a set there is nothing that pieces could continue: a first one is taken within a day.
ORPHAN_SECONDS = 24 * 3600


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """One piece. One without transactions says that there were none for a time.

    Attributes:
        policy: the BackupPolicy.
        history: uuid of the replicated history.
        chain: number of its chain.
        level: how many times it was made of others.
        first, last: the number after that of the transaction before it, which may be nobody's, and
            the number of its last one, which is before `first` where it has none.
        since: time of the first one, seconds since 1970.
        until: up to which time it holds all transactions after `first`, seconds since 1970.
        digest: of the last transaction, or the one before it where it has none; empty: not known.
        bytes: its size.
        sha256: its checksum, hexadecimal.
        snapshot: restic's snapshot of it; it is in no tag.
    """

    policy: str
    history: str
    chain: int
    level: int = 0
    first: int
    last: int
    since: int
    until: int
    digest: str
    bytes: int
    sha256: str
    snapshot: str = ""


_TAGS = tuple(field for field in fields(Piece) if field.name != "snapshot")


class ForgedPiece(ValueError):  # noqa: N818 - what it is
    """A snapshot's tags are not those that a shipper wrote."""


def tags_of(piece: Piece, key: Identity) -> tuple[str, ...]:
    """Return the tags of a piece's snapshot besides that of its part."""
    return (
        *(f"{field.name}={getattr(piece, field.name)}" for field in _TAGS),
        signature_tag(_signed(piece), key),
    )


def _signed(piece: Piece) -> bytes:
    """Return what is signed: no manifest is of this form."""
    return wire.dumps({"piece": wire.encode(replace(piece, snapshot=""))}, sort_keys=True).encode()


def is_piece(snapshot: Mapping[str, Any], policy: str) -> bool:
    """Return whether a snapshot is tagged as a piece of a policy."""
    return {f"part={PART}", f"policy={policy}"} <= set(snapshot.get("tags") or ())


def piece_of(snapshot: Mapping[str, Any], key: Identity) -> Piece:
    """Return the piece in a snapshot; raises ForgedPiece unless its tags are proven."""
    tags = [str(tag) for tag in snapshot["tags"]]
    signatures = [tag for tag in tags if tag.startswith(SIGNATURE_TAG)]
    values = dict(tag.split("=", 1) for tag in tags if "=" in tag)
    try:
        found: dict[str, Any] = {
            field.name: int(values[field.name]) if field.type is int else values[field.name]
            for field in _TAGS
        }
    except (KeyError, ValueError) as error:
        raise ForgedPiece(f"snapshot {snapshot['id']} lacks a tag of a piece: {error}") from error
    piece = Piece(**found)
    right = signature_tag(_signed(piece), key)
    if len(signatures) != 1 or not hmac.compare_digest(signatures[0], right):
        raise ForgedPiece(f"the tags of snapshot {snapshot['id']} are not signed by a shipper")
    return replace(piece, snapshot=str(snapshot["id"]))


@dataclass(frozen=True, slots=True)
class Segment:
    """Pieces that continue each other.

    Attributes:
        pieces: each begins at the latest after the end of those before it.
        first, last: numbers of the first and the last transaction.
    """

    pieces: tuple[Piece, ...]
    first: int
    last: int

    @property
    def since(self) -> int:
        """Time of the first transaction."""
        return self.pieces[0].since

    @property
    def until(self) -> int:
        """Time up to which it holds all transactions after its first one."""
        return max(piece.until for piece in self.pieces)

    @property
    def history(self) -> str:
        """The history that it is of."""
        return self.pieces[0].history

    def coverage(self) -> Coverage:
        """Return what it holds."""
        return Coverage(
            history=self.history,
            first=self.first,
            last=self.last,
            since=float(self.since),
            until=float(self.until),
        )


def segments(pieces: Iterable[Piece]) -> tuple[Segment, ...]:
    """Return the pieces that continue each other, the newest chain last.

    Pieces that others hold as a whole are left out: what is left of a merge that broke off.
    """
    found: list[Segment] = []
    ordered = sorted(pieces, key=lambda p: (p.chain, p.history, p.first, -p.last, p.until))
    for _, chain in groupby(ordered, key=lambda p: (p.chain, p.history)):
        found += _of_chain(tuple(chain))
    return tuple(found)


def _of_chain(chain: Sequence[Piece]) -> list[Segment]:
    found: list[Segment] = []
    for piece in chain:
        whole = found[-1] if found else None
        if whole is None or piece.first > whole.last + 1:
            found.append(Segment((piece,), piece.first, piece.last))
        elif piece.last > whole.last or piece.until > whole.until:
            last = max(piece.last, whole.last)
            found[-1] = Segment((*whole.pieces, piece), whole.first, last)
    return found


def redundant(pieces: Iterable[Piece]) -> tuple[Piece, ...]:
    """Return the pieces that others hold as a whole."""
    known = tuple(pieces)
    used = {piece.snapshot for segment in segments(known) for piece in segment.pieces}
    return tuple(piece for piece in known if piece.snapshot not in used)


def newest(pieces: Iterable[Piece], history: str = "") -> Segment | None:
    """Return the newest segment, of one history where it is given; None without any."""
    found = [s for s in segments(pieces) if not history or s.history == history]
    return found[-1] if found else None


def follows_gap(pieces: Iterable[Piece], set_times: Iterable[float]) -> bool:
    """Return whether a set is missing that was begun after the last gap in a history.

    Args:
        pieces: all of a policy.
        set_times: when its sets were begun, seconds since 1970.
    """
    found = segments(pieces)
    if not found:
        return False
    last = found[-1]
    before = [segment for segment in found[:-1] if segment.history == last.history]
    return bool(before) and not any(begun > last.since for begun in set_times)


def holding(pieces: Iterable[Piece], history: str, after: int) -> Segment | None:
    """Return the newest segment that has what follows a transaction; None where none has it."""
    found = [s for s in segments(pieces) if s.history == history and s.first - 1 <= after <= s.last]
    return found[-1] if found else None


def to_merge(pieces: Iterable[Piece]) -> tuple[Piece, ...]:
    """Return pieces that continue each other and are to become one; none where all is well.

    Each is read anew once for each level, of which there are few: one has as many times the pieces
    of the one before it.
    """
    for segment in segments(pieces):
        for _, level in groupby(segment.pieces, key=lambda piece: piece.level):
            run = tuple(level)
            if len(run) >= FAN_IN and len(group := _fitting(run)) > 1:
                return group
    return ()


def _fitting(run: Sequence[Piece]) -> tuple[Piece, ...]:
    """Return the first pieces of a run that fit into one; one alone where none do."""
    group: list[Piece] = []
    for piece in run:
        if sum(p.bytes for p in group) + piece.bytes > PIECE_BYTES or len(group) == FAN_IN:
            if len(group) > 1:
                break
            group = []
        group.append(piece)
    return tuple(group)


def set_times(snapshots: Iterable[Mapping[str, Any]], policy: str) -> Mapping[str, tuple[str, ...]]:
    """Return the times of the snapshots of each set of a policy that has a manifest."""
    times: dict[str, list[str]] = {}
    whole: set[str] = set()
    for snapshot in snapshots:
        tags = snapshot.get("tags") or ()
        name = next((tag for tag in tags if tag.startswith("set=")), "")
        if f"policy={policy}" in tags and name:
            times.setdefault(name, []).append(str(snapshot["time"]))
            if MANIFEST_TAG in tags:
                whole.add(name)
    return {name: tuple(found) for name, found in times.items() if name in whole}


def outdated(pieces: Iterable[Piece], begun: Iterable[float], now: float) -> tuple[Piece, ...]:
    """Return the pieces that no set is continued by any more.

    Args:
        pieces: all of a policy.
        begun: when its sets were begun, seconds since 1970.
        now: the time of the decision.
    """
    oldest = min(begun, default=now - ORPHAN_SECONDS)
    return tuple(piece for piece in pieces if piece.until < oldest - CLOCK_SECONDS)
