"""A cloud that is gone comes back by a Restore that names the repository of a set."""

import base64
import copy
import io
import json
import tarfile
from dataclasses import replace
from typing import Any

import pytest

from stackroles.agents.backup.reader_protocol import Manifest, ManifestPart, ReaderProblem
from stackroles.domains.restore import client
from stackroles.domains.restore.former import read_former
from stackroles.domains.restore.phases import Phase
from stackroles.errors import Forbidden, NotReady, Unavailable
from stackroles.kube.kinds import KINDS
from stackroles.workloads.restoring import Stopped
from tests.support.fake_api import Answer, Request
from tests.support.restore_cloud import SET, UUID
from tests.support.restore_world import PART, Faults, RestoreWorld, restore_world

Object = dict[str, Any]
PASSWORD = b"not-to-be-seen"
S3 = {"endpoint": "https://s3.test", "bucket": "backups", "credentialsSecret": "s3"}
RECOVERY_SET = {"policy": "nightly", "repository": {"s3": S3}, "encryptionSecret": "key"}
LOST = {"phase": "Lost", "capacity": {"storage": "10Gi"}}
# More writes than a run has.
_MOST = 200
HELD = {"demo-keystone-credentials": {"database-password": PASSWORD}}


def part(name: str) -> ManifestPart:
    return ManifestPart(name=name, filename=name, bytes=1, sha256="a", snapshot="s")


def resource(kind: str, name: str, **spec: Any) -> Object:
    metadata = {"name": name, "namespace": "elsewhere", "labels": {"team": "a"}, "uid": "former"}
    return {
        "apiVersion": "stackroles.io/v1alpha1",
        "kind": kind,
        "metadata": metadata,
        "spec": spec,
    }


POLICY = {"controller": "demo", "repository": {"s3": S3}, "encryptionSecret": "key"}
RESOURCES = [
    resource("CloudController", "demo", region="North", suspend=True),
    resource("CloudController", "other"),
    resource("ComputePool", "compute", controller="demo", nodeSelector={"a": "b"}),
    resource("ComputePool", "foreign", controller="other"),
]


def archive() -> bytes:
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w|") as opened:
        for secret, values in HELD.items():
            for key, value in values.items():
                info = tarfile.TarInfo(f"{secret}/{key}")
                info.size = len(value)
                opened.addfile(info, io.BytesIO(value))
    return target.getvalue()


def lose(world: RestoreWorld, patch: pytest.MonkeyPatch) -> None:
    """Have a cluster without a cloud, and a set with all of one."""
    parts = {"resources": json.dumps(RESOURCES).encode(), "secrets": archive()}

    async def read_part(_: str, __: str, found: ManifestPart) -> bytes:
        return parts[found.name]

    patch.setattr(client, "read_part", read_part)
    assert isinstance(world.answer, Manifest)
    world.answer = replace(world.answer, parts=(PART, part("resources"), part("secrets")))
    world.lose()
    world.secret("key", password="12345678")
    world.secret("s3", accessKeyId="a", secretAccessKey="b")


@pytest.fixture
def lost(world: RestoreWorld, monkeypatch: pytest.MonkeyPatch) -> RestoreWorld:
    """A cluster without a cloud, and a set with all of one."""
    lose(world, monkeypatch)
    return world


async def test_one_restore_brings_back_a_cloud_that_is_gone(lost: RestoreWorld) -> None:
    stopped: list[Stopped] = []

    def note() -> None:
        if lost.api.get("cloudcontrollers", "ns", "demo"):
            stopped.append(lost.stopped())

    lost.declare_restore(recoverySet=RECOVERY_SET)
    await lost.play(after=note)

    assert lost.told()[0] == "Restored", lost.told()
    assert lost.data == [UUID] * 3
    assert stopped[0] is Stopped.DATABASE, "the database of a new cloud began empty"
    controller = lost.api.get("cloudcontrollers", "ns", "demo") or {}
    assert controller["spec"] == {"region": "North"}
    assert controller["metadata"]["labels"] == {"team": "a"}
    assert controller["metadata"]["uid"] not in ("", "former")
    assert lost.api.get("computepools", "ns", "compute")
    assert not lost.api.get("computepools", "ns", "foreign")
    secret = lost.api.get("secrets", "ns", "demo-keystone-credentials") or {}
    assert base64.b64decode(secret["data"]["database-password"]) == PASSWORD
    assert secret["metadata"]["labels"]["app.kubernetes.io/managed-by"] == "stackroles"
    assert lost.api.get("persistentvolumeclaims", "ns", "data-demo-mariadb-0")
    found = lost.restored()
    assert (found["recoverySet"], found["controller"]) == (SET, "demo")
    assert found["recoverySeconds"] > 0
    assert "safetyBackup" not in found
    assert PASSWORD.decode() not in str(found)


async def test_a_dry_run_says_what_would_be_made_and_makes_nothing(lost: RestoreWorld) -> None:
    lost.declare_restore(recoverySet=RECOVERY_SET, dryRun=True)
    await lost.play(until=lambda: lost.told()[0] == "DryRunCompleted")

    assert "CloudController demo, ComputePool compute" in lost.told()[1]
    assert "would lose" not in lost.told()[1]
    assert not lost.api.get("cloudcontrollers", "ns", "demo")
    assert not lost.api.get("configmaps", "ns", "demo-state")


async def test_secrets_that_only_the_user_has_are_missing(
    lost: RestoreWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    named = resource("CloudController", "demo", credentials={"nova": "mine"})

    async def read_part(*_: object) -> bytes:
        return json.dumps([named]).encode()

    monkeypatch.setattr(client, "read_part", read_part)
    lost.declare_restore(recoverySet=RECOVERY_SET)
    await lost.play(until=lambda: lost.told()[0] == "PreflightFailed")

    assert (
        "Secret mine, which spec.credentials.nova of CloudController demo names" in lost.told()[1]
    )


async def test_data_of_a_former_cloud_is_lost_by_consent_only(lost: RestoreWorld) -> None:
    metadata = {"name": "data-demo-mariadb-0", "namespace": "ns"}
    bound = {"phase": "Bound", "capacity": {"storage": "10Gi"}}
    lost.store({"kind": "PersistentVolumeClaim", "metadata": metadata, "status": bound})
    lost.declare_restore(recoverySet=RECOVERY_SET)
    await lost.play(until=lambda: lost.told()[0] == "ConsentRequired")

    assert "The data on volume claim data-demo-mariadb-0, of a former demo." in lost.told()[1]
    assert not lost.api.get("cloudcontrollers", "ns", "demo")


async def test_a_cloud_that_exists_is_restored_as_it_is(world: RestoreWorld) -> None:
    world.secret("s3", accessKeyId="a", secretAccessKey="b")
    world.declare_restore(recoverySet={**RECOVERY_SET, "name": SET}, overwrite="demo")
    await world.play()

    assert world.told()[0] == "Restored", world.told()
    assert world.phase("Resources")["message"] == "CloudController demo exists."
    assert world.restored()["safetyBackup"]


async def test_an_operator_that_is_lost_at_any_time_leaves_it_to_the_next(
    lost: RestoreWorld,
) -> None:
    lost.declare_restore(recoverySet=RECOVERY_SET)
    await lost.play(after=lost.restart)

    assert lost.told()[0] == "Restored", lost.told()
    assert lost.data == [UUID] * 3


@pytest.mark.parametrize("done", [False, True], ids=["refused", "done without an answer"])
async def test_whichever_write_fails_a_cloud_comes_back_and_never_begins_empty(
    *, done: bool
) -> None:
    for number in range(1, _MOST):
        with pytest.MonkeyPatch.context() as patch:
            async with restore_world(patch) as world:
                lose(world, patch)
                faults = Faults(world, number, 500 if done or number % 2 else 409, done=done)
                faults.inject(patch)
                began: list[Stopped] = []

                def note(world: RestoreWorld = world, began: list[Stopped] = began) -> None:
                    if world.api.get("cloudcontrollers", "ns", "demo") and not began:
                        began.append(world.stopped())
                    if done:
                        # What was done without an answer is known to whoever reads it again.
                        world.restart()

                world.declare_restore(recoverySet=RECOVERY_SET)
                await world.play(after=note)
                assert world.told()[0] == "Restored", (number, world.told())
                assert began == [Stopped.DATABASE], number
                assert world.data == [UUID] * 3, number
                assert world.stopped() is Stopped.NOTHING, number
        if faults.writes < number:
            break
    assert number > len(Phase)


async def test_wherever_it_is_deleted_no_cloud_is_left_that_begins_empty(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ends: list[tuple[bool, Stopped, str]] = []
    for passes in range(1, _MOST):
        async with restore_world(monkeypatch) as world:
            lose(world, monkeypatch)
            world.declare_restore(recoverySet=RECOVERY_SET)
            for _ in range(passes):
                await world.reconcile()
                await world.follow()
                world.restart()
            if world.has_ended():
                break
            world.delete_restore()
            await world.play(after=world.restart)
            assert not world.exists()
            made = world.api.get("cloudcontrollers", "ns", "demo") is not None
            ends.append((made, world.stopped(), world.data[0]))
    assert set(ends) == {
        (False, Stopped.NOTHING, ""),
        (True, Stopped.DATABASE, ""),
        (True, Stopped.NOTHING, UUID),
    }


async def test_two_that_make_the_same_cloud_at_once_do_so_one_after_the_other(
    lost: RestoreWorld,
) -> None:
    for name in ("back", "second"):
        lost.declare_restore(name, recoverySet=RECOVERY_SET)
    names: set[str] = set()
    waits: set[str] = set()

    def note() -> None:
        if (record := lost.record()) is not None:
            names.add(record.name)
        if lost.restored("second").get("conditions"):
            waits.add(lost.told("second")[0])

    await lost.play("back", "second", after=note, until=lambda: lost.has_ended("back"))
    assert "AnotherRestoreRuns" in waits
    await lost.play("second", until=lambda: lost.told("second")[0] == "PreflightFailed")

    assert lost.told("back")[0] == "Restored"
    # It is about a cloud that exists by now.
    assert "BackupPolicy nightly, under which what is overwritten would" in lost.told("second")[1]
    assert names == {"back"}
    assert lost.data == [UUID] * 3


@pytest.mark.parametrize("text", [b"", b"{", b"[1]", b'[{"kind": "CloudController"}]', b"7"])
def test_a_part_that_holds_no_resources_is_refused(text: bytes) -> None:
    with pytest.raises(ValueError, match="cannot be read"):
        read_former(text, "demo", "ns")


def test_a_set_may_not_have_its_cloud() -> None:
    assert read_former(json.dumps(RESOURCES[2:]).encode(), "demo", "ns") is None


async def test_a_cloud_that_was_made_without_its_data_rests_until_another_restore(
    lost: RestoreWorld,
) -> None:
    lost.failing.append("back-member-0")
    lost.declare_restore(recoverySet=RECOVERY_SET)
    await lost.play()

    assert lost.told()[0] == "RestoreFailed"
    assert "The cloud that it made has no data, and its database rests." in lost.told()[1]
    assert lost.stopped() is Stopped.DATABASE
    assert lost.data == [""] * 3

    claim = copy.deepcopy(lost.api.get("persistentvolumeclaims", "ns", "data-demo-mariadb-0") or {})
    bound = {"phase": "Bound", "capacity": {"storage": "10Gi"}}
    lost.store({**claim, "kind": "PersistentVolumeClaim", "status": bound})
    lost.declare_restore("again", recoverySet=RECOVERY_SET, overwrite="demo", safetyBackup="Never")
    rested: list[Stopped] = []
    await lost.play("again", after=lambda: rested.append(lost.stopped()))

    assert lost.told("again")[0] == "Restored", lost.told("again")
    assert lost.data == [UUID] * 3
    assert rested[0] is Stopped.DATABASE
    assert lost.stopped() is Stopped.NOTHING


async def test_a_restore_that_is_deleted_before_its_data_leaves_no_empty_cloud_behind(
    lost: RestoreWorld,
) -> None:
    lost.declare_restore(recoverySet=RECOVERY_SET)
    await lost.play(until=lambda: bool(lost.api.get("cloudcontrollers", "ns", "demo")))
    lost.delete_restore()
    await lost.play(until=lambda: not lost.exists())

    assert lost.stopped() is Stopped.DATABASE
    assert lost.data == [""] * 3


async def given_up_before_its_volume_was_made(world: RestoreWorld, **claim: Any) -> None:
    """Have a Restore fail whose Job never had a node, so that its claim never got a volume."""
    world.failing.append("back-member-0")
    world.declare_restore(recoverySet=RECOVERY_SET)
    await world.play()
    name = "data-demo-mariadb-0"
    known = copy.deepcopy(world.api.get("persistentvolumeclaims", "ns", name) or {})
    known["spec"]["storageClassName"] = "fast"
    pending = {"phase": "Pending"}
    world.store({**known, "kind": "PersistentVolumeClaim", "status": pending, **claim})


async def test_a_claim_that_waits_for_its_first_pod_does_not_hold_the_next_restore_up(
    lost: RestoreWorld,
) -> None:
    """Its pod is of the database, which rests until that restore has put its data in place."""
    lost.storage_class()
    await given_up_before_its_volume_was_made(lost)
    # Nothing was written to it: no consent is needed.
    lost.declare_restore("again", recoverySet=RECOVERY_SET)

    await lost.play("again")

    assert lost.told("again")[0] == "Restored", lost.told("again")
    assert lost.data == [UUID] * 3


@pytest.mark.parametrize(
    ("mode", "status"), [("Immediate", {"phase": "Pending"}), ("WaitForFirstConsumer", LOST)]
)
async def test_a_claim_that_gets_no_volume_by_a_pod_does(
    lost: RestoreWorld, mode: str, status: Object
) -> None:
    lost.storage_class(volumeBindingMode=mode)
    await given_up_before_its_volume_was_made(lost, status=status)
    lost.declare_restore("again", recoverySet=RECOVERY_SET, overwrite="demo")

    await lost.play("again", until=lambda: lost.told("again")[0] == "PreflightFailed")

    assert "Volume claim data-demo-mariadb-0 has no volume" in lost.told("again")[1]


async def test_a_claim_without_a_volume_needs_not_be_emptied(lost: RestoreWorld) -> None:
    metadata = {"name": "data-demo-mariadb-1", "namespace": "ns"}
    spec = {"storageClassName": "fast"}
    lost.storage_class()
    lost.store({"kind": "PersistentVolumeClaim", "metadata": metadata, "spec": spec,
                "status": {"phase": "Pending"}})  # fmt: skip
    lost.declare_restore(recoverySet=RECOVERY_SET)

    await lost.play()

    assert lost.told()[0] == "Restored", lost.told()
    assert "back-member-1" not in lost.jobs_made()


async def test_a_cloud_that_was_just_made_and_is_not_seen_yet_is_none_that_is_gone(
    lost: RestoreWorld,
) -> None:
    """It would start with an empty database."""
    lost.declare_restore(recoverySet=RECOVERY_SET)
    await lost.play(until=lambda: bool(lost.api.get("cloudcontrollers", "ns", "demo")))
    made = lost.api.get("cloudcontrollers", "ns", "demo") or {}
    lost.cluster.cache.remove(made)
    lost.delete_restore()

    await lost.reconcile()

    assert lost.stopped() is Stopped.DATABASE
    lost.restart()
    await lost.reconcile()
    lost.collect()
    assert not lost.exists()
    assert lost.stopped() is Stopped.DATABASE


def with_resources(patch: pytest.MonkeyPatch, *resources: Object) -> None:
    """Have the set hold resources, and no Secrets."""

    async def read_part(_: str, __: str, found: ManifestPart) -> bytes:
        return json.dumps(resources).encode() if found.name == "resources" else archive()

    patch.setattr(client, "read_part", read_part)


CONTROLLER = resource("CloudController", "demo")
POOL = resource("ComputePool", "compute", controller="demo", nodeSelector={"a": "b"})


@pytest.mark.parametrize(
    ("resources", "says"),
    [
        ([resource("CloudController", "demo", release="2099.1")], "spec.release"),
        ([CONTROLLER, resource("BackupPolicy", "weekly", controller="demo")], "weekly"),
    ],
)
async def test_what_this_version_cannot_make_is_missing_before_anything_is_made(
    lost: RestoreWorld, monkeypatch: pytest.MonkeyPatch, resources: Any, says: str
) -> None:
    with_resources(monkeypatch, *resources)
    lost.declare_restore(recoverySet=RECOVERY_SET)

    await lost.play(until=lambda: lost.told()[0] == "PreflightFailed")

    assert "is none that this version of the operator knows: " in lost.told()[1]
    assert says in lost.told()[1]
    assert not lost.api.get("configmaps", "ns", "demo-state")
    # What helps is the user's own resource, which stays.
    policy = resource("BackupPolicy", "weekly", **POLICY)
    applied = copy.deepcopy(policy if len(resources) > 1 else CONTROLLER)
    applied["metadata"] |= {"namespace": "ns", "uid": "own"}
    lost.store(applied)
    lost.declare_restore(recoverySet=RECOVERY_SET, overwrite="demo", safetyBackup="Never")
    await lost.play()
    assert lost.told()[0] == "Restored", lost.told()


async def test_a_policy_of_another_namespace_does_not_share_its_sets(
    lost: RestoreWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where a cloud is restored beside itself, to try that."""
    nightly = resource("BackupPolicy", "nightly", **POLICY)
    with_resources(monkeypatch, CONTROLLER, nightly)
    lost.store(nightly)
    lost.declare_restore(recoverySet=RECOVERY_SET)

    await lost.play(until=lambda: lost.told()[0] == "PreflightFailed")

    assert "BackupPolicy nightly of namespace elsewhere writes the same repo" in lost.told()[1]
    assert not lost.api.get("configmaps", "ns", "demo-state")
    other = {**POLICY, "repository": {"s3": {**S3, "prefix": "try"}}}
    own = resource("BackupPolicy", "nightly", **other)
    own["metadata"] |= {"namespace": "ns", "uid": "own"}
    lost.store(own)
    await lost.play()
    assert lost.told()[0] == "Restored", lost.told()
    assert (lost.api.get("backuppolicies", "ns", "nightly") or {})["spec"] == other


async def test_a_dry_run_names_what_exists_and_stays(lost: RestoreWorld) -> None:
    own = copy.deepcopy(POOL)
    own["metadata"] |= {"namespace": "ns", "uid": "own"}
    lost.store(own)
    lost.declare_restore(recoverySet=RECOVERY_SET, dryRun=True)

    await lost.play(until=lambda: lost.told()[0] == "DryRunCompleted")

    assert "make: CloudController demo: as the recovery set has" in lost.told()[1]
    assert "What exists here stays as it is: ComputePool compute." in lost.told()[1]


@pytest.mark.parametrize("kind", ["ComputePool", "CloudController"])
async def test_what_is_about_to_go_is_made_anew(lost: RestoreWorld, kind: str) -> None:
    """It would be taken for what is there, and be missing afterwards."""
    own = copy.deepcopy(POOL if kind == "ComputePool" else CONTROLLER)
    own["metadata"] |= {"namespace": "ns", "uid": "own", "finalizers": ["held"]}
    lost.store(own)
    lost.leave(kind, own["metadata"]["name"])
    lost.declare_restore(recoverySet=RECOVERY_SET, overwrite="demo")
    for _ in range(8):
        await lost.reconcile()
        await lost.follow()
    assert lost.told()[0] == "RestoreRunning"
    assert "go" in lost.told()[1]

    plural = KINDS[kind].plural
    lost.remove(kind, own["metadata"]["name"])
    await lost.play()

    assert lost.told()[0] == "Restored", lost.told()
    made = lost.api.get(plural, "ns", own["metadata"]["name"]) or {}
    assert made["metadata"]["uid"] != "own"


def test_only_what_a_user_gave_a_resource_is_made_again() -> None:
    """An owner that is gone would have it collected, a finalizer of others would hold it."""
    given = {"name": "demo", "labels": {"a": "b"}, "annotations": {"c": "d"}}
    foreign = {"ownerReferences": [{"uid": "u"}], "finalizers": ["x"], "deletionTimestamp": "t"}
    controller = {**CONTROLLER, "metadata": {**given, **foreign}}
    secret = {**CONTROLLER, "kind": "Secret", "spec": {"controller": "demo"}}

    found = read_former(json.dumps([controller, secret]).encode(), "demo", "ns")

    assert found is not None
    assert found.controller["metadata"] == {**given, "namespace": "ns"}
    assert found.others == ()


async def test_a_part_that_is_too_large_or_none_is_named(
    lost: RestoreWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    large = replace(part("resources"), bytes=2**25)
    assert isinstance(lost.answer, Manifest)
    whole = lost.answer
    lost.answer = replace(whole, parts=(PART, large, part("secrets")))
    lost.declare_restore(recoverySet=RECOVERY_SET)
    await lost.play(until=lambda: "bytes" in lost.told()[1])
    assert "Part resources of the set has 33554432 bytes" in lost.told()[1]

    async def read_part(_: str, __: str, found: ManifestPart) -> bytes:
        return json.dumps(RESOURCES).encode() if found.name == "resources" else b"no archive"

    lost.answer = whole
    monkeypatch.setattr(client, "read_part", read_part)
    await lost.play(until=lambda: "Secrets" in lost.told()[1])
    assert "The Secrets of the set cannot be read" in lost.told()[1]
    assert not lost.api.get("cloudcontrollers", "ns", "demo")


async def test_an_operator_that_is_lost_as_it_gives_up_leaves_the_same_message(
    lost: RestoreWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    lost.failing.append("back-member-0")
    lost.declare_restore(recoverySet=RECOVERY_SET)
    answer = lost.api.answer

    def answer_before_the_end(request: Request) -> Any:
        record = lost.record()
        if request.path.endswith("restores/back/status") and record is not None and record.ended:
            monkeypatch.setattr(lost.api, "answer", answer)
            return Answer(503, b'{"kind": "Status", "message": "injected"}')
        return answer(request)

    monkeypatch.setattr(lost.api, "answer", answer_before_the_end)
    lost.tolerated = (NotReady, Unavailable)
    await lost.play(after=lost.restart)

    assert lost.told()[0] == "RestoreFailed"
    assert "The cloud that it made has no data, and its database rests." in lost.told()[1]


async def test_what_a_restores_own_secrets_hold_is_in_no_status(lost: RestoreWorld) -> None:
    lost.secret("s3", accessKeyId="AKEXAMPLE-1", secretAccessKey="hidden-from-all")
    lost.answer = ReaderProblem(
        reason="RepositoryUnavailable", message="AKEXAMPLE-1:hidden-from-all is refused"
    )
    lost.declare_restore(recoverySet=RECOVERY_SET)
    await lost.play(until=lambda: "refused" in lost.told()[1])

    assert lost.told()[1] == "Preflight: RepositoryUnavailable: ***:*** is refused"


@pytest.mark.parametrize("plural", ["computepools", "cloudcontrollers"])
async def test_what_may_not_be_made_is_said_and_made_once_it_may(
    lost: RestoreWorld, monkeypatch: pytest.MonkeyPatch, plural: str
) -> None:
    """As by a quota or a policy of the cluster's."""
    answer = lost.api.answer

    def refuse(request: Request) -> Any:
        if request.method == "POST" and request.path.endswith(f"/{plural}"):
            return Answer(403, b'{"kind": "Status", "message": "exceeded quota: small"}')
        return answer(request)

    monkeypatch.setattr(lost.api, "answer", refuse)
    lost.tolerated = (NotReady, Forbidden)
    lost.declare_restore(recoverySet=RECOVERY_SET)
    await lost.play(until=lambda: lost.told(kind="Reconciled")[0] == "ApplyFailed")
    assert "exceeded quota: small" in lost.told(kind="Reconciled")[1]
    assert not lost.api.get("cloudcontrollers", "ns", "demo")
    monkeypatch.setattr(lost.api, "answer", answer)

    await lost.play()

    assert lost.told()[0] == "Restored", lost.told()
    assert lost.told(kind="Reconciled")[0] == "Applied"
