"""What a role's pods may do in the Kubernetes API: an account, its rights, and their binding."""

from stackroles.config.owner import Owner
from stackroles.roles.container import PodRight
from stackroles.roles.definition import RoleDefinition
from stackroles.workloads.manifests.metadata import Manifest, labels, metadata

_GROUP = "rbac.authorization.k8s.io"


def build_rights(owner: Owner, role: RoleDefinition) -> list[Manifest]:
    """Return the ServiceAccount, Role and RoleBinding of a role, none without rights.

    Pods of other roles run as the namespace's default account without a token.
    """
    if not role.rights:
        return []
    name = owner.workload(role.name)

    def meta() -> Manifest:
        return metadata(owner, name, labels(owner, role.name, role.service))

    account: Manifest = {
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": meta(),
        # Pods that mount its token say so themselves.
        "automountServiceAccountToken": False,
    }
    rules: Manifest = {
        "apiVersion": f"{_GROUP}/v1",
        "kind": "Role",
        "metadata": meta(),
        "rules": [_rule(right) for right in role.rights],
    }
    binding: Manifest = {
        "apiVersion": f"{_GROUP}/v1",
        "kind": "RoleBinding",
        "metadata": meta(),
        "roleRef": {"apiGroup": _GROUP, "kind": "Role", "name": name},
        "subjects": [{"kind": "ServiceAccount", "name": name, "namespace": owner.namespace}],
    }
    return [account, rules, binding]


def _rule(right: PodRight) -> Manifest:
    rule: Manifest = {
        "apiGroups": [right.group],
        "resources": list(right.resources),
        "verbs": list(right.verbs),
    }
    return {**rule, "resourceNames": list(right.names)} if right.names else rule
