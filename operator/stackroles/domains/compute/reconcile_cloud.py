"""What a pool asks of its cloud: hosts, their mapping into the cell, their zone."""

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any

import structlog

from stackroles import naming
from stackroles.api.v1alpha1.conditions import Reason
from stackroles.config.pool import Pool
from stackroles.domains.compute.reconcile_view import is_filled
from stackroles.domains.compute.status_instances import Instance
from stackroles.domains.compute.status_node import HostFacts
from stackroles.domains.credentials.generate import ADMIN, ADMIN_PASSWORD
from stackroles.kube.kinds import ref_of
from stackroles.openstack.access import CloudAccess
from stackroles.openstack.aggregates import keep_zone
from stackroles.openstack.hosts import Host, select_hosts
from stackroles.openstack.servers import Guest
from stackroles.reconcile.context import Context
from stackroles.reconcile.step_job import StepJob
from stackroles.roles import nova_compute, registry
from stackroles.workloads.conditions import Finding
from stackroles.workloads.manifests.children import build_step
from stackroles.workloads.step import StepState, assess_step

Object = dict[str, Any]
log = structlog.get_logger(__name__)

_SOON = 5.0
_SETTLED = 30.0
# What one pool of a cloud has read serves the others so long.
_SHARED_SOON = 3.0
_SHARED_SETTLED = 10.0
_ZONE_SETTLED = 300.0
_DEADLINE = 60.0
# So long the last answer is believed while the API does not give another.
_BELIEVED = 90.0
_NODE = "nova/discover"


class PoolCloud:
    """A pool's view of its cloud in one pass; everything is read from polls."""

    def __init__(self, context: Context, resource: Object, pool: Pool, controller: Object) -> None:
        self._context = context
        self._resource = resource
        self._pool = pool
        self._filled = is_filled(controller)
        self._ref = ref_of(resource)

    @property
    def unavailable(self) -> str:
        """Why nobody may ask the cloud where `access` gives none."""
        name = self._pool.cloud.name
        if not self._filled:
            return f"keystone of CloudController {name} has not been filled yet"
        return f"the Secret with the password of {name}'s administrator is missing"

    async def access(self) -> CloudAccess | None:
        """Return access to the cloud as its administrator, None while it has no password.

        Nor before keystone was filled once: until then somebody else may answer at its address, to
        whom the password is not to be shown.
        """
        if not self._filled:
            return None
        name = naming.credentials_in_use(self._pool.cloud.name, ADMIN)
        secret = await self._context.cluster.read_secret(self._pool.namespace, name)
        if not secret or ADMIN_PASSWORD not in secret:
            return None
        password = secret[ADMIN_PASSWORD].decode()
        access: CloudAccess = self._context.openstack.access(self._pool.cloud, password)
        return access

    def watch_hosts(
        self, access: CloudAccess, names: Collection[str], reason: str, *, settled: bool
    ) -> None:
        """Poll the named hosts and those closed for a reason; often while a change is expected."""
        wanted = tuple(sorted(names))

        async def read() -> tuple[Host, ...]:
            shared = _SHARED_SETTLED if settled else _SHARED_SOON
            return select_hosts(await access.read_hosts(shared), wanted, reason)

        self._context.poller.ensure(
            f"{self._ref}/hosts",
            read,
            interval=_SETTLED if settled else _SOON,
            deadline=_DEADLINE,
            notify=self._ref,
            target=f"{self._pool.cloud.uid}/compute",
        )

    def hosts(self) -> tuple[dict[str, Host], str, bool]:
        """Return the hosts by name, the cloud's error ("" without one), and whether it answered."""
        if not self._filled:
            return {}, self.unavailable, False
        seen = self._context.poller.latest(f"{self._ref}/hosts")
        if seen is None or (seen.value is None and not seen.error):
            return {}, "", False
        known = {host.name: host for host in seen.value or ()}
        age = self._context.clock.monotonic() - seen.at
        silent = bool(seen.error) and (seen.value is None or age > _BELIEVED)
        if seen.error and not silent:
            # A poll that goes on to fail enqueues nothing: no pass would run when belief ends.
            self._context.enqueue(self._ref, _BELIEVED - age + 1.0)
        return known, seen.error if silent else "", True

    def discovery(self, hosts: Mapping[str, Host]) -> list[Object]:
        """Return the manifests that map hosts into their cell: configuration, and the Job last."""
        digest = naming.digest(sorted((host.name, host.service) for host in hosts.values()))
        return build_step(self._pool, registry.service("nova"), nova_compute.discovery(digest))

    async def discover(self, manifests: list[Object]) -> StepState:
        """Have the Job run once for each set of hosts; return how it stands."""
        job = StepJob(self._context, self._resource, manifests[-1])
        seen, pods = job.seen()
        now = self._context.clock.now()
        state = assess_step(_NODE, "check that nova's databases answer", seen, pods, now)
        await job.run(state)
        return state

    def keep_zone(
        self, access: CloudAccess, names: Collection[str], former: str | None
    ) -> tuple[Finding | None, bool]:
        """Have the hosts put into the pool's zone, or out of the one it had.

        Args:
            access: the cloud.
            names: the hosts.
            former: the zone they were put into so far, None for none.

        Returns:
            Why that is rejected, None when it is not; and whether all is done.
        """
        zone, hosts = self._pool.spec.availability_zone, tuple(sorted(names))
        name, result = f"{self._ref}/zone", (zone, *hosts)
        if (zone or former) is None or not hosts:
            self._context.tasks.forget(name)
            return None, False

        async def keep() -> tuple[str | None, ...]:
            changes = await access.call("Filling the zone", keep_zone, zone, hosts)
            if changes:
                log.info("Changed the zone", changes=changes)
            return result

        seen = self._context.tasks.latest(name)
        done = seen is not None and seen.value == result and not seen.error
        self._context.tasks.ensure(
            name,
            keep,
            interval=_ZONE_SETTLED if done else _SOON,
            deadline=_DEADLINE,
            notify=self._ref,
            target=f"{self._pool.cloud.uid}/zone/{self._pool.name}",
        )
        if seen is not None and seen.error:
            return Finding(Reason.ZONE_REFUSED, f"Availability zone {zone}: {seen.error}"), False
        return None, done


def facts(host: Host | None) -> HostFacts | None:
    """Return what a host's status is judged by."""
    if host is None:
        return None
    return HostFacts(
        up=host.up,
        enabled=host.enabled,
        reason=host.reason,
        vcpus=host.vcpus,
        memory_mib=host.memory_mib,
        instances=tuple(_instance(server) for server in host.servers),
        zone=host.zone,
    )


def _instance(server: Guest) -> Instance:
    return Instance(
        uuid=server.id,
        name=server.name,
        status=server.status,
        task=server.task,
        updated=datetime.fromisoformat(server.updated) if server.updated else None,
    )
