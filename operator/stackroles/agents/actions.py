"""What a member's agent did by itself about a loss, as it reports it; pure.

Standard library only: it runs inside role pods.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Final

from stackroles.agents.text import shorten

KEPT: Final = 4
_LONGEST: Final = 512


def add_action(actions: Mapping[str, str], text: str, now: datetime) -> dict[str, str]:
    """Return actions with one more, the newest few.

    Args:
        actions: those so far, by time.
        text: what is done, whose subject is the member's name before it.
        now: the time.
    """
    newest = {**actions, now.isoformat(timespec="microseconds"): shorten(text, _LONGEST)}
    return dict(list(newest.items())[-KEPT:])
