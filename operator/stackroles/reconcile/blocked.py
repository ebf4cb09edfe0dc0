"""Resources that are not acted upon, whatever their kind, say why in their conditions."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from stackroles.api.v1alpha1.conditions import Reason
from stackroles.errors import SpecInvalid
from stackroles.kube.kinds import ref_of
from stackroles.reconcile.context import Context, Reconcile
from stackroles.workloads.blocked import inactive
from stackroles.workloads.conditions import Finding

Object = dict[str, Any]


async def write_blocked_status(context: Context, resource: Object, finding: Finding) -> None:
    """Write why a resource is not acted upon; all else in its status stays."""
    # The pass may have written a status before it came upon what blocks it.
    latest = context.cluster.get(*ref_of(resource)) or resource
    status = inactive(
        latest.get("status") or {},
        finding,
        resource["metadata"].get("generation", 0),
        # Whole seconds, as the API writes times.
        context.clock.now().replace(microsecond=0),
    )
    await context.cluster.patch_status(resource, status)


def missing_controller(name: str, namespace: str) -> Finding:
    """Return the finding while the CloudController that a resource names does not exist."""
    return Finding(
        Reason.CONTROLLER_MISSING,
        f"CloudController {name} does not exist in {namespace}: apply it, or correct "
        "spec.controller; nothing runs until then.",
    )


async def reconcile_reporting_errors(
    context: Context, reconcile: Reconcile, resource: Object
) -> None:
    """Run one pass; a spec that cannot be followed is reported in the resource's conditions.

    Raises:
        SpecInvalid: as the pass did, after it was reported.
        OperatorError: as the pass did, or the status could not be written.
    """
    try:
        await context.cluster.relabel_ownerless(resource)
        await reconcile(context, resource)
    except SpecInvalid as error:
        await write_blocked_status(context, resource, Finding(error.reason, error.message))
        raise


@contextmanager
def attribute_to(other: Mapping[str, Any]) -> Iterator[None]:
    """Let a SpecInvalid name the other resource whose spec it is about."""
    try:
        yield
    except SpecInvalid as error:
        where = f"{other['kind']} {other['metadata']['name']}"
        raise SpecInvalid(error.reason, f"{where}: {error.message}") from error
