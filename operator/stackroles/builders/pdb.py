"""PodDisruptionBudgets."""

from stackroles.builders.metadata import Manifest, labels, metadata, selector
from stackroles.config.owner import Owner
from stackroles.roles.definition import RoleDefinition


def build_pdb(owner: Owner, role: RoleDefinition) -> Manifest:
    """Return the role's disruption budget.

    Its selector names the role, which no Job pod carries. A pod that is not healthy may always be
    evicted: otherwise a drain would wait for it for ever.
    """
    return {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": metadata(
            owner, owner.workload(role.name), labels(owner, role.name, role.service)
        ),
        "spec": {
            "maxUnavailable": role.max_unavailable,
            "selector": {"matchLabels": selector(owner, role.name)},
            "unhealthyPodEvictionPolicy": "AlwaysAllow",
        },
    }
