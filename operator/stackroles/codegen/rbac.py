"""The rights of the operator: one table, a reason for each row.

The chart includes what is generated from it, so nothing is copied by hand. To give the operator a
right, add a row here and run `python -m stackroles.codegen`.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

import yaml

from stackroles.api.v1alpha1.registry import RESOURCES
from stackroles.constants import API_GROUP


class Scope(StrEnum):
    """Where a right holds; each scope is a role of its own.

    Attributes:
        WORKLOADS: in each watched namespace.
        SECRETS: in each watched namespace, apart, so that who may read Secrets is seen at a glance.
        LEADER: in the operator's own namespace.
        NODES: nodes, which have no namespace; an admission policy narrows what may be written.
        CLUSTER: other objects without a namespace, read only.
    """

    WORKLOADS = "workloads"
    SECRETS = "secrets"
    LEADER = "leader"
    NODES = "nodes"
    CLUSTER = "cluster"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One row: these verbs on these resources, and why."""

    scope: Scope
    group: str
    resources: tuple[str, ...]
    verbs: tuple[str, ...]
    why: str
    names: tuple[str, ...] = ()

    def as_policy_rule(self) -> dict[str, Any]:
        """Return the rule as a Role holds it."""
        rule: dict[str, Any] = {
            "apiGroups": [self.group],
            "resources": list(self.resources),
            "verbs": list(self.verbs),
        }
        return {**rule, "resourceNames": list(self.names)} if self.names else rule


LEASE_NAME: Final = "stackroles-leader"
_PLURALS: Final = tuple(resource.plural for resource in RESOURCES)
_READ: Final = ("get", "list", "watch")
_OWN: Final = (*_READ, "create", "patch", "delete")

RULES: Final[tuple[Rule, ...]] = (
    Rule(
        scope=Scope.WORKLOADS,
        group=API_GROUP,
        resources=_PLURALS,
        verbs=_READ,
        why="the resources it acts on",
    ),
    Rule(
        scope=Scope.WORKLOADS,
        group=API_GROUP,
        resources=("cloudcontrollers", "computepools", "restores"),
        verbs=("patch",),
        why="finalizers, where an end has an order; a spec is never written",
    ),
    Rule(
        scope=Scope.WORKLOADS,
        group=API_GROUP,
        resources=("computenodes", "backups"),
        verbs=("create", "delete"),
        why="it makes a ComputeNode for each node and removes Backups whose sets are not kept",
    ),
    Rule(
        scope=Scope.WORKLOADS,
        group=API_GROUP,
        resources=("cloudcontrollers", "computepools", "backuppolicies"),
        verbs=("create",),
        why="a Restore that names a repository makes those of a cloud that is gone",
    ),
    Rule(
        scope=Scope.WORKLOADS,
        group=API_GROUP,
        resources=("backups",),
        verbs=("patch",),
        why="their finalizer, under which a recovery set is removed; those of a schedule that a "
        "former version made get their present labels",
    ),
    Rule(
        scope=Scope.WORKLOADS,
        group=API_GROUP,
        resources=tuple(f"{plural}/status" for plural in _PLURALS),
        verbs=("patch",),
        why="what it observed",
    ),
    Rule(
        scope=Scope.WORKLOADS,
        group="apps",
        resources=("statefulsets", "deployments", "daemonsets"),
        verbs=_OWN,
        why="roles run in them",
    ),
    Rule(
        scope=Scope.WORKLOADS,
        group="batch",
        resources=("jobs", "cronjobs"),
        verbs=_OWN,
        why="bootstrap steps, backups, housekeeping, and their schedules",
    ),
    Rule(
        scope=Scope.WORKLOADS,
        group="",
        resources=("services", "configmaps"),
        verbs=_OWN,
        why="addresses, configuration without passwords, and the state that data depends on",
    ),
    Rule(
        scope=Scope.WORKLOADS,
        group="",
        resources=("persistentvolumeclaims",),
        verbs=_OWN,
        why="the repository's volume; member volumes grow, and go with deletionPolicy Delete",
    ),
    Rule(
        scope=Scope.WORKLOADS,
        group="policy",
        resources=("poddisruptionbudgets",),
        verbs=_OWN,
        why="no drain may take a quorum",
    ),
    Rule(
        scope=Scope.WORKLOADS,
        group="networking.k8s.io",
        resources=("networkpolicies",),
        verbs=_OWN,
        why="who may reach which role; one that was changed or deleted is put back",
    ),
    Rule(
        scope=Scope.WORKLOADS,
        group="",
        resources=("serviceaccounts",),
        verbs=_OWN,
        why="accounts of pods that use the Kubernetes API: proxies, and members that take turns",
    ),
    Rule(
        scope=Scope.WORKLOADS,
        group="rbac.authorization.k8s.io",
        resources=("roles", "rolebindings"),
        verbs=_OWN,
        why="what those accounts may do: no more than the operator itself (it has no escalate)",
    ),
    Rule(
        scope=Scope.WORKLOADS,
        group="coordination.k8s.io",
        resources=("leases",),
        verbs=("get", "create", "patch", "update", "delete"),
        why="it makes the Leases by which members of ActivePassive roles take turns; update is for "
        "those members, who get it from the operator",
    ),
    Rule(
        scope=Scope.WORKLOADS,
        group="discovery.k8s.io",
        resources=("endpointslices",),
        verbs=_READ,
        why="for the proxies of the APIs, who get it from the operator and find members by it",
    ),
    Rule(
        scope=Scope.WORKLOADS,
        group="",
        resources=("pods",),
        verbs=(*_READ, "patch", "delete"),
        why="members report and are answered by an annotation; one is deleted to roll it",
    ),
    Rule(
        scope=Scope.WORKLOADS,
        group="",
        resources=("pods/log",),
        verbs=("get",),
        why="a failed step's last lines go into its condition",
    ),
    Rule(
        scope=Scope.WORKLOADS,
        group="events.k8s.io",
        resources=("events",),
        verbs=("create",),
        why="transitions are recorded as Events",
    ),
    Rule(
        scope=Scope.WORKLOADS,
        group="events.k8s.io",
        resources=("events",),
        verbs=("list",),
        why="only an Event says why the pods of a StatefulSet, DaemonSet or Job are refused",
    ),
    Rule(
        scope=Scope.WORKLOADS,
        group="",
        resources=("namespaces",),
        verbs=("get",),
        why="in a namespace that is being deleted no teardown waits for what goes as well",
    ),
    Rule(
        scope=Scope.SECRETS,
        group="",
        resources=("secrets",),
        verbs=_OWN,
        why="passwords and keys it makes once, and the user's own that a resource names",
    ),
    Rule(
        scope=Scope.LEADER,
        group="coordination.k8s.io",
        resources=("leases",),
        verbs=("create",),
        why="the first replica makes the Lease (a create cannot be limited to a name)",
    ),
    Rule(
        scope=Scope.LEADER,
        group="coordination.k8s.io",
        resources=("leases",),
        verbs=("get", "update"),
        names=(LEASE_NAME,),
        why="one replica acts at a time",
    ),
    Rule(
        scope=Scope.NODES,
        group="",
        resources=("nodes",),
        verbs=(*_READ, "patch"),
        why="pools choose nodes by label and pin agents by the operator's own label",
    ),
    Rule(
        scope=Scope.CLUSTER,
        group="storage.k8s.io",
        resources=("storageclasses",),
        verbs=("get",),
        why="a volume that waits for a storage class that does not exist says so",
    ),
)


def rules_of(scope: Scope, rules: Iterable[Rule] = RULES) -> list[dict[str, Any]]:
    """Return the policy rules of one scope."""
    return [rule.as_policy_rule() for rule in rules if rule.scope == scope]


def render_scope(scope: Scope, rules: Iterable[Rule] = RULES) -> str:
    """Return the rules of one scope as YAML, each after a comment with its reason."""
    parts = [
        f"# {rule.why}\n{yaml.safe_dump([rule.as_policy_rule()], sort_keys=False)}"
        for rule in rules
        if rule.scope == scope
    ]
    return "".join(parts)
