"""What clients saw in a cycle: attempts in, times and losses out."""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Attempt:
    """One attempt of a client, such as to write a row or to have a message confirmed.

    Attributes:
        identity: what is acknowledged, for this attempt only.
        sent: when it was begun, in seconds of the machine's clock.
        ended: when its end was known.
        good: whether it was acknowledged.
        found: the identity of the attempt whose result this one replaced; None where it did not
            read one.
    """

    identity: int
    sent: float
    ended: float
    good: bool
    found: int | None = None


@dataclass(frozen=True, slots=True)
class Times:
    """Seconds since a fault began, as a client saw them.

    Attributes:
        first_loss: until the first failed attempt was begun; None where none failed.
        serving: until the first acknowledgement of an attempt that was begun after the last
            failed one, or after the fault was complete where none failed; None without one.
        longest_gap: the longest time between two acknowledgements.
    """

    first_loss: float | None
    serving: float | None
    longest_gap: float


def times(attempts: Sequence[Attempt], started: float, complete: float) -> Times:
    """Return what a client saw of a fault.

    Args:
        attempts: in the order in which their ends were known.
        started: when the fault began.
        complete: when all of it was done.
    """
    of_cycle = [attempt for attempt in attempts if attempt.ended > started]
    failed = [attempt.sent for attempt in of_cycle if not attempt.good]
    after = max(failed, default=complete)
    good = [attempt for attempt in of_cycle if attempt.good]
    back = next((attempt.ended for attempt in good if attempt.sent >= after), None)
    before = [attempt.ended for attempt in attempts if attempt.good and attempt.ended <= started]
    acknowledged = [*before[-1:], *(attempt.ended for attempt in good)]
    return Times(
        first_loss=max(0.0, min(failed) - started) if failed else None,
        serving=None if back is None else back - started,
        longest_gap=max((b - a for a, b in itertools.pairwise(acknowledged)), default=0.0),
    )


def lost(attempts: Iterable[Attempt], kept: Collection[int]) -> list[int]:
    """Return the identities that were acknowledged and are not kept, in order."""
    return sorted({attempt.identity for attempt in attempts if attempt.good} - set(kept))


def reverted(attempts: Iterable[Attempt]) -> list[int]:
    """Return the identities that were acknowledged and after which an older one was found.

    Args:
        attempts: in order, each of which replaces what the one before it wrote.
    """
    gone: set[int] = set()
    acknowledged: list[int] = []
    for attempt in attempts:
        if attempt.found is not None:
            while acknowledged and acknowledged[-1] > attempt.found:
                gone.add(acknowledged.pop())
        if attempt.good:
            acknowledged.append(attempt.identity)
    return sorted(gone)
