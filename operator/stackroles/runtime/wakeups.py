"""Which other resources a change concerns, besides the parent that labels name."""

from collections.abc import Iterable
from typing import Any

from stackroles.constants import LABEL_NAME
from stackroles.domains.backup.status import is_finished
from stackroles.domains.database.reconcile import PART as DATABASE_PART
from stackroles.kube.cache import Cache
from stackroles.kube.kinds import Key, ObjectRef, PartRef, ref_of
from stackroles.kube.ownership import parent_of
from stackroles.roles import haproxy, mariadb
from stackroles.runtime.router import Watcher, Watchers

Object = dict[str, Any]


def _naming(kind: str, field: str, cache: Cache, obj: Object) -> Iterable[ObjectRef]:
    """Return the resources of a kind, in the same namespace, whose spec names an object."""
    namespace, name = obj["metadata"].get("namespace", ""), obj["metadata"]["name"]
    return [ref_of(found) for found in cache.naming(kind, namespace, field, name)]


def users_of_controller(obj: Object, cache: Cache) -> Iterable[ObjectRef]:
    """Return the pools of a CloudController, its policies and their Backups that have not ended."""
    policies = _naming("BackupPolicy", "controller", cache, obj)
    runs = [
        ref_of(run)
        for policy in policies
        for run in cache.naming("Backup", policy.namespace, "policy", policy.name)
        if not is_finished(run.get("status", {}))
    ]
    return [*_naming("ComputePool", "controller", cache, obj), *policies, *runs]


def controller_of_pool(obj: Object, _: Cache) -> Iterable[ObjectRef]:
    """Return the CloudController of a pool: one that is to go waits for its pools."""
    name = obj.get("spec", {}).get("controller")
    return [ObjectRef("CloudController", obj["metadata"]["namespace"], name)] if name else []


def rivals_of_pool(obj: Object, cache: Cache) -> Iterable[ObjectRef]:
    """Return all other pools: what one selects, takes or gives back with its end, another may want.

    Nodes have no namespace, so neither has this.
    """
    return [ref for pool in cache.list("ComputePool") if (ref := ref_of(pool)) != ref_of(obj)]


def runs_of_policy(obj: Object, cache: Cache) -> Iterable[ObjectRef]:
    """Return the Backups of a policy."""
    return _naming("Backup", "policy", cache, obj)


def policy_of_run(obj: Object, _: Cache) -> Iterable[ObjectRef]:
    """Return the policy of a Backup."""
    name = obj.get("spec", {}).get("policy")
    return [ObjectRef("BackupPolicy", obj["metadata"]["namespace"], name)] if name else []


def pools_of_node(_: Object, cache: Cache) -> Iterable[ObjectRef]:
    """Return all pools: any of them may select, or have just lost, a node."""
    return [ref_of(pool) for pool in cache.list("ComputePool")]


def read_of_controller(obj: Object) -> Any:
    """Return what pools, policies and Backups read of a CloudController."""
    status = obj.get("status", {})
    return (
        obj.get("spec"),
        obj["metadata"].get("deletionTimestamp"),
        status.get("writer"),
        [role["name"] for role in status.get("roles") or () if role.get("ready")],
        [phase["name"] for phase in status.get("phases") or () if phase.get("completedAt")],
    )


def database_of(obj: Object, _: Cache) -> Iterable[Key]:
    """Return the database of the cloud that a member or a proxy belongs to."""
    labels = obj["metadata"].get("labels", {})
    parent = parent_of(labels)
    if parent is None or labels.get(LABEL_NAME) not in (mariadb.NAME, haproxy.NAME):
        return []
    return [PartRef(parent.kind, obj["metadata"].get("namespace", ""), parent.name, DATABASE_PART)]


def database_of_controller(obj: Object, _: Cache) -> Iterable[Key]:
    """Return the database of a cloud."""
    return [PartRef(*ref_of(obj), DATABASE_PART)]


def _declared(obj: Object) -> Any:
    return obj.get("spec"), obj["metadata"].get("deletionTimestamp")


WATCHERS: Watchers = {
    "CloudController": (
        Watcher(users_of_controller, read_of_controller),
        Watcher(database_of_controller, _declared),
    ),
    "ComputePool": (Watcher(controller_of_pool), Watcher(rivals_of_pool)),
    "BackupPolicy": (Watcher(runs_of_policy),),
    "Backup": (Watcher(policy_of_run),),
    "Node": (Watcher(pools_of_node),),
    "Pod": (Watcher(database_of),),
    "StatefulSet": (Watcher(database_of),),
}
