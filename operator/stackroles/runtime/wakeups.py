"""Which other resources a change concerns, besides the parent that labels name."""

from collections.abc import Iterable, Mapping
from typing import Any

from stackroles.constants import LABEL_COMPONENT, LABEL_NAME
from stackroles.domains.backup.decide import retired
from stackroles.domains.backup.reconcile_queue import policy_run
from stackroles.domains.backup.status import is_finished
from stackroles.domains.cloud.reconcile_parts import CREDENTIALS, SERVICE_PARTS
from stackroles.domains.clustering.reconcile import PART as CLUSTERING_PART
from stackroles.domains.database.reconcile_members import PART as DATABASE_PART
from stackroles.domains.messaging.reconcile import PART as MESSAGING_PART
from stackroles.domains.ovn.reconcile import PART as OVN_PART
from stackroles.domains.ovn.status import DATABASES
from stackroles.kube.cache import Cache
from stackroles.kube.kinds import Key, ObjectRef, PartRef, ref_of
from stackroles.reconcile.parts import HOUSEKEEPING
from stackroles.roles import haproxy, mariadb, rabbitmq
from stackroles.runtime.router import Watcher, Watchers
from stackroles.workloads.config_maps import AGENTS
from stackroles.workloads.housekeeping import is_housekeeping

Object = dict[str, Any]


def _naming(kind: str, field: str, cache: Cache, obj: Object) -> Iterable[ObjectRef]:
    """Return the resources of a kind, in the same namespace, whose spec names an object."""
    namespace, name = obj["metadata"].get("namespace", ""), obj["metadata"]["name"]
    return [ref_of(found) for found in cache.naming(kind, namespace, field, name)]


def _is_open(run: Object) -> bool:
    """Return whether a Backup has not ended, or is being removed."""
    leaves = run["metadata"].get("deletionTimestamp")
    return bool(leaves) or not is_finished(run.get("status", {}))


def users_of_controller(obj: Object, cache: Cache) -> Iterable[ObjectRef]:
    """Return the pools of a CloudController, its policies and their Backups that have not ended."""
    policies = _naming("BackupPolicy", "controller", cache, obj)
    runs = [
        ref_of(run)
        for policy in policies
        for run in cache.naming("Backup", policy.namespace, "policy", policy.name)
        if _is_open(run)
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
    """Return the Backups of a policy that have not ended, or are being removed."""
    runs = cache.naming("Backup", obj["metadata"]["namespace"], "policy", obj["metadata"]["name"])
    return [ref_of(run) for run in runs if _is_open(run)]


def siblings_of_run(obj: Object, cache: Cache) -> Iterable[ObjectRef]:
    """Return the Backups of a policy whose turn may have come, and those that retention ends."""
    found: dict[str, Object] = {
        ref_of(run).name: run for policy in policy_of_run(obj, cache)
        for run in cache.naming("Backup", policy.namespace, "policy", policy.name)
    }  # fmt: skip
    waiting = {name for name, run in found.items() if _is_open(run)}
    names = waiting | retired(policy_run(run) for run in found.values())
    return [ref_of(found[name]) for name in sorted(names - {obj["metadata"]["name"]})]


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


def read_of_pool(obj: Object) -> Any:
    """Return what other pools, and the CloudController, read of a pool."""
    return obj.get("spec"), obj["metadata"].get("deletionTimestamp")


def read_of_policy(obj: Object) -> Any:
    """Return what Backups read of their policy."""
    return obj.get("spec")


def read_of_run(obj: Object) -> Any:
    """Return what a policy reads of its Backups: all but how far a run is."""
    status = obj.get("status", {})
    return obj.get("spec"), {k: found for k, found in status.items() if k != "progress"}


def _outcome(obj: Object) -> Any:
    status = obj.get("status", {})
    return is_finished(status), status.get("verified"), status.get("expiredBackups")


def owners_of_child(child: Object, parent: ObjectRef) -> Iterable[Key]:
    """Return which key a child belongs to: of a CloudController, the part that made it."""
    if parent.kind != "CloudController":
        return (parent,)
    labels = child["metadata"].get("labels", {})
    if child["kind"] == "Secret":
        return (PartRef(*parent, CREDENTIALS),)
    service = labels.get(LABEL_COMPONENT, "")
    if service in SERVICE_PARTS:
        parts = [SERVICE_PARTS[service], *_CLUSTERS.get(labels.get(LABEL_NAME, ""), ())]
        return tuple(PartRef(*parent, part) for part in parts)
    if is_housekeeping(child):
        return (PartRef(*parent, HOUSEKEEPING),)
    # Services share their agents; what is left belongs to no part.
    shared = tuple(PartRef(*parent, part) for part in SERVICE_PARTS.values())
    return (parent, *(shared if service == AGENTS else ()))


def parts_of_controller(obj: Object, _: Cache) -> Iterable[Key]:
    """Return all parts of a cloud."""
    clusters = (DATABASE_PART, MESSAGING_PART, OVN_PART, CLUSTERING_PART)
    parts = (CREDENTIALS, *clusters, HOUSEKEEPING, *SERVICE_PARTS.values())
    return [PartRef(*ref_of(obj), part) for part in parts]


def _declared(obj: Object) -> Any:
    metadata = obj["metadata"]
    return obj.get("spec"), metadata.get("deletionTimestamp"), metadata.get("finalizers")


# Whose members are asked besides; a proxy knows which member of the database clients are sent to.
_CLUSTERS: Mapping[str, tuple[str, ...]] = {
    mariadb.NAME: (DATABASE_PART,),
    haproxy.NAME: (DATABASE_PART,),
    rabbitmq.NAME: (MESSAGING_PART,),
    **dict.fromkeys(DATABASES, (OVN_PART,)),
}
WATCHERS: Watchers = {
    "CloudController": (
        Watcher(users_of_controller, read_of_controller),
        Watcher(parts_of_controller, _declared),
    ),
    "ComputePool": (
        Watcher(controller_of_pool, read_of_pool),
        Watcher(rivals_of_pool, read_of_pool),
    ),
    "BackupPolicy": (Watcher(runs_of_policy, read_of_policy),),
    "Backup": (Watcher(policy_of_run, read_of_run), Watcher(siblings_of_run, _outcome)),
    "Node": (Watcher(pools_of_node),),
}
