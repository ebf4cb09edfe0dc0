"""The claim of a policy's repository: made once, and grown where its class can."""

from typing import Any

from stackroles.api.v1alpha1.backup_policy import BackupPolicySpec
from stackroles.api.v1alpha1.conditions import Reason
from stackroles.domains.backup.build import build_repository_claim
from stackroles.errors import Forbidden, Rejected
from stackroles.quantity import amount
from stackroles.reconcile.context import Context
from stackroles.workloads.conditions import Finding
from stackroles.workloads.recovery_set.pod import RunParent

Object = dict[str, Any]


async def ensure_claim(
    context: Context, resource: Object, parent: RunParent, policy: BackupPolicySpec
) -> Finding | None:
    """Make the repository's claim, and let it grow; return why it could not, else None."""
    claim = build_repository_claim(parent, policy)
    if claim is None:
        return None
    there = await context.cluster.create_once(claim, resource)
    wanted = claim["spec"]["resources"]["requests"]["storage"]
    has = there["spec"]["resources"]["requests"]["storage"]
    if amount(wanted) <= amount(has):
        return None
    try:
        await context.cluster.grow_claim(there, wanted)
    except (Forbidden, Rejected) as error:
        name, bound = claim["metadata"]["name"], there.get("status", {}).get("phase") == "Bound"
        instead = (
            "copy the repository to a claim that is large enough and name it in "
            "repository.volume.claimName"
            if bound
            else "delete the claim, which has no volume yet: it is made again"
        )
        return Finding(
            Reason.REPOSITORY_NOT_RESIZED,
            f"Volume claim {name} stays at {has}, spec.repository.volume asks for {wanted}: {error}"
            f". Take the change back; or {instead}.",
        )
    return None
