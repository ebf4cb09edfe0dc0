"""A small API server with a cloud to back up; Jobs, the kubelet and the schedule are played."""

import base64
import contextlib
import copy
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from random import Random
from typing import Any

import pytest

from stackroles.agents import wire
from stackroles.agents.backup.protocol import (
    PROGRESS_PREFIX,
    ProgressLine,
    RetentionInput,
    RunOutcome,
    StepResult,
)
from stackroles.constants import LABEL_NAME
from stackroles.domains.backup.reconcile_backup import reconcile_backup
from stackroles.domains.backup.reconcile_policy import reconcile_backup_policy
from stackroles.errors import NotReady
from stackroles.kube.cache import Cache
from stackroles.kube.cluster import Cluster
from stackroles.kube.kinds import KINDS, OWN_KINDS, kind_of
from stackroles.reconcile import clouds
from stackroles.reconcile.context import Context
from stackroles.settings import Settings
from stackroles.workloads.manifests.agents import agent_sources
from tests.support.fake_api import FakeApi, direct_api
from tests.support.objects import child_labels, custom, owned_by
from tests.support.polls import Polls, Time

Object = dict[str, Any]
SPEC: Object = {
    "controller": "demo",
    "schedule": "0 3 * * *",
    "encryptionSecret": "key",
    "repository": {"volume": {"size": "5Gi", "storageClassName": "fast"}},
}
BUCKET = {
    "s3": {
        "endpoint": "https://s3",
        "bucket": "sets",
        "credentialsSecret": "s3",
        "caSecret": "s3-ca",
    }
}


@dataclass
class World:
    api: FakeApi
    cluster: Cluster
    context: Context
    clock: Time
    polls: Polls

    def store(self, obj: Object) -> Object:
        """Store an object as somebody else would, made now unless it is there already."""
        known = self.api.get(KINDS[obj["kind"]].plural, "ns", obj["metadata"]["name"])
        stored = self.api.put(obj)
        if known is None:
            stored = copy.deepcopy(stored)
            stored["metadata"]["creationTimestamp"] = self.clock.now().isoformat()
            stored = self.api.put(stored)
        self.cluster.cache.upsert(stored)
        return stored

    def remove(self, kind: str, name: str) -> None:
        self.api.remove(KINDS[kind].plural, "ns", name)
        self.forget_gone()

    def forget_gone(self) -> None:
        """Let the watches report what the server has deleted."""
        kinds = ("Job", "Pod", "ConfigMap", "Secret", *OWN_KINDS)
        for kind in kinds:
            for obj in self.cluster.list(kind, "ns"):
                if self.api.get(kind_of(kind).plural, "ns", obj["metadata"]["name"]) is None:
                    self.cluster.cache.remove(obj)

    def declare_cloud(self, **spec: Any) -> None:
        """Declare the cloud, whose first database member is the writer."""
        known = copy.deepcopy(self.api.get("cloudcontrollers", "ns", "demo"))
        self.store({**(known or custom()), "spec": spec, "status": {"writer": "demo-mariadb-0"}})

    def cloud(self) -> None:
        """A cloud of three database members; the first is the writer."""
        self.declare_cloud()
        for number in range(3):
            labels = child_labels() | {LABEL_NAME: "mariadb"}
            metadata = {"name": f"demo-mariadb-{number}", "namespace": "ns", "labels": labels}
            ready = [{"type": "Ready", "status": "True"}]
            status = {"phase": "Running", "podIP": f"10.0.0.{number}", "conditions": ready}
            self.store({"kind": "Pod", "metadata": metadata, "status": status})

    def secret(self, name: str = "key", **data: str) -> None:
        encoded = {key: base64.b64encode(value.encode()).decode() for key, value in data.items()}
        self.store(
            {"kind": "Secret", "metadata": {"name": name, "namespace": "ns"}, "data": encoded}
        )

    def storage_class(self, name: str = "fast", **fields: Any) -> None:
        later = {"volumeBindingMode": "WaitForFirstConsumer"}
        self.api.put({"kind": "StorageClass", "metadata": {"name": name}, **(fields or later)})

    def declare(self, name: str = "nightly", **fields: Any) -> None:
        known = copy.deepcopy(self.api.get("backuppolicies", "ns", name))
        self.store({**(known or custom(name, "BackupPolicy")), "spec": {**SPEC, **fields}})

    def apply(self, name: str, policy: str = "nightly") -> None:
        """Apply a Backup as a person would."""
        self.store(custom(name, "Backup", policy=policy))

    def upgrade(self, patch: pytest.MonkeyPatch) -> None:
        """Go on as another version of the operator, whose programs import one more module."""
        sources = dict(agent_sources())
        for program in ("backup/run.py", "backup/removal.py"):
            sources[program] += "\nfrom stackroles.agents.backup import added\n"
        sources["backup/added.py"] = ""
        patch.setattr(clouds, "agent_sources", lambda: sources)
        self.context.resolved.clear()

    def unserved(self, job: str) -> set[str]:
        """Return the files that a Job mounts and its ConfigMaps lack: its pod would not start."""
        found = self.api.get("jobs", "ns", job)
        assert found is not None
        volumes = found["spec"]["template"]["spec"]["volumes"]
        maps = [volume["configMap"] for volume in volumes if "configMap" in volume]
        assert maps
        return {
            item["key"]
            for source in maps
            for item in source["items"]
            if item["key"] not in (self.api.get("configmaps", "ns", source["name"]) or {})["data"]
        }

    def retention_of(self, backup: str) -> RetentionInput:
        """Return what the retention of a run goes by."""
        names = (name for name in self.names("ConfigMap") if name.startswith(f"{backup}-inputs"))
        inputs = self.api.get("configmaps", "ns", next(names)) or {}
        return wire.loads(RetentionInput, inputs["data"]["retention.json"])

    def wait(self, **time: float) -> None:
        self.clock.at += timedelta(**time)

    def mark(self, name: str, policy: str = "nightly", step: str = "schedule") -> None:
        """Leave a mark as the schedule does, or another of the policy's."""
        labels = child_labels(policy, "BackupPolicy") | {"stackroles.io/step": f"backup.{step}"}
        metadata = {"name": name, "namespace": "ns", "labels": labels}
        self.store({"kind": "Job", "metadata": metadata, "spec": {}, "status": {}})

    def pod(self, backup: str, phase: str = "Running", outcome: RunOutcome | None = None) -> None:
        """Let the kubelet report a run's pod."""
        job = self.api.get("jobs", "ns", f"{backup}-run")
        known = copy.deepcopy(self.api.get("pods", "ns", f"{backup}-run-x"))
        pod: Object = known or {
            "kind": "Pod",
            "metadata": {
                "name": f"{backup}-run-x",
                "namespace": "ns",
                "labels": (job or {})["spec"]["template"]["metadata"]["labels"],
                "ownerReferences": owned_by(job or {}),
            },
        }
        state: Object = {"running": {}}
        if phase in {"Succeeded", "Failed"}:
            message = wire.dumps(outcome) if outcome else ""
            state = {"terminated": {"exitCode": int(phase == "Failed"), "message": message}}
        containers = [{"name": "backup", "state": state}]
        self.store({**pod, "status": {"phase": phase, "containerStatuses": containers}})

    async def log(self, backup: str, part: str, **fields: Any) -> None:
        """Let a run's program log how far it is, and the operator read it."""
        self.pod(backup)
        await self.run(backup)
        counts = {"bytes": 0, "bytes_per_second": 0, "trouble": "", **fields}
        line = wire.dumps(ProgressLine(part=part, **counts))
        self.api.log = f"{PROGRESS_PREFIX}{line}\n{PROGRESS_PREFIX}{{cut"
        await self.polls.tick()
        await self.run(backup)

    def end(self, backup: str, kind: str = "Complete", **fields: str) -> None:
        """Let the Job controller report that a run's Job has ended."""
        job = copy.deepcopy(self.api.get("jobs", "ns", f"{backup}-run"))
        at = self.clock.now().isoformat()
        ended = {"type": kind, "status": "True", "lastTransitionTime": at, **fields}
        self.store({**(job or {}), "status": {"conditions": [ended]}})

    async def verify(self, backup: str, *expired: str) -> None:
        """Let a run that was started end well."""
        self.pod(backup, "Succeeded", verified(*expired))
        self.end(backup)
        await self.run(backup)

    async def fail(self, backup: str, reason: str = "StepFailed") -> None:
        self.pod(backup, "Failed", RunOutcome(reason=reason, message="it broke"))
        self.end(backup, "Failed", reason="BackoffLimitExceeded")
        await self.run(backup)

    async def run(self, *names: str) -> None:
        """Reconcile Backups."""
        for name in names:
            found = self.cluster.get("Backup", "ns", name)
            assert found is not None, name
            with contextlib.suppress(NotReady):  # its conditions say what it waits for
                await reconcile_backup(self.context, found)
            self.forget_gone()

    async def settle(self, name: str = "nightly") -> None:
        """Reconcile a policy."""
        found = self.cluster.get("BackupPolicy", "ns", name)
        assert found is not None
        known = self.names("Backup")
        with contextlib.suppress(NotReady):
            await reconcile_backup_policy(self.context, found)
        for made in self.cluster.list("Backup", "ns"):
            if made["metadata"]["name"] not in known:
                stored = copy.deepcopy(made)
                stored["metadata"]["creationTimestamp"] = self.clock.now().isoformat()
                self.cluster.cache.upsert(self.api.put(stored))

    def condition(self, name: str, kind: str = "Complete", of: str = "Backup") -> tuple[str, str]:
        """Return reason and message of a condition."""
        found = self.cluster.get(of, "ns", name)
        conditions = (found or {})["status"]["conditions"]
        one = next(condition for condition in conditions if condition["type"] == kind)
        return one["reason"], one["message"]

    def policy(self, kind: str, name: str = "nightly") -> tuple[str, str]:
        return self.condition(name, kind, "BackupPolicy")

    def names(self, kind: str) -> list[str]:
        return [found["metadata"]["name"] for found in self.cluster.list(kind, "ns")]

    def status(self, name: str) -> Object:
        found = self.cluster.get("Backup", "ns", name)
        return dict((found or {})["status"])


def verified(*expired: str) -> RunOutcome:
    """Return what the program of a run that went well leaves, and which sets it found gone."""
    step = StepResult("database", bytes=7, seconds=1.0, sha256="a", snapshot="s")
    return RunOutcome(ok=True, verified=True, snapshot="s", expired=expired, steps=(step,))


@asynccontextmanager
async def backup_world() -> AsyncIterator[World]:
    """Serve a world with a cloud, a policy and all that it needs."""
    async with direct_api() as (api, client):
        clock = Time()
        cluster = Cluster(client, Cache(), lambda: 10.0, now=clock.now)
        polls = Polls(clock)
        context = Context(
            cluster=cluster,
            poller=polls,
            tasks=polls,
            clock=clock,
            random=Random(7),
            settings=Settings(image_registry="r"),
            openstack=None,
            enqueue=lambda ref, delay=0.0: None,
            leader="one",
        )
        world = World(api, cluster, context, clock, polls)
        world.cloud()
        world.secret(password="a long password")
        world.storage_class()
        world.declare()
        await world.settle()
        yield world
