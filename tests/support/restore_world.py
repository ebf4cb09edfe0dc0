"""A cloud with a verified recovery set, and Restores of it on a small API server."""

import copy
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from random import Random
from typing import Any

import pytest

from stackroles.agents.backup.protocol import Versions
from stackroles.agents.backup.reader_protocol import Manifest, ManifestPart, ReaderProblem
from stackroles.constants import LABEL_OWNER_KIND
from stackroles.domains.restore import reconcile_reader
from stackroles.domains.restore.build import member_claim
from stackroles.domains.restore.reconcile import reconcile_restore
from stackroles.domains.restore.status import is_ended
from stackroles.errors import Conflict, NotReady, Unavailable
from stackroles.kube.cache import Cache
from stackroles.kube.cluster import Cluster
from stackroles.kube.kinds import KINDS, Key, uid_of
from stackroles.reconcile.context import Parts
from stackroles.workloads.restoring import Stopped
from tests.support.backup_world import backup_world
from tests.support.fake_api import Answer, Request
from tests.support.objects import child_labels, custom
from tests.support.polls import Polls
from tests.support.restore_cloud import SET, PlayedCloud

Object = dict[str, Any]
PART = ManifestPart(name="database", filename="f", bytes=2**20, sha256="a", snapshot="s")


def manifest(cloud: str = "demo", release: str = "") -> Manifest:
    """Return what the set says of itself."""
    versions = Versions(operator="1", release=release, images={})
    return Manifest(
        name=SET, cloud=cloud, policy="nightly", versions=versions, position="u:7", parts=(PART,)
    )


@dataclass
class RestoreWorld(PlayedCloud):
    """The world.

    Attributes:
        answer: what the reader says.
        enqueued: whom passes have woken.
        made: the Jobs that passes have made so far, each by its name and its identity.
        tolerated: what ends a pass without a trace.
        passing: whether a pass over a Restore is under way.
    """

    answer: Manifest | ReaderProblem | None = None
    enqueued: list[Key] = field(default_factory=list)
    made: list[str] = field(default_factory=list)
    tolerated: tuple[type[Exception], ...] = (NotReady,)
    passing: bool = False

    def prepare(self) -> None:
        """Have a cloud that serves, and a verified set of it."""
        self.api.now = lambda: self.clock.now().isoformat()
        self.answer = manifest(release=self.resolved.spec.release)
        for ordinal in range(3):
            name = member_claim(self.resolved, ordinal)
            bound = {"phase": "Bound", "capacity": {"storage": "10Gi"}}
            metadata = {"name": name, "namespace": "ns", "labels": child_labels()}
            self.store({"kind": "PersistentVolumeClaim", "metadata": metadata, "status": bound})
        self.apply_set()
        self.play_roles()
        self.play_steps()
        self.play_steps()
        self.wait(hours=1)

    def apply_set(self, **status: Any) -> None:
        known = self.api.get("backups", "ns", SET) or custom(SET, "Backup", policy="nightly")
        began = self.clock.now().isoformat()
        complete = {"type": "Complete", "status": "True", "reason": "BackupVerified",
                    "message": "It is verified.", "lastTransitionTime": began}  # fmt: skip
        found = {"verified": True, "startedAt": began, "completedAt": began}
        self.store({**known, "status": {**found, "conditions": [complete], **status}})

    def declare_restore(self, name: str = "back", **spec: Any) -> None:
        known = copy.deepcopy(self.api.get("restores", "ns", name))
        source = {} if "recoverySet" in spec else {"backup": SET}
        declared = {**source, **spec}
        self.store({**(known or custom(name, "Restore")), "spec": declared})

    def delete_restore(self, name: str = "back") -> None:
        self.leave("Restore", name)

    def leave(self, kind: str, name: str) -> None:
        """Have a resource deleted, which its finalizer may hold."""
        known = copy.deepcopy(self.api.get(KINDS[kind].plural, "ns", name))
        assert known is not None, name
        known["metadata"]["deletionTimestamp"] = self.clock.now().isoformat()
        self.store(known)
        self.collect()

    async def reconcile(self, name: str = "back") -> None:
        """Make one pass over a Restore."""
        found = self.cluster.get("Restore", "ns", name)
        self.wait(seconds=1)
        self.passing = True
        if found is not None:
            with suppress(*self.tolerated):  # its conditions say what it waits for
                await reconcile_restore(self.context, found)
        self.passing = False
        self.note_jobs()

    async def play(
        self,
        *names: str,
        until: Callable[[], bool] = lambda: False,
        after: Callable[[], None] = lambda: None,
        passes: int = 60,
    ) -> None:
        """Make passes, and let everybody else act, until Restores have ended or something holds.

        Args:
            names: the Restores.
            until: what to stop at.
            after: is called after each pass.
            passes: so many at most.
        """
        names = names or ("back",)
        for _ in range(passes):
            for name in names:
                await self.reconcile(name)
                after()
            if until():
                return
            await self.follow()
            if all(self.has_ended(name) for name in names):
                for name in names:
                    await self.reconcile(name)
                self.collect()
                return
        raise AssertionError([self.told(name) for name in names if self.exists(name)])

    def exists(self, name: str = "back") -> bool:
        return self.api.get("restores", "ns", name) is not None

    def has_ended(self, name: str = "back") -> bool:
        found = self.api.get("restores", "ns", name)
        return found is None or is_ended(found.get("status", {}))

    def restored(self, name: str = "back") -> Object:
        """Return the status of a Restore."""
        found = self.api.get("restores", "ns", name) or {}
        return dict(found.get("status") or {})

    def told(self, name: str = "back", kind: str = "Complete") -> tuple[str, str]:
        """Return reason and message of a condition of a Restore."""
        return self.condition(name, kind, "Restore")

    def phase(self, name: str) -> Object:
        return next((p for p in self.restored()["phases"] if p["name"] == name), {})

    def check_given_up(self, *says: str) -> None:
        """Assert that a restore was given up, and the cloud goes on with what it had."""
        reason, message = self.told()
        assert reason == "RestoreFailed"
        assert message.endswith(
            "The cloud goes on with what it had. Correct that, and apply a new Restore."
        )
        for text in says:
            assert text in message
        assert self.told(kind="Stalled")[0] == "NeedsAttention"
        record = self.record()
        assert record is not None
        assert (record.ended, record.stopped, record.history) == (True, Stopped.NOTHING, None)
        assert self.data == ["former"] * 3
        assert self.restored()["completedAt"]

    def restart(self) -> None:
        """Have another operator go on: all that it knows is in the API."""
        cluster = Cluster(self.cluster._client, Cache(), lambda: 10.0, now=self.clock.now)
        for obj in copy.deepcopy(list(self.api._objects.values())):
            if obj["kind"] in KINDS and KINDS[obj["kind"]].watched:
                cluster.cache.upsert(obj)
        self.cluster, self.polls = cluster, Polls(self.clock)
        self.context = replace(
            self.context, cluster=cluster, poller=self.polls, tasks=self.polls,
            random=Random(8), parts=Parts(), resolved={},
        )  # fmt: skip

    def note_jobs(self) -> None:
        """Note each Job that was made for a Restore."""
        for job in self.cluster.list("Job", "ns", {LABEL_OWNER_KIND: "Restore"}):
            if (told := f"{job['metadata']['name']} {uid_of(job)}") not in self.made:
                self.made.append(told)

    def jobs_made(self) -> list[str]:
        return sorted(told.partition(" ")[0] for told in self.made)


class Faults:
    """Fails one write of the passes over Restores, and counts them.

    Args:
        world: whose writes.
        number: the write that fails, the first being 1.
        status: what it is answered.
        done: whether it was done all the same.
    """

    def __init__(self, world: RestoreWorld, number: int, status: int, *, done: bool) -> None:
        self._world, self._answer = world, world.api.answer
        self._number, self._status, self._done = number, status, done
        self.writes = 0

    def answer(self, request: Request) -> Any:
        """Answer a request."""
        writes = request.method != "GET" and not request.path.endswith("/events")
        if writes and self._world.passing:
            self.writes += 1
            if self.writes == self._number:
                if self._done:
                    self._answer(request)
                return Answer(self._status, b'{"kind": "Status", "message": "injected"}')
        return self._answer(request)

    def inject(self, patch: pytest.MonkeyPatch) -> None:
        """Have the world's server answer by this."""
        patch.setattr(self._world.api, "answer", self.answer)
        self._world.tolerated = (NotReady, Conflict, Unavailable)


@asynccontextmanager
async def restore_world(patch: pytest.MonkeyPatch) -> AsyncIterator[RestoreWorld]:
    """Serve a world with a cloud that serves, and a verified set of it."""
    async with backup_world() as found:
        world = RestoreWorld(**vars(found))
        enqueued = world.enqueued
        world.context = replace(world.context, enqueue=lambda ref, delay=0.0: enqueued.append(ref))

        async def read(*_: str) -> Manifest | ReaderProblem | None:
            return world.answer

        patch.setattr(reconcile_reader, "read_manifest", read)
        world.prepare()
        yield world
