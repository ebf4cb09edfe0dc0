"""ComputePools on a small API server; the kubelet and the cloud are played by the test."""

import copy
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from random import Random
from typing import Any

from stackroles.constants import LABEL_NAME, LABEL_POOL
from stackroles.domains.compute.reconcile import reconcile_compute_pool
from stackroles.errors import CloudError, OperatorError
from stackroles.kube.cache import Cache
from stackroles.kube.cluster import Cluster
from stackroles.kube.kinds import KINDS, ObjectRef
from stackroles.openstack.hosts import Host, Occupancy
from stackroles.reconcile.blocked import reconcile_reporting_errors
from stackroles.reconcile.context import Context
from stackroles.roles import registry
from stackroles.settings import Settings
from tests.support.fake_api import FakeApi, direct_api
from tests.support.objects import custom
from tests.support.polls import Polls, Time

Object = dict[str, Any]
SELECTOR = {"compute": "yes"}
REPORT = '{"virtType": "qemu", "virtReason": "no kvm", "computeId": "c", "hostUuid": "h"}'
ALL_ROLES = [{"name": r.name, "ready": 1} for r in registry.CONTROLLER_ROLES]


@dataclass
class Nova:
    """The cloud: hosts by name, and what was done to them."""

    hosts: dict[str, Host] = field(default_factory=dict)
    claims: dict[str, tuple[str, ...]] = field(default_factory=dict)
    done: list[tuple[str, tuple[str, ...]]] = field(default_factory=list)
    failure: OperatorError | None = None
    rejection: OperatorError | None = None

    def access(self, *_: Any) -> "Nova":
        return self

    async def call(self, _: str, work: Callable[..., Any], *arguments: Any, **__: Any) -> Any:
        if self.failure:
            raise self.failure
        return getattr(self, work.__name__)(*arguments)

    async def read_hosts(self, _: float) -> tuple[Host, ...]:
        if self.failure:
            raise self.failure
        return tuple(host for _, host in sorted(self.hosts.items()))

    def disable_leaving_hosts(self, names: tuple[str, ...], reason: str) -> dict[str, Occupancy]:
        self.done.append(("close", tuple(sorted(names))))
        for name in {*names} & self.hosts.keys():
            self.hosts[name] = replace(self.hosts[name], enabled=False, reason=reason)
        return {
            name: Occupancy(
                guests=self.hosts[name].guests if name in self.hosts else 0,
                claims=self.claims.get(name, ()),
            )
            for name in names
        }

    def enable_hosts(self, names: tuple[str, ...], word: str) -> tuple[str, ...]:
        opened = [n for n in names if n in self.hosts and self.hosts[n].reason.startswith(word)]
        for name in opened:
            self.hosts[name] = replace(self.hosts[name], enabled=True, reason="")
        self.done.append(("open", tuple(sorted(opened))))
        return tuple(opened)

    def disable_hosts(self, reasons: dict[str, str]) -> tuple[str, ...]:
        self.done.append(("disable", tuple(sorted(reasons))))
        for name, reason in reasons.items():
            self.hosts[name] = replace(self.hosts[name], enabled=False, reason=reason)
        return tuple(reasons)

    def remove_hosts(self, names: list[str]) -> tuple[str, ...]:
        self.done.append(("remove", tuple(sorted(names))))
        if self.rejection:
            raise self.rejection
        return tuple(f"service of {n}" for n in names if self.hosts.pop(n, None))

    def keep_zone(self, zone: str | None, names: tuple[str, ...]) -> tuple[str, ...]:
        self.done.append((f"zone {zone}", tuple(sorted(names))))
        wanted, stay = zone or "nova", []
        for name in names:
            host = self.hosts[name]
            if host.zone != wanted and host.guests and host.zone != "nova":
                stay.append(f"{name} stays in zone {host.zone} while it has guests")
            else:
                self.hosts[name] = replace(host, zone=wanted)
        if stay:
            raise CloudError("; ".join(stay))
        return ()


@dataclass
class World:
    api: FakeApi
    cluster: Cluster
    context: Context
    clock: Time
    polls: Polls
    nova: Nova
    enqueued: list[ObjectRef] = field(default_factory=list)

    def store(self, obj: Object) -> None:
        self.cluster.cache.upsert(self.api.put(obj))

    def controller(self, roles: list[Object] | None = None, *, filled: bool = True) -> None:
        catalogue = {"name": "keystone/catalogue", "startedAt": "2026-01-01T00:00:00Z"}
        if filled:
            catalogue["completedAt"] = "2026-01-01T00:00:00Z"
        status = {"roles": ALL_ROLES if roles is None else roles, "phases": [catalogue]}
        self.store({**custom(), "status": status})
        data = {"password": "c2VjcmV0"}
        self.store(
            {
                "apiVersion": "v1",
                "kind": "Secret",
                "metadata": {"name": "demo-admin-credentials-in-use", "namespace": "ns"},
                "data": data,
            }
        )

    def node(self, name: str, ready: bool = True, **labels: str) -> None:
        known = self.api.get("nodes", "", name)
        kept = {k: v for k, v in (known or {}).get("metadata", {}).get("labels", {}).items()
                if k == LABEL_POOL}  # fmt: skip
        conditions = [{"type": "Ready", "status": "True" if ready else "False"}]
        metadata = {**(known or {}).get("metadata", {}), "name": name}
        metadata["labels"] = {**(labels or SELECTOR), **kept}
        self.store(
            {
                "apiVersion": "v1",
                "kind": "Node",
                "metadata": metadata,
                "status": {"conditions": conditions},
            }
        )

    def declare(self, name: str = "pool", **spec: Any) -> None:
        declared = {"controller": "demo", "nodeSelector": SELECTOR, **spec}
        known = self.api.get("computepools", "ns", name)
        base = copy.deepcopy(known) or custom(name, "ComputePool")
        self.store({**base, "spec": declared})

    def delete(self, name: str = "pool") -> None:
        known = copy.deepcopy(self.api.get("computepools", "ns", name))
        assert known is not None
        known["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
        self.store(known)

    def lose(self, name: str) -> None:
        """Take a node and its pods from Kubernetes; the machine's nova-compute falls silent."""
        node = self.cluster.get("Node", "", name)
        assert node is not None
        self.api.remove("nodes", "", name)
        self.cluster.cache.remove(node)
        self.stop(name)
        self.nova.hosts[name] = replace(self.nova.hosts[name], up=False)

    def pool(self, name: str = "pool") -> Object:
        found = self.cluster.get("ComputePool", "ns", name)
        assert found is not None
        return found

    async def reconcile(self, name: str = "pool") -> None:
        await reconcile_reporting_errors(self.context, reconcile_compute_pool, self.pool(name))

    async def settle(self, *names: str) -> None:
        for _ in range(6):
            for name in names or ("pool",):
                await self.reconcile(name)
            self.finish()
            await self.polls.tick()
        for name in names or ("pool",):
            await self.reconcile(name)

    def finish(self) -> None:
        """Let every Job end well, and forget what the server has deleted."""
        for kind in ("Job", "ComputeNode"):
            for obj in self.cluster.list(kind, "ns"):
                stored = self.api.get(KINDS[kind].plural, "ns", obj["metadata"]["name"])
                if stored is None:
                    self.cluster.cache.remove(obj)
                elif kind == "Job":
                    done = {"conditions": [{"type": "Complete", "status": "True"}]}
                    self.store({**copy.deepcopy(stored), "status": done})

    def serve(self, *names: str, pool: str = "pool") -> None:
        """Let all agents of nodes be ready, and nova know the hosts."""
        for name in names:
            self.nova.hosts[name] = Host(
                name=name,
                service=f"s-{name}",
                up=True,
                enabled=True,
                vcpus=4,
                memory_mib=1024,
                zone="nova",
            )
            for role in registry.COMPUTE_ROLES:
                self.pod(name, role.name, pool)

    def pod(
        self,
        node: str,
        role: str,
        pool: str = "pool",
        *,
        generation: int = 1,
        report: str = REPORT,
    ) -> None:
        labels = {
            "pod-template-generation": str(generation),
            "app.kubernetes.io/instance": pool,
            "stackroles.io/owner-kind": "ComputePool",
            LABEL_NAME: role,
        }
        ended = {"terminated": {"exitCode": 0, "message": report}}
        self.store(
            {
                "apiVersion": "v1",
                "kind": "Pod",
                "metadata": {
                    "name": f"{pool}-{role}-{node}",
                    "namespace": "ns",
                    "uid": f"{pool}-{role}-{node}",
                    "labels": labels,
                    "ownerReferences": [{"kind": "DaemonSet", "name": role, "uid": role}],
                },
                "spec": {"nodeName": node},
                "status": {
                    "phase": "Running",
                    "conditions": [{"type": "Ready", "status": "True"}],
                    "initContainerStatuses": [{"name": "virt-probe", "state": ended}]
                    if role == "nova-compute"
                    else [],
                },
            }
        )

    def new_template(self, *roles: str, pool: str = "pool", generation: int = 2) -> None:
        """Let DaemonSets have another template, counted as the API server does it."""
        for role in roles:
            stored = copy.deepcopy(self.api.get("daemonsets", "ns", f"{pool}-{role}"))
            assert stored is not None
            annotations = stored["metadata"].setdefault("annotations", {})
            annotations["deprecated.daemonset.template.generation"] = str(generation)
            self.store(stored)

    def stop(self, node: str) -> None:
        for pod in self.cluster.list("Pod", "ns"):
            if pod["spec"]["nodeName"] == node:
                self.api.remove("pods", "ns", pod["metadata"]["name"])
                self.cluster.cache.remove(pod)

    def labelled(self) -> list[str]:
        nodes = self.cluster.list("Node")
        return [n["metadata"]["name"] for n in nodes if LABEL_POOL in n["metadata"]["labels"]]

    def condition(self, kind: str, name: str = "pool") -> tuple[str, str, str]:
        found = next(c for c in self.pool(name)["status"]["conditions"] if c["type"] == kind)
        return found["status"], found["reason"], found["message"]

    def daemon_sets(self) -> set[str]:
        found = self.cluster.list("DaemonSet", "ns")
        return {o["metadata"]["labels"][LABEL_NAME] for o in found}


@asynccontextmanager
async def pool_world() -> AsyncIterator[World]:
    """Serve an empty world."""
    async with direct_api() as (api, client):
        clock, nova = Time(), Nova()
        polls = Polls(clock)
        enqueued: list[ObjectRef] = []
        cluster = Cluster(client, Cache(), lambda: 10.0, now=clock.now)
        context = Context(
            cluster=cluster,
            poller=polls,
            tasks=polls,
            clock=clock,
            random=Random(7),
            settings=Settings(image_registry="r"),
            openstack=nova,
            enqueue=lambda ref, delay=0.0: enqueued.append(ref),
            leader="one",
        )
        yield World(api, cluster, context, clock, polls, nova, enqueued)


async def serving(world: World, *names: str) -> None:
    """Bring up pool "pool" with nodes that serve."""
    world.controller()
    for name in names:
        world.node(name)
    world.declare()
    world.serve(*names)
    await world.settle()
