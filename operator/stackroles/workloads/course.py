"""How the members of a role come back from a loss: what was decided, and what they did; pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Decided:
    """Something that was decided for a role, as a sentence, and when.

    Attributes:
        at: when.
        text: the sentence.
        by: the member that did it by itself about a loss; empty where somebody else decided.
    """

    at: datetime
    text: str
    by: str = ""


@dataclass(frozen=True, slots=True)
class Course:
    """How a role stands beside what its pods' probes find.

    Attributes:
        decided: what was decided for it lately, in order.
        unsettled: whether its members are not one cluster.
        down: whether all its members say that they do not serve.
    """

    decided: Sequence[Decided] = ()
    unsettled: bool = False
    down: bool = False


def decided_at(at: str, text: str, by: str = "") -> list[Decided]:
    """Return what was decided at a time as an agent writes it; nothing where that is no time."""
    try:
        found = datetime.fromisoformat(at)
    except ValueError:
        return []
    return [Decided(found, text, by)] if found.tzinfo is not None else []


def course_of(
    actions: Mapping[str, Mapping[str, str]], serving: Mapping[str, bool | None]
) -> Course:
    """Return how a role stands by its members' agents.

    Args:
        actions: what each did by itself about a loss, by pod name and time.
        serving: whether each serves, by pod name; None without an answer, which means unknown.
    """
    decided = [
        found
        for pod, own in actions.items()
        for at, action in own.items()
        for found in decided_at(at, f"{pod} {action}", by=pod)
    ]
    return Course(
        decided=tuple(sorted(decided, key=lambda found: (found.at, found.text))),
        unsettled=any(serves is False for serves in serving.values()),
        down=bool(serving) and all(serves is False for serves in serving.values()),
    )
