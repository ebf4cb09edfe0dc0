"""Findings, and the conditions that follow from them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from stackroles.api.v1alpha1.common import Condition
from stackroles.api.v1alpha1.conditions import ConditionType, Reason


@dataclass(frozen=True, slots=True)
class Finding:
    """One statement about a resource: a reason, which knows its condition, and a sentence."""

    reason: Reason
    message: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ObservationTime:
    """When a resource was observed, and at which generation of it.

    Attributes:
        generation: the resource's generation.
        created: when the resource was created.
        now: the time of the observation.
    """

    generation: int
    created: datetime
    now: datetime


def joined(findings: Iterable[Finding | None]) -> Finding | None:
    """Return the first finding with what the others say; None where there is none."""
    found = [finding for finding in findings if finding is not None]
    if not found:
        return None
    messages = dict.fromkeys(finding.message for finding in found)
    return Finding(found[0].reason, " Also: ".join(messages))


def all_conditions(
    reconciled: Finding,
    available: Finding,
    progressing: Finding,
    previous: Sequence[Condition],
    observed_at: ObservationTime,
) -> tuple[Condition, ...]:
    """Return all conditions of a resource that runs something, from the three that decide them."""
    known = {condition.type: condition for condition in previous}
    at = (observed_at.generation, observed_at.now)
    ready = summarise(reconciled, available, progressing, available.message)
    findings = (reconciled, available, progressing, *kstatus(reconciled, progressing))
    return (
        build_condition(ConditionType.READY, ready, known.get("Ready"), at),
        *conditions_of(findings, previous, *at),
    )


def conditions_of(
    findings: Iterable[Finding], previous: Sequence[Condition], generation: int, now: datetime
) -> tuple[Condition, ...]:
    """Return findings as conditions.

    Args:
        findings: one for each condition type.
        previous: the conditions so far; a status that stays keeps its transition time.
        generation: the observed generation.
        now: the time of the observation.
    """
    known = {condition.type: condition for condition in previous}
    return tuple(
        build_condition(
            finding.reason.type, finding, known.get(finding.reason.type), (generation, now)
        )
        for finding in findings
    )


def build_condition(
    kind: ConditionType, finding: Finding, known: Condition | None, at: tuple[int, datetime]
) -> Condition:
    """Return one condition of a type; `Ready` may repeat another type's finding."""
    generation, now = at
    status = finding.reason.status if finding.reason.type is kind else "False"
    same = known is not None and known.status == status
    return Condition(
        type=kind.value,
        status=status,
        reason=finding.reason.value,
        message=finding.message,
        last_transition_time=known.last_transition_time if known is not None and same else now,
        observed_generation=generation,
    )


def summarise(
    reconciled: Finding, available: Finding, progressing: Finding, ready_message: str
) -> Finding:
    """Return what `Ready` says: the first of the three that fails, else that all is as desired.

    What holds up or brings up comes before members that are missing: it is why they are.
    """
    if reconciled.reason.status != "True":
        return reconciled
    if is_held_up(progressing) or progressing.reason in (Reason.BRINGING_UP, Reason.RESTORING):
        return progressing
    if available.reason.status != "True":
        return available
    if progressing.reason is not Reason.ROLLOUT_COMPLETE:
        return progressing
    return Finding(Reason.AS_DESIRED, ready_message)


def is_held_up(progressing: Finding) -> bool:
    """Return whether something a person must change stops the progress."""
    reason = progressing.reason
    return reason.status == "False" and reason is not Reason.ROLLOUT_COMPLETE


def kstatus(reconciled: Finding, progressing: Finding) -> tuple[Finding, Finding]:
    """Return `Reconciling` and `Stalled` as generic tools understand them."""
    failing = next(
        (
            finding
            for finding, bad in (
                (reconciled, reconciled.reason.status != "True"),
                (progressing, is_held_up(progressing)),
            )
            if bad
        ),
        None,
    )
    if failing is not None:
        return Finding(Reason.SETTLED), Finding(Reason.NEEDS_ATTENTION, failing.message)
    if progressing.reason.status == "True":
        return Finding(Reason.WORKING, progressing.message), Finding(Reason.HEALTHY)
    return Finding(Reason.SETTLED), Finding(Reason.HEALTHY)
