"""The shipper on a small API server: its pod, its report, and the Backup that is made for it."""

import copy
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from stackroles.agents.backup.protocol import from_environment
from stackroles.agents.binlog.protocol import (
    PORT,
    Coverage,
    ShipperReport,
    ShipperSettings,
    ShippingState,
)
from stackroles.domains.backup import reconcile_shipper
from stackroles.domains.backup.build_shipper import build_shipper
from stackroles.workloads.restoring import RestoreRecord
from tests.support.backup_world import BUCKET, World, backup_world

Object = dict[str, Any]
NAME = "nightly-binlog-shipper"


class Shippers:
    """What shippers answer, by the address that is asked."""

    def __init__(self) -> None:
        self.report: ShipperReport | None = ShipperReport(state=ShippingState.STARTING)
        self.asked: list[str] = []

    async def answer(
        self, kind: type[ShipperReport], urls: dict[str, str]
    ) -> dict[str, ShipperReport | None]:
        assert kind is ShipperReport
        self.asked += urls.values()
        return dict.fromkeys(urls, self.report)


@pytest.fixture
def shippers(monkeypatch: pytest.MonkeyPatch) -> Shippers:
    made = Shippers()
    monkeypatch.setattr(reconcile_shipper, "get_messages", made.answer)
    return made


@pytest.fixture
async def world(shippers: Shippers) -> AsyncIterator[World]:
    async with backup_world() as made:
        made.declare(pointInTime={})
        await made.settle()
        yield made


def deployment(world: World, name: str = NAME) -> Object:
    found = world.api.get("deployments", "ns", name)
    assert found is not None
    return found


def pod(world: World, *, ready: bool = True) -> None:
    """Let the Deployment's controller and the kubelet report the shipper's pod."""
    template = copy.deepcopy(deployment(world)["spec"]["template"]["metadata"])
    metadata = {"name": f"{NAME}-x", "namespace": "ns", **template}
    conditions = [{"type": "Ready", "status": str(ready)}]
    status = {"phase": "Running", "podIP": "10.0.1.9", "conditions": conditions}
    world.store({"kind": "Pod", "metadata": metadata, "status": status})


async def ask(world: World, times: int = 1) -> None:
    """Let the operator ask the shipper, and look at what it says."""
    for _ in range(times):
        await world.settle()
        await world.polls.tick()
    await world.settle()


def covering(world: World, history: str = "u", **changed: Any) -> ShipperReport:
    """Return the report of a shipper that has stored the last five hours."""
    until = world.clock.now()
    since = until - timedelta(hours=5)
    coverage = Coverage(
        history=history, first=1, last=50, since=since.timestamp(), until=until.timestamp()
    )
    report = ShipperReport(
        state=ShippingState.SHIPPING, member="m-2", coverage=coverage, lag=2.0, bytes=7, pieces=3
    )
    return replace(report, **changed)


async def with_set(world: World, name: str = "one") -> None:
    """Give the policy a verified set of the history `u`."""
    world.apply(name)
    await world.run(name)
    await world.verify(name)
    found = copy.deepcopy(world.api.get("backups", "ns", name)) or {}
    found["status"]["position"] = "u:70"
    world.store(found)


def policy_status(world: World) -> Object:
    found = world.cluster.get("BackupPolicy", "ns", "nightly")
    return dict((found or {})["status"])


async def test_nothing_is_shipped_unless_the_policy_asks_for_it() -> None:
    async with backup_world() as world:
        assert world.api.get("deployments", "ns", NAME) is None
        types = {c["type"] for c in policy_status(world)["conditions"]}
        assert "PointInTimeReady" not in types
        assert "pointInTime" not in policy_status(world)


async def test_the_shipper_is_a_single_pod_that_can_do_little(world: World) -> None:
    spec = deployment(world)["spec"]
    pod_spec = spec["template"]["spec"]
    [main] = pod_spec["containers"]

    assert (spec["replicas"], spec["strategy"]) == (1, {"type": "Recreate"})
    assert spec["selector"]["matchLabels"].items() <= spec["template"]["metadata"]["labels"].items()
    assert pod_spec["restartPolicy"] == "Always"
    assert pod_spec["automountServiceAccountToken"] is False
    assert main["command"][-1] == "stackroles.agents.binlog.shipper"
    assert main["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    assert main["securityContext"]["readOnlyRootFilesystem"] is True
    assert main["securityContext"]["runAsNonRoot"] is True
    [claim] = [v for v in pod_spec["volumes"] if "persistentVolumeClaim" in v]
    assert claim["persistentVolumeClaim"]["claimName"] == "nightly-repository"
    # Of the database's Secret only the token, and no other Secret but the repository's key.
    secrets = {v["secret"]["secretName"]: v["secret"]["items"] for v in pod_spec["volumes"]
               if "secret" in v}  # fmt: skip
    assert secrets == {
        "key": [{"key": "password", "path": "password"}],
        "demo-mariadb-credentials-in-use": [{"key": "backup-token", "path": "backup-token"}],
    }


async def test_the_shipper_gets_what_it_needs_by_its_environment(world: World) -> None:
    world.declare(pointInTime={"intervalSeconds": 30})
    await world.settle()

    [main] = deployment(world)["spec"]["template"]["spec"]["containers"]
    variables = {env["name"]: env.get("value", "") for env in main["env"]}
    settings = from_environment(ShipperSettings, variables)

    assert (settings.cloud, settings.policy, settings.interval) == ("demo", "nightly", 30)
    assert settings.members.split(",") == [
        f"http://demo-mariadb-{number}.demo-mariadb.ns.svc:9300" for number in (2, 1, 0)
    ]
    mounts = {mount["mountPath"] for mount in main["volumeMounts"]}
    assert settings.token_file.rpartition("/")[0] in mounts
    assert variables["RESTIC_REPOSITORY"] == "/repository"


async def test_the_pod_finds_its_program_and_all_that_it_imports(world: World) -> None:
    volumes = deployment(world)["spec"]["template"]["spec"]["volumes"]
    [agents] = [v["configMap"] for v in volumes if v["name"] == "agents"]
    held = (world.api.get("configmaps", "ns", agents["name"]) or {})["data"]

    shown = {item["path"] for item in agents["items"]}
    assert {"binlog/shipper.py", "binlog/protocol.py", "backup/repository.py"} <= shown
    assert {item["key"] for item in agents["items"]} == held.keys()


async def test_only_the_operator_reaches_the_shipper(world: World) -> None:
    found = world.api.get("networkpolicies", "ns", NAME) or {}
    spec, labels = found["spec"], deployment(world)["spec"]["template"]["metadata"]["labels"]

    assert spec["podSelector"]["matchLabels"].items() <= labels.items()
    assert spec["policyTypes"] == ["Ingress"]
    assert spec["ingress"] == [
        {
            "ports": [{"port": PORT, "protocol": "TCP"}],
            "from": [
                {
                    "namespaceSelector": {},
                    "podSelector": {"matchLabels": {"app.kubernetes.io/name": "stackroles"}},
                }
            ],
        }
    ]
    # What lets it reach the members' agents: they admit the cloud's pods.
    assert labels["app.kubernetes.io/part-of"] == "demo"


async def test_pods_of_a_repository_on_a_volume_prefer_one_node(world: World) -> None:
    world.apply("one")
    await world.run("one")
    job = world.api.get("jobs", "ns", "one-run") or {}
    template = deployment(world)["spec"]["template"]

    for one, other in ((job["spec"]["template"], template), (template, job["spec"]["template"])):
        affinity = one["spec"]["affinity"]["podAffinity"]
        [term] = affinity["preferredDuringSchedulingIgnoredDuringExecution"]
        wanted = term["podAffinityTerm"]["labelSelector"]["matchLabels"]
        assert wanted.items() <= other["metadata"]["labels"].items()


async def test_another_key_of_the_bucket_makes_the_pod_anew(world: World) -> None:
    world.secret("s3", accessKeyId="a", secretAccessKey="b")
    world.secret("s3-ca", **{"ca.crt": "c"})
    world.declare("weekly", pointInTime={}, repository=BUCKET)
    await world.settle("weekly")
    before = copy.deepcopy(deployment(world, "weekly-binlog-shipper")["spec"]["template"])
    assert "affinity" not in before["spec"]

    world.secret("s3", accessKeyId="a", secretAccessKey="other")
    world.wait(minutes=1)
    await world.settle("weekly")

    after = deployment(world, "weekly-binlog-shipper")["spec"]["template"]
    assert after["metadata"]["annotations"] != before["metadata"]["annotations"]
    assert after["spec"] == before["spec"]


async def test_a_settled_pass_writes_nothing(world: World, shippers: Shippers) -> None:
    await with_set(world)
    pod(world)
    shippers.report = covering(world)
    await ask(world, 2)
    before = world.api.writes()

    await ask(world)

    assert world.api.writes() == before


async def test_the_report_is_in_the_status_with_the_recoverable_window(
    world: World, shippers: Shippers
) -> None:
    await with_set(world)
    assert world.policy("PointInTimeReady")[0] == "ShipperMissing"
    pod(world)
    world.wait(minutes=10)
    shippers.report = covering(world)

    await ask(world)

    assert shippers.asked == ["http://10.0.1.9:9306/report"]
    status = policy_status(world)
    assert status["pointInTime"]["state"] == "Shipping"
    assert status["pointInTime"]["member"] == "m-2"
    assert (status["pointInTime"]["first"], status["pointInTime"]["last"]) == (1, 50)
    completed = world.status("one")["completedAt"]
    assert status["recoverable"] == {
        "since": completed, "until": status["pointInTime"]["until"]
    }  # fmt: skip
    assert world.policy("PointInTimeReady")[0] == "WindowOpen"
    assert world.policy("Ready")[0] == "AsDesired"


async def test_a_shipper_whose_answers_end_is_missing_and_the_window_stays(
    world: World, shippers: Shippers
) -> None:
    await with_set(world)
    pod(world)
    shippers.report = covering(world)
    await ask(world)
    window = policy_status(world)["recoverable"]

    shippers.report = None
    world.wait(minutes=2)
    await ask(world)

    reason, message = world.policy("PointInTimeReady")
    assert reason == "ShipperMissing"
    assert f"{NAME}-x, does not answer: no report within a second" in message
    assert policy_status(world)["recoverable"] == window


async def test_a_pod_that_is_not_ready_is_not_asked(world: World, shippers: Shippers) -> None:
    pod(world, ready=False)

    await ask(world)

    assert shippers.asked == []
    assert world.policy("PointInTimeReady")[0] == "ShipperMissing"


async def test_a_gap_makes_one_backup_at_once(world: World, shippers: Shippers) -> None:
    await with_set(world)
    pod(world)
    world.wait(minutes=10)
    message = "Transactions 51 to 60 are missing."
    begins = Coverage(history="u", first=61, last=70, since=world.clock.now().timestamp() - 60)
    shippers.report = covering(world, state=ShippingState.GAP, message=message, coverage=begins)

    await ask(world, 3)

    assert world.policy("PointInTimeReady")[0] == "Gap"
    [made] = [name for name in world.names("Backup") if name != "one"]
    assert made.startswith("nightly-gap-")
    found = world.cluster.get("Backup", "ns", made) or {}
    assert found["spec"] == {"policy": "nightly"}
    assert found["metadata"].get("ownerReferences", []) == []

    await world.run(made)
    await world.verify(made)
    await ask(world, 2)
    assert sorted(world.names("Backup")) == sorted(["one", made])


async def test_a_suspended_policy_makes_no_backup_by_itself(
    world: World, shippers: Shippers
) -> None:
    await with_set(world)
    world.declare(pointInTime={}, suspend=True)
    pod(world)
    shippers.report = covering(world, "new", state=ShippingState.GAP, message="Missing.")

    await ask(world, 2)

    assert world.names("Backup") == ["one"]
    assert "unless spec.suspend is set; apply one then" in world.policy("PointInTimeReady")[1]


async def test_a_new_history_makes_a_backup(world: World, shippers: Shippers) -> None:
    await with_set(world)
    pod(world)
    shippers.report = covering(world, history="new")

    await ask(world, 2)

    assert world.policy("PointInTimeReady")[0] == "NoSet"
    assert len(world.names("Backup")) == 2


async def test_the_shipper_rests_while_a_restore_reads(
    world: World, shippers: Shippers, monkeypatch: pytest.MonkeyPatch
) -> None:
    await with_set(world)
    pod(world)
    shippers.report = covering(world, "new", state=ShippingState.GAP)
    under_way = RestoreRecord(name="back", uid="r")

    async def restore_before(*_: Any) -> str:
        return under_way.name

    monkeypatch.setattr(reconcile_shipper, "restore_before", restore_before)
    await ask(world)

    assert deployment(world)["spec"]["replicas"] == 0
    assert world.policy("PointInTimeReady") == (
        "ShippingWaits",
        "Restore back of this cloud is under way; shipping goes on after it.",
    )
    assert world.names("Backup") == ["one"]
    monkeypatch.undo()
    await world.settle()
    assert deployment(world)["spec"]["replicas"] == 1


async def test_programs_of_a_former_version_go_with_their_last_pod(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    pod(world)
    [before] = [name for name in world.names("ConfigMap") if name.startswith(NAME)]
    monkeypatch.setattr(reconcile_shipper, "build_shipper", _with_another_program(before))

    await world.settle()
    assert {before, "another"} <= set(world.names("ConfigMap"))

    pod(world)
    await world.settle()
    world.forget_gone()
    assert before not in world.names("ConfigMap")
    assert "another" in world.names("ConfigMap")


def _with_another_program(before: str) -> Any:
    build = build_shipper

    def built(*arguments: Any, **options: Any) -> list[Object]:
        program, policy, wanted = build(*arguments, **options)
        program["metadata"]["name"] = "another"
        wanted["spec"]["template"]["metadata"]["annotations"]["stackroles.io/config-maps"] = (
            "another"
        )
        assert before != "another"
        return [program, policy, wanted]

    return built


async def test_a_policy_that_ships_no_more_has_nothing_left_of_it(
    world: World, shippers: Shippers
) -> None:
    await with_set(world)
    pod(world)
    shippers.report = covering(world)
    await ask(world)

    world.declare()
    await ask(world)

    assert world.api.get("deployments", "ns", NAME) is None
    assert world.api.get("networkpolicies", "ns", NAME) is None
    assert [n for n in world.names("ConfigMap") if n.startswith(NAME)] == []
    assert world.polls.calls.keys() == set()
    status = policy_status(world)
    assert not {"pointInTime", "recoverable"} & status.keys()
    assert "PointInTimeReady" not in {c["type"] for c in status["conditions"]}
    assert "Deployment" not in {child["kind"] for child in status["children"]}
