"""Which other resources a change concerns, besides the parent that labels name."""

from collections.abc import Iterable
from typing import Any

from stackroles.kube.cache import Cache
from stackroles.kube.kinds import ObjectRef, ref_of
from stackroles.runtime.router import Watchers

Object = dict[str, Any]


def _naming(kind: str, field: str, cache: Cache, obj: Object) -> Iterable[ObjectRef]:
    """Return the resources of a kind, in the same namespace, whose spec names an object."""
    namespace, name = obj["metadata"].get("namespace", ""), obj["metadata"]["name"]
    return [
        ref_of(found)
        for found in cache.list(kind, namespace)
        if found.get("spec", {}).get(field) == name
    ]


def users_of_controller(obj: Object, cache: Cache) -> Iterable[ObjectRef]:
    """Return the pools of a CloudController, its policies and their Backups."""
    policies = _naming("BackupPolicy", "controller", cache, obj)
    runs = [
        run
        for ref in policies
        if (policy := cache.get(*ref)) is not None
        for run in _naming("Backup", "policy", cache, policy)
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


WATCHERS: Watchers = {
    "CloudController": (users_of_controller,),
    "ComputePool": (controller_of_pool, rivals_of_pool),
    "BackupPolicy": (runs_of_policy,),
    "Backup": (policy_of_run,),
    "Node": (pools_of_node,),
}
