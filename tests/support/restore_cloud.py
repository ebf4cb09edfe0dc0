"""A cloud that is restored, as far as others than the passes over Restores and Backups act on it.

What the services' and the database's passes make of the record is played, and so are Jobs and the
kubelet. It is checked meanwhile what no restore may ever do: have two write one volume, or have the
database start on data that do not belong together.
"""

import copy
from dataclasses import dataclass, field
from typing import Any

from stackroles.agents import wire
from stackroles.agents.galera.restore_protocol import RestoreOutcome
from stackroles.config.cloud import Cloud
from stackroles.constants import LABEL_NAME, LABEL_OWNER_KIND, LABEL_STEP
from stackroles.domains.restore.reconcile_services import _step_labels
from stackroles.kube.kinds import KINDS
from stackroles.reconcile.clouds import cloud_of
from stackroles.roles import mariadb, registry
from stackroles.roles.clustering import workload_of
from stackroles.roles.definition import RoleDefinition
from stackroles.workloads.manifests.metadata import selector
from stackroles.workloads.restoring import RestoreRecord, Stopped, parse_record, stopped_roles
from stackroles.workloads.step import ending_of
from tests.support.backup_world import World
from tests.support.objects import child_labels, owned_by

Object = dict[str, Any]
UUID = "99999999-9999-9999-9999-999999999999"
SET = "monday"
# Roles whose pods are played; of the others there are workloads alone.
_WITH_PODS = ("mariadb", "keystone", "nova-conductor")
_GARBAGE = ("Job", "Pod", "ConfigMap", "Secret", "Service")


@dataclass
class PlayedCloud(World):
    """The cloud.

    Attributes:
        failing: Jobs that fail for good instead of ending well, each once.
        idle: Jobs that do not end.
        data: what is on the volume of each database member.
        serving: whether members of the database come up again once they may.
    """

    failing: list[str] = field(default_factory=list)
    idle: set[str] = field(default_factory=set)
    data: list[str] = field(default_factory=lambda: ["former"] * 3)
    serving: bool = True

    @property
    def resolved(self) -> Cloud:
        return cloud_of(self.context, self.cluster.get("CloudController", "ns", "demo") or {})

    def record(self) -> RestoreRecord | None:
        state = self.api.get("configmaps", "ns", "demo-state") or {}
        return parse_record((state.get("data") or {}).get("restore"))

    def stopped(self) -> Stopped:
        record = self.record()
        return record.stopped if record else Stopped.NOTHING

    async def follow(self) -> None:
        """Let everybody else do what is due."""
        self.collect()
        await self.play_backups()
        for job in self.cluster.list("Job", "ns", {LABEL_OWNER_KIND: "Restore"}):
            self.play_job(job)
        if self.cluster.get("CloudController", "ns", "demo") is not None:
            self.play_roles()
            self.play_steps()

    def lose(self) -> None:
        """Lose the cloud, and all that was made for it."""
        kept = ("Restore", "Node", "Namespace")
        for (plural, namespace, name), obj in list(self.api._objects.items()):
            if obj["kind"] not in kept:
                self.api.remove(plural, namespace, name)
                self.cluster.cache.remove(obj)
        self.data = [""] * 3

    def collect(self) -> None:
        """Let go what is deleted and held by nobody, and the children of what is gone."""
        before = -1
        while before != self.api.version:
            before = self.api.version
            uids = {obj["metadata"].get("uid") for obj in self.api._objects.values()}
            for (plural, namespace, name), obj in list(self.api._objects.items()):
                metadata = obj["metadata"]
                leaves = metadata.get("deletionTimestamp") and not metadata.get("finalizers")
                owners = metadata.get("ownerReferences") or ()
                orphan = obj["kind"] in _GARBAGE and any(o["uid"] not in uids for o in owners)
                if leaves or orphan:
                    self.api.remove(plural, namespace, name)
        for kind in (*_GARBAGE, "Backup", "Restore", "BackupPolicy", "CloudController"):
            for obj in self.cluster.list(kind, "ns"):
                if self.api.get(KINDS[kind].plural, "ns", obj["metadata"]["name"]) is None:
                    self.cluster.cache.remove(obj)

    async def play_backups(self) -> None:
        """Let the passes over Backups run, and let what they started end well."""
        for backup in self.cluster.list("Backup", "ns"):
            name = backup["metadata"]["name"]
            if name == SET:
                continue
            job = self.api.get("jobs", "ns", f"{name}-run")
            if job is None or ending_of(job) or name in self.idle:
                await self.run(name)
            elif name in self.failing:
                self.failing.remove(name)
                await self.fail(name)
            else:
                await self.verify(name)

    def play_job(self, job: Object) -> None:
        """Let a Job of a Restore go on: its pod runs, or it ends."""
        name, step = job["metadata"]["name"], job["metadata"]["labels"][LABEL_STEP]
        if step.startswith("backup.") or ending_of(job) or name in self.idle:
            return
        assert not (step == "restore.member" and self.database()), f"{name} and a member write"
        if name in self.failing:
            self.failing.remove(name)
            self.end_job(name, "it broke", failed=True)
        elif step == "restore.reader":
            self.job_pod(job, {"phase": "Running", "podIP": "10.0.1.1",
                               "conditions": [{"type": "Ready", "status": "True"}]})  # fmt: skip
        elif step == "restore.member":
            self.end_job(name, wire.dumps(self.work_on(int(name[-1]))))
        else:
            self.end_job(name, "")

    def work_on(self, ordinal: int) -> RestoreOutcome:
        """Do what the program of a member's Job does."""
        volume = f"volume-{ordinal}"
        assert ordinal or self.finds_reader(), "the reader's Service selects no pod"
        if ordinal:
            self.data[ordinal] = ""
            return RestoreOutcome(ok=True, volume_id=volume)
        self.data[ordinal] = UUID
        return RestoreOutcome(
            ok=True, volume_id=volume, uuid=UUID, seqno=7, tables=400, bytes=2**20, seconds=2.0
        )

    def finds_reader(self) -> bool:
        """Return whether a reader's Service selects the pod of one."""
        services = [
            s for s in self.cluster.list("Service", "ns") if "-reader" in s["metadata"]["name"]
        ]
        wanted = [self.api.get("services", "ns", s["metadata"]["name"]) or {} for s in services]
        return any(self.cluster.list("Pod", "ns", s["spec"]["selector"]) for s in wanted)

    def end_job(self, name: str, message: str, *, failed: bool = False) -> None:
        """Let a Job end, with what its program left."""
        job = self.api.get("jobs", "ns", name)
        assert job is not None, name
        state = {"terminated": {"exitCode": int(failed), "message": message, "reason": "Error"}}
        containers = [{"name": "member", "state": state}]
        phase = "Failed" if failed else "Succeeded"
        self.job_pod(job, {"phase": phase, "containerStatuses": containers})
        ended = {"type": "Failed" if failed else "Complete", "status": "True",
                 "reason": "BackoffLimitExceeded" if failed else "Done",
                 "lastTransitionTime": self.clock.now().isoformat()}  # fmt: skip
        self.store({**copy.deepcopy(job), "status": {"conditions": [ended]}})

    def job_pod(self, job: Object, status: Object) -> None:
        whole = self.api.get("jobs", "ns", job["metadata"]["name"]) or {}
        metadata = {"name": f"{job['metadata']['name']}-x", "namespace": "ns",
                    "labels": whole["spec"]["template"]["metadata"]["labels"],
                    "ownerReferences": owned_by(whole)}  # fmt: skip
        self.store({"kind": "Pod", "metadata": metadata, "status": status})

    def database(self) -> list[str]:
        """Return the pods of the database."""
        if self.cluster.get("CloudController", "ns", "demo") is None:
            return []
        pods = self.cluster.list("Pod", "ns", selector(self.resolved, mariadb.NAME))
        return [pod["metadata"]["name"] for pod in pods]

    def play_roles(self) -> None:
        """Let the passes over services follow the record, and the members follow those."""
        stopped = stopped_roles(self.stopped(), registry.CONTROLLER_ROLES, registry.SERVICES)
        for role in registry.CONTROLLER_ROLES:
            self.play_role(role, rests=role.name in stopped)
        self.play_apis(serve=not stopped)

    def play_role(self, role: RoleDefinition, *, rests: bool) -> None:
        cloud, kind = self.resolved, workload_of(role, self.resolved).value
        wanted, name = 0 if rests else cloud.members_of(role.name), cloud.workload(role.name)
        ready = wanted if self.serving or role.name != mariadb.NAME else 0
        if role.name == mariadb.NAME and ready and not self.database():
            self.start_database()
        labels = selector(cloud, role.name)
        for number in range(5 if role.name in _WITH_PODS else 0):
            self.play_pod(f"{name}-{number}", labels, number, there=number < ready)
        known = self.api.get(KINDS[kind].plural, "ns", name)
        spec = {"replicas": wanted, "selector": {"matchLabels": labels}}
        made = {"kind": kind, "apiVersion": "apps/v1", "spec": spec,
                "metadata": (known or {}).get("metadata")
                or {"name": name, "namespace": "ns", "labels": labels}}  # fmt: skip
        generation = self.store(made)["metadata"]["generation"] if _differs(known, spec) else (
            known or {})["metadata"]["generation"]  # fmt: skip
        counts = dict.fromkeys(("replicas", "readyReplicas", "updatedReplicas"), ready)
        status = {"observedGeneration": generation, **counts}
        known = self.api.get(KINDS[kind].plural, "ns", name) or {}
        if known.get("status") != status:
            self.store({**copy.deepcopy(known), "status": status})

    def start_database(self) -> None:
        """Have members start on what is on their volumes, if that belongs together."""
        record = self.record()
        if record is not None and record.history is not None:
            assert record.history.volume_id == "volume-0"
            assert UUID in self.data, "the history that is on record is on no volume"
            self.data = [UUID] * 3
        assert len(set(self.data)) == 1, f"the database starts on {self.data}"

    def play_pod(self, name: str, labels: Object, number: int, *, there: bool) -> None:
        known = self.api.get("pods", "ns", name)
        if there and known is None:
            ready = [{"type": "Ready", "status": "True"}]
            status = {"phase": "Running", "podIP": f"10.0.0.{number}", "conditions": ready}
            metadata = {"name": name, "namespace": "ns", "labels": labels}
            self.store({"kind": "Pod", "metadata": metadata, "status": status})
        elif not there and known is not None:
            self.remove("Pod", name)

    def play_apis(self, *, serve: bool) -> None:
        """Let the cloud's own pass say whether its APIs serve."""
        controller = copy.deepcopy(self.api.get("cloudcontrollers", "ns", "demo") or {})
        status = controller.setdefault("status", {})
        value = "True" if serve else "False"
        [known] = status.get("conditions") or [{}]
        if known.get("status") != value:
            at = self.clock.now().isoformat()
            status["conditions"] = [
                {"type": "Available", "status": value, "lastTransitionTime": at, "message": "m"}
            ]
            self.store(controller)

    def play_steps(self) -> None:
        """Let set-up steps run whose Jobs are gone, once the database is there."""
        for label in _step_labels():
            name = f"demo-{label.replace('.', '-')}"
            job = self.api.get("jobs", "ns", name)
            if job is None and self.database():
                labels = child_labels() | {LABEL_STEP: label, LABEL_NAME: "step"}
                metadata = {"name": name, "namespace": "ns", "labels": labels}
                spec = {"template": {"metadata": {"labels": labels}}}
                self.store({"kind": "Job", "metadata": metadata, "spec": spec, "status": {}})
            elif job is not None and not ending_of(job) and name not in self.idle:
                ended = {"type": "Complete", "status": "True"}
                self.store({**copy.deepcopy(job), "status": {"conditions": [ended]}})


def _differs(known: Object | None, spec: Object) -> bool:
    return known is None or known.get("spec") != spec
