"""What the operator may decide for a database member, and when the member must reject it."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from stackroles.agents.galera.volume import Position

_START_MODES = ("create", "bootstrap", "join")
_TRANSFERS = ("mariabackup", "rsync")


@dataclass(frozen=True)
class Decision:
    """What the operator decided for one attempt of one member.

    Attributes:
        attempt: the attempt it is for.
        epoch: the deciding operator's term; terms only grow.
        mode: create, bootstrap, join, or recover (stop, if need be, and report anew).
        uuid, seqno: the position it was made on.
        transfer: how a full transfer is done (a wsrep_sst_method).
        full: discard the own position, so that the join is a full transfer.
    """

    attempt: str
    epoch: int
    mode: str
    uuid: str | None = None
    seqno: int = -1
    transfer: str = "mariabackup"
    full: bool = False


def parse_decision(text: str) -> Decision | None:
    """Return the decision in an annotation's value, or None when there is no valid one."""
    try:
        found = json.loads(text)
        decision = Decision(
            attempt=str(found["attempt"]),
            epoch=int(found["epoch"]),
            mode=str(found["mode"]),
            uuid=found.get("uuid"),
            seqno=int(found.get("seqno", -1)),
            transfer=str(found.get("transfer", "mariabackup")),
            full=bool(found.get("full", False)),
        )
    except (ValueError, KeyError, TypeError):
        return None
    known = decision.mode in (*_START_MODES, "recover")
    return decision if known and decision.transfer in _TRANSFERS else None


def rejection(
    decision: Decision, attempt: str, position: Position, applied: Mapping[str, Any]
) -> str | None:
    """Return why a waiting member must not apply a decision, or None when it must."""
    if decision.attempt != attempt:
        return "it is for another attempt"
    if applied.get("attempt") == attempt:
        return "it was applied before"
    if decision.epoch < int(applied.get("epoch", 0)):
        return "a later operator has decided since"
    if decision.mode == "create" and not position.empty:
        return "the volume is not empty"
    if decision.mode == "bootstrap" and (
        position.uuid is None or (decision.uuid, decision.seqno) != (position.uuid, position.seqno)
    ):
        return "it was made for another position"
    return None
