"""The conditions of a resource that runs once and ends: a Backup, a Restore."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from stackroles.api.v1alpha1.common import Condition
from stackroles.api.v1alpha1.conditions import ConditionType, Reason
from stackroles.workloads.conditions import Finding, build_condition, conditions_of


@dataclass(frozen=True, slots=True, kw_only=True)
class RunReasons:
    """What the reasons of `Complete` mean for a kind.

    Attributes:
        good: the run ended well.
        failed: it ended, or stands still, and a person must act.
        moving: it is under way, or waits for what comes by itself.
    """

    good: Reason
    failed: frozenset[Reason]
    moving: frozenset[Reason]


def conditions_of_run(
    reasons: RunReasons,
    reconciled: Finding,
    complete: Finding,
    previous: Sequence[Condition],
    at: tuple[int, datetime],
) -> tuple[Condition, ...]:
    """Return the conditions; Ready repeats what is wrong, or that the run ended well.

    Args:
        reasons: what the reasons of `complete` mean.
        reconciled: whether what the resource needs is there.
        complete: how the run stands.
        previous: the conditions so far.
        at: the observed generation, and the time of the observation.
    """
    generation, now = at
    applied = reconciled.reason.status == "True"
    failed = complete.reason in reasons.failed or not applied
    moves = complete.reason in reasons.moving
    moving = Finding(Reason.WORKING if moves and not failed else Reason.SETTLED, complete.message)
    stalled = Finding(
        Reason.NEEDS_ATTENTION if failed else Reason.HEALTHY, complete.message if failed else ""
    )
    ready = complete if applied else reconciled
    if complete.reason is reasons.good:
        ready = Finding(Reason.AS_DESIRED, complete.message)
    known = {condition.type: condition for condition in previous}
    return (
        *conditions_of((reconciled, complete, moving, stalled), previous, generation, now),
        build_condition(ConditionType.READY, ready, known.get("Ready"), (generation, now)),
    )
