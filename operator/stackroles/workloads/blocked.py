"""The conditions of a resource, of any kind, that is not acted upon."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from pydantic import ValidationError

from stackroles.api.v1alpha1.common import Condition, dump
from stackroles.api.v1alpha1.conditions import ConditionType, Reason
from stackroles.workloads.conditions import Finding, build_condition


def inactive(
    status: Mapping[str, Any], finding: Finding, generation: int, now: datetime
) -> dict[str, Any]:
    """Return the status of a resource that is not acted upon; what else was known of it stays.

    A suspended resource stays as ready as it was; any other reason waits for a person.

    Args:
        status: the status so far, as the API serves it.
        finding: why it is not acted upon, a reason of `Reconciled`.
        generation: the observed generation.
        now: the time of the observation.
    """
    known = _conditions(status)
    findings = {
        ConditionType.RECONCILED: finding,
        ConditionType.RECONCILING: Finding(Reason.SETTLED),
    }
    if finding.reason is Reason.SUSPENDED:
        findings[ConditionType.STALLED] = Finding(Reason.HEALTHY)
    else:
        findings[ConditionType.READY] = finding
        findings[ConditionType.STALLED] = Finding(Reason.NEEDS_ATTENTION, finding.message)
    conditions = known | {
        kind.value: build_condition(kind, found, known.get(kind.value), (generation, now))
        for kind, found in findings.items()
    }
    ordered = [dump(conditions[kind.value]) for kind in ConditionType if kind.value in conditions]
    return {**status, "observedGeneration": generation, "conditions": ordered}


def _conditions(status: Mapping[str, Any]) -> dict[str, Condition]:
    """Return the conditions by type; those that an older version wrote in another form are gone."""
    known = {}
    for raw in status.get("conditions") or ():
        try:
            condition = Condition.model_validate(raw)
        except ValidationError:
            continue
        known[condition.type] = condition
    return known
