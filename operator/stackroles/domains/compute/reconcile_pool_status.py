"""ComputePool: writes how it stands after a pass."""

from dataclasses import dataclass, replace
from typing import Any

from stackroles.api.v1alpha1.common import dump
from stackroles.api.v1alpha1.compute import ComputePoolStatus
from stackroles.api.v1alpha1.conditions import ConditionType, Reason, reason_of
from stackroles.config.pool import Pool
from stackroles.domains.compute.membership import Enrolment
from stackroles.domains.compute.reconcile_node import nodes_of, previous_status
from stackroles.domains.compute.reconcile_view import previous
from stackroles.domains.compute.status_node import READY
from stackroles.domains.compute.status_pool import Selection, assess_pool
from stackroles.errors import SpecInvalid
from stackroles.kube.apply import AppliedRecord
from stackroles.kube.kinds import ref_of
from stackroles.reconcile.apply_failures import Attempts
from stackroles.reconcile.context import Context
from stackroles.roles import registry
from stackroles.roles.resolve import check_config, options_without_effect
from stackroles.workloads.conditions import Finding, joined

Object = dict[str, Any]
_UNSETTLED_SECONDS = 15.0


@dataclass(frozen=True, slots=True, kw_only=True)
class PassOutcome:
    """What a pass found out about the pool as a whole.

    Attributes:
        enrolment: what it does with nodes.
        records: of its children; None where not all were applied.
        blocked: what its deletion waits for, None where it is not to go.
        attempts: what of the pass failed.
        progressing: what is under way or in the way; None to derive it from the nodes.
        rolling: how the roll of the data plane stands, None when there is none.
        libvirt: whether all nodes run the libvirt that is declared.
        api_error: why the cloud could not be asked, empty when it could.
        zone: the availability zone that its hosts were put into, None for none.
    """

    enrolment: Enrolment
    records: tuple[AppliedRecord, ...] | None
    blocked: Finding | None
    attempts: Attempts
    progressing: Finding | None
    rolling: Finding | None
    libvirt: Finding
    api_error: str
    zone: str | None


async def write_pool_status(
    context: Context, resource: Object, pool: Pool, outcome: PassOutcome
) -> None:
    """Write the status of a pool, and have it reconciled again while nodes are under way."""
    before, enrolment = previous(resource), outcome.enrolment
    observed_at = context.observed_at(resource)
    if outcome.attempts.temporary:
        # Not all of this generation was tried.
        observed_at = replace(observed_at, generation=before.observed_generation)
    nodes = {name: previous_status(node) for name, node in nodes_of(context, pool).items()}
    selection = Selection(
        selected=enrolment.selected,
        pending=(*enrolment.enrol, *enrolment.waiting),
        leaving=enrolment.leaving,
        taken=enrolment.taken,
        releasing=enrolment.releasing,
        ipv6=enrolment.ipv6,
    )
    status = assess_pool(
        selection,
        nodes,
        reconciled=outcome.blocked or _reconciled(pool, outcome.attempts, before),
        progressing=outcome.progressing,
        rolling=outcome.rolling,
        libvirt=outcome.libvirt,
        previous=before,
        observed_at=observed_at,
        unknown=outcome.api_error if nodes else "",
    )
    written = dump(status.model_copy(update={"availability_zone": outcome.zone}))
    if outcome.records is not None:
        written["children"] = [record.to_dict() for record in outcome.records]
    await context.cluster.patch_status(resource, written)
    # That another pool has released a node is no event of this one's.
    if enrolment.releasing or any(node.state != READY for node in nodes.values()):
        context.enqueue(ref_of(resource), _UNSETTLED_SECONDS)


def _reconciled(pool: Pool, attempts: Attempts, before: ComputePoolStatus) -> Finding:
    """Return whether all was applied; as it was, where the next attempt may bring the rest."""
    wrong = joined((attempts.apply_failure, _options(pool)))
    if wrong is not None:
        return wrong
    former = {condition.type: condition for condition in before.conditions}
    known = former.get(ConditionType.RECONCILED.value) if attempts.temporary else None
    reason = reason_of(known.reason) if known else None
    if known is not None and reason is not None:
        return Finding(reason, known.message)
    return Finding(Reason.APPLIED, "All that can run yet is applied.")


def _options(pool: Pool) -> Finding | None:
    """Return which options no role takes or has an effect from; they hold up nothing."""
    config = pool.spec.config
    try:
        check_config(config, registry.COMPUTE_ROLES)
    except SpecInvalid as error:
        return Finding(error.reason, error.message)
    ignored = options_without_effect(config, registry.COMPUTE_ROLES)
    return Finding(Reason.OPTION_WITHOUT_EFFECT, " ".join(ignored)) if ignored else None
