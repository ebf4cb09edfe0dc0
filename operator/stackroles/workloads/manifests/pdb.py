"""PodDisruptionBudgets."""

from stackroles.config.owner import Owner
from stackroles.roles.definition import RoleDefinition
from stackroles.workloads.manifests.metadata import Manifest, labels, metadata, selector


def build_pdb(owner: Owner, role: RoleDefinition) -> Manifest:
    """Return the role's disruption budget.

    Its selector names the role, which no Job pod carries. A pod that is not healthy may always be
    evicted, since a drain would wait for it for ever, unless its role says why it must stay.
    """
    unhealthy = "IfHealthyBudget" if role.keep_unready_because else "AlwaysAllow"
    return {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": metadata(
            owner, owner.workload(role.name), labels(owner, role.name, role.service)
        ),
        "spec": {
            "maxUnavailable": role.max_unavailable,
            "selector": {"matchLabels": selector(owner, role.name)},
            "unhealthyPodEvictionPolicy": unhealthy,
        },
    }
