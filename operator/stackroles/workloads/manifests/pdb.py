"""PodDisruptionBudgets: each role's own, and one that several roles share."""

from collections.abc import Mapping

from stackroles.config.owner import Owner
from stackroles.constants import LABEL_BUDGET, LABEL_INSTANCE, LABEL_OWNER_KIND
from stackroles.roles.definition import RoleDefinition
from stackroles.workloads.manifests.metadata import Manifest, labels, metadata, selector


def build_pdb(owner: Owner, role: RoleDefinition) -> Manifest:
    """Return the disruption budget that a role's members count in.

    Its selector names the role or the shared budget, neither of which a Job's pod carries. A pod
    that is not healthy may always be evicted, since a drain would wait for it for ever, unless its
    role says why it must stay.
    """
    shared = budget_labels(role)
    if shared:
        name = shared[LABEL_BUDGET]
        of_owner = {LABEL_INSTANCE: owner.name, LABEL_OWNER_KIND: owner.owner_kind}
        # Every role that shares it applies it, as with agents: it belongs to none of them.
        return _budget(owner, name, labels(owner, name, name), {**of_owner, **shared}, most=1)
    return _budget(
        owner,
        role.name,
        labels(owner, role.name, role.service),
        selector(owner, role.name),
        most=role.max_unavailable,
        unhealthy="IfHealthyBudget" if role.keep_unready_because else "AlwaysAllow",
    )


def budget_labels(role: RoleDefinition) -> Mapping[str, str]:
    """Return the label by which a shared budget selects a role's pods, nothing without one.

    A member with a volume may fit nowhere else while its node is drained. Counted with the others
    it would keep them there.
    """
    if not role.shared_budget or role.volume is not None:
        return {}
    return {LABEL_BUDGET: role.shared_budget}


def _budget(
    owner: Owner,
    name: str,
    own_labels: Mapping[str, str],
    selected: Mapping[str, str],
    *,
    most: int,
    unhealthy: str = "AlwaysAllow",
) -> Manifest:
    return {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": metadata(owner, owner.workload(name), own_labels),
        "spec": {
            "maxUnavailable": most,
            "selector": {"matchLabels": dict(selected)},
            "unhealthyPodEvictionPolicy": unhealthy,
        },
    }
