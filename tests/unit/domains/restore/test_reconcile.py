"""A restore on a small API server, from its resource to a cloud that serves what a set holds."""

from dataclasses import replace
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from stackroles.agents.backup.reader_protocol import ReaderProblem
from stackroles.api.v1alpha1.restore import RestoreStatus
from stackroles.constants import FINALIZER, LABEL_COMPONENT, LABEL_NAME, LABEL_STEP
from stackroles.domains.restore.phases import Phase
from stackroles.domains.restore.reconcile_services import _step_labels
from stackroles.kube.kinds import PartRef, uid_of
from stackroles.workloads.restoring import RestoredHistory, RestoreRecord, Stopped
from tests.support.objects import child_labels
from tests.support.restore_cloud import SET, UUID
from tests.support.restore_world import RestoreWorld, manifest

N, S, D = Stopped.NOTHING, Stopped.SERVICES, Stopped.DATABASE
COPIED = "2026-01-01T00:00:00Z"


async def settle(world: RestoreWorld, passes: int = 6) -> None:
    for _ in range(passes):
        await world.reconcile()
        await world.follow()


class TestBeforeItBegins:
    async def test_without_consent_nothing_is_stopped_and_what_is_lost_is_said(
        self, world: RestoreWorld
    ) -> None:
        world.declare_restore()

        await settle(world)

        reason, message = world.told()
        assert reason == "ConsentRequired"
        assert message.startswith("Nothing was stopped. The databases of demo: what was written")
        assert "since 2026-01-01 00:00:00 UTC is lost" in message
        assert message.endswith("To consent, set spec.overwrite to demo.")
        assert world.told(kind="Stalled")[0] == "NeedsAttention"
        assert world.record() is None
        assert world.data == ["former"] * 3

    async def test_the_name_of_another_cloud_is_no_consent(self, world: RestoreWorld) -> None:
        world.declare_restore(overwrite="other")
        await settle(world)
        assert world.told()[0] == "ConsentRequired"

    async def test_a_dry_run_ends_with_what_would_be_lost_and_records_nothing(
        self, world: RestoreWorld
    ) -> None:
        world.declare_restore(dryRun=True, overwrite="demo")

        await settle(world)

        reason, message = world.told()
        assert reason == "DryRunCompleted"
        assert "what was written since 2026-01-01 00:00:00 UTC is lost" in message
        assert message.endswith("Set spec.dryRun to false to begin.")
        found = world.restored()["preflight"]
        assert (found["databaseBytes"], found["position"]) == (2**20, "u:7")
        assert world.record() is None
        assert "back-reader" not in world.names("Job")

    @pytest.mark.parametrize("spec", [{"dryRun": True}, {}])
    async def test_what_was_answered_is_not_asked_again(
        self, world: RestoreWorld, spec: dict[str, Any]
    ) -> None:
        world.declare_restore(**spec)
        await settle(world)
        assert "back-reader" not in world.names("Job"), "it holds the repository's volume"
        before = world.api.writes()
        world.wait(hours=1)

        await settle(world)

        assert world.api.writes() == before

    async def test_a_dry_run_becomes_a_restore_by_its_spec(self, world: RestoreWorld) -> None:
        world.declare_restore(dryRun=True)
        await settle(world)
        world.declare_restore(overwrite="demo")

        await world.play()

        assert world.told()[0] == "Restored"

    @pytest.mark.parametrize(
        ("kind", "name", "reason", "says"),
        [
            ("Backup", SET, "BackupMissing", "kubectl get backups lists"),
            ("BackupPolicy", "nightly", "PolicyMissing", "BackupPolicy nightly, which names"),
            ("Secret", "key", "EncryptionSecretMissing", "Secret key does not exist"),
            ("CloudController", "demo", "ControllerMissing", "CloudController demo does not exist"),
        ],
    )
    async def test_what_it_refers_to_and_is_missing_is_named(
        self, world: RestoreWorld, kind: str, name: str, reason: str, says: str
    ) -> None:
        world.remove(kind, name)
        world.restart()
        world.declare_restore(overwrite="demo")

        await world.reconcile()

        assert world.told()[0] == "PreflightFailed"
        found, message = world.told(kind="Reconciled")
        assert (found, world.told(kind="Ready")[0]) == (reason, reason)
        assert says in message
        assert world.record() is None
        assert world.names("Job") == [n for n in world.names("Job") if not n.startswith("back")]

    async def test_a_backup_that_was_not_verified_is_not_restored(
        self, world: RestoreWorld
    ) -> None:
        world.apply_set(verified=False)
        world.declare_restore(overwrite="demo")

        await world.reconcile()

        assert world.told(kind="Reconciled")[0] == "BackupMissing"
        assert "has no verified recovery set" in world.told()[1]

    @pytest.mark.parametrize(
        ("answer", "reason", "says"),
        [
            (manifest("other", "2025.1"), "PreflightFailed", "is of the cloud other"),
            (manifest(release="2024.1"), "PreflightFailed", "set spec.release"),
            (
                ReaderProblem(reason="SetMissing", message="no such set"),
                "RestoreRunning",
                "Preflight: SetMissing: no such set",
            ),
            (None, "RestoreRunning", "Preflight: The reader of the recovery set does not answer"),
        ],
    )
    async def test_a_set_that_cannot_be_restored_stops_nothing(
        self, world: RestoreWorld, answer: Any, reason: str, says: str
    ) -> None:
        world.answer = answer
        world.declare_restore(overwrite="demo")

        await settle(world)

        assert world.told()[0] == reason
        assert says in world.told()[1]
        assert world.record() is None


async def test_a_restore_goes_through_its_phases_and_records_each(world: RestoreWorld) -> None:
    seen: list[RestoreRecord] = []

    def note() -> None:
        record = world.record()
        if record is not None and record not in seen:
            seen.append(record)

    world.declare_restore(overwrite="demo")
    await world.play(after=note)

    order = tuple(phase.value for phase in Phase)
    assert [(record.stopped, len(record.done)) for record in seen] == [
        *((N, 2), (N, 3), (S, 3), (D, 4), (D, 6), (S, 7), (S, 8), (S, 9), (N, 10), (N, 11)),
    ]
    assert all(record.done == order[: len(record.done)] for record in seen)
    history = RestoredHistory(member="demo-mariadb-0", volume_id="volume-0", uuid=UUID, seqno=7)
    assert [record.history for record in seen] == [None] * 5 + [history] * 5
    assert [record.ended for record in seen] == [False] * 9 + [True]
    assert world.data == [UUID] * 3
    assert {PartRef("CloudController", "ns", "demo", f"services/{name}")
            for name in ("mariadb", "keystone", "ovn")} <= set(world.enqueued)  # fmt: skip


async def test_a_restore_that_ended_says_what_came_back_and_what_it_took(
    world: RestoreWorld,
) -> None:
    world.declare_restore(overwrite="demo")
    await world.play()

    seconds = world.restored()["recoverySeconds"]
    reason, message = world.told()
    assert reason == "Restored"
    assert message.startswith(f"The cloud serves again, {seconds} s after its APIs were paused.")
    assert message.endswith("The copy has 400 tables of services.")
    assert [world.told(kind=kind)[0] for kind in ("Reconciled", "Ready", "Reconciling")] == [
        "Applied", "AsDesired", "Settled",
    ]  # fmt: skip
    status = RestoreStatus.model_validate(world.restored())
    assert (status.position, status.tables) == (f"{UUID}:7", 400)
    assert world.restored()["recoveryPoint"] == COPIED
    assert status.phase is None
    assert [phase.name for phase in status.phases] == list(Phase)
    assert all(phase.completed_at for phase in status.phases)
    assert status.stopped_at is not None
    assert status.completed_at is not None
    took = (status.completed_at - status.stopped_at).total_seconds()
    assert status.recovery_seconds == took
    safety = world.cluster.get("Backup", "ns", status.safety_backup or "")
    assert safety is not None
    assert safety["metadata"].get("ownerReferences", []) == [], "it outlives its Restore"
    held = {"back-reader", *(f"back-member-{n}" for n in range(3))}
    assert not held & set(world.names("Job")), "their pods would hold the claims"
    found = world.api.get("restores", "ns", "back") or {}
    assert FINALIZER not in found["metadata"].get("finalizers", ())


async def test_how_a_restore_ended_is_never_changed_again(world: RestoreWorld) -> None:
    world.declare_restore(overwrite="demo")
    await world.play()
    world.declare_restore(overwrite="demo", dryRun=True)
    before = world.api.writes()
    world.wait(days=1)

    await settle(world)

    assert world.api.writes() == before
    assert world.told()[0] == "Restored"


async def test_every_pass_that_waits_says_for_what(world: RestoreWorld) -> None:
    told: list[str] = []
    world.declare_restore(overwrite="demo")
    await world.play(after=lambda: told.append(world.told()[1]))

    for expected in (
        "Preflight: The reader of the recovery set starts.",
        "Pause: Stopping demo-keystone-0",
        "Stop: The database is being stopped.",
        "Data: Emptying the volume of member 1. Emptying the volume of member 2.",
        "Bootstrap: No member serves yet.",
        "Setup: Running glance.setup, keystone.setup, mariadb.accounts, neutron.setup and 2 more.",
        "Reconcile: Running neutron/ovn-sync.",
        "Open: Waiting for memcached",
    ):
        assert any(message.startswith(expected) for message in told), expected


async def test_a_run_that_removes_deleted_rows_is_ended_before_the_database_stops(
    world: RestoreWorld,
) -> None:
    labels = child_labels() | {
        LABEL_NAME: "step",
        LABEL_COMPONENT: "housekeeping",
        LABEL_STEP: "housekeeping.nova-purge",
    }
    metadata = {"name": "demo-housekeeping-nova-1-x", "namespace": "ns", "labels": labels}
    pod = {"kind": "Pod", "metadata": metadata, "status": {"phase": "Running"}}
    world.store(pod)
    world.declare_restore(overwrite="demo")
    told: list[str] = []

    await world.play(
        until=lambda: sum("demo-housekeeping" in message for message in told) > 2,
        after=lambda: told.append(world.told()[1]),
    )

    assert told[-1].startswith("Pause: Stopping demo-housekeeping-nova-1-x")
    assert PartRef("CloudController", "ns", "demo", "housekeeping") in world.enqueued
    world.store({**pod, "status": {"phase": "Succeeded"}})
    await world.play()
    assert world.told()[0] == "Restored"


def ran(world: RestoreWorld) -> set[str]:
    """Return the set-up steps' Jobs, each by its identity."""
    labels = [{LABEL_STEP: label} for label in _step_labels()]
    return {uid_of(job) for label in labels for job in world.cluster.list("Job", "ns", label)}


async def test_steps_run_again_whatever_the_operators_clock_says(world: RestoreWorld) -> None:
    """What ran shortly before the restore would count as having run after it."""
    before = ran(world)
    late = SimpleNamespace(now=lambda: world.clock.now() - timedelta(hours=2))
    world.context = replace(world.context, clock=late)
    world.declare_restore(overwrite="demo", safetyBackup="Never")

    await world.play()

    assert world.told()[0] == "Restored", world.told()
    assert before
    assert not before & ran(world)
