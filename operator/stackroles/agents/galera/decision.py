"""When a waiting database member must not apply a decision."""

from stackroles.agents.galera.protocol import Decision, Mode, Position
from stackroles.agents.galera.volume import AppliedDecision


def rejection(
    decision: Decision, attempt: str, position: Position, applied: AppliedDecision
) -> str | None:
    """Return why a waiting member must not apply a decision, or None when it must."""
    if decision.attempt != attempt:
        return "it is for another attempt"
    if applied.attempt == attempt:
        return "it was applied before"
    if decision.epoch < applied.epoch:
        return "a later operator has decided since"
    if decision.mode is Mode.CREATE and not position.empty:
        return "the volume is not empty"
    if decision.mode is Mode.BOOTSTRAP and (
        position.uuid is None or (decision.uuid, decision.seqno) != (position.uuid, position.seqno)
    ):
        return "it was made for another position"
    return None
