"""The commands `backup`, `restore` and `recovery-points`, against an API server."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, cast

import pytest
from kubernetes.aio.client.configuration import Configuration
from typer.testing import CliRunner, Result
from typing_extensions import override

from stackroles.api.v1alpha1.conditions import Reason
from stackroles.cli import follow, recovery_commands
from stackroles.cli.ask import Api
from stackroles.cli.main import app
from stackroles.cli.recovery_cluster import Recovery
from stackroles.cli.waits import wait_for_backup
from stackroles.kube.client import KubeClient
from tests.support.fake_api import Answer, FakeApi, Fault, Request, _Direct
from tests.support.objects import custom

Object = dict[str, Any]
TIME = "2026-11-28T03:00:05Z"
LOST = "What was written since is lost."


def status(reason: Reason, message: str, generation: int = 1, **other: Any) -> Object:
    found: Object = {"reason": reason.value, "status": reason.status, "message": message}
    found["observedGeneration"] = generation
    conditions = [{**found, "type": reason.type.value}, {**found, "type": "Ready"}]
    return {"conditions": conditions, "controller": "demo", **other}


@dataclass
class Acting(FakeApi):
    """A server with an operator, which reports anew each time that it is asked.

    Attributes:
        script: what it reports, by plural; the last one stays.
    """

    script: dict[str, list[Object]] = field(default_factory=dict)

    @override
    def answer(self, request: Request) -> Any:
        plural, _, name = request.path.partition("/namespaces/ns/")[2].partition("/")
        known = self.get(plural, "ns", name)
        left = self.script.get(plural)
        if request.method == "GET" and known and left:
            self.put({**known, "status": left.pop(0)})
        answer = super().answer(request)
        assert isinstance(answer, Answer)
        return answer


def connection(api: Acting) -> Api:
    """Return a connection that asks the server without HTTP."""
    client = KubeClient(Configuration())
    client._rest = cast("Any", _Direct(api))
    return Api(client, "ns")


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch) -> Acting:
    found = Acting()
    found.put(custom())
    found.put(custom("nightly", "BackupPolicy", controller="demo"))
    done = {"verified": True, "startedAt": TIME, "sizeBytes": 2048}
    found.put({**custom("nightly-1", "Backup", policy="nightly"), "status": done})

    @asynccontextmanager
    async def connect(*_: object) -> AsyncIterator[Api]:
        yield connection(found)

    monkeypatch.setattr(recovery_commands, "connect", connect)
    monkeypatch.setattr(follow, "_PERIOD", 0.0)
    return found


def call(*arguments: str, typed: str | None = None) -> Result:
    return CliRunner().invoke(app, [*arguments], input=typed)


def created(api: Acting) -> list[tuple[str, str]]:
    return [request for request in api.requests if request[0] in ("POST", "PATCH")]


CHECKED = status(
    Reason.RESTORE_CHECKED,
    "Nothing is missing.",
    preflight={"overwrites": [LOST]},
    phase="Preflight",
    phases=[{"name": "Preflight", "startedAt": TIME}],
)
BLOCKED = status(
    Reason.RESTORE_BLOCKED,
    "Nothing was stopped. A volume is missing.",
    preflight={"missing": ["A volume is missing."], "overwrites": [LOST]},
)
PHASES = [
    {"name": "Preflight", "startedAt": TIME, "completedAt": "2026-11-28T03:00:08Z"},
    {"name": "Pause", "startedAt": "2026-11-28T03:00:08Z"},
]
RUNNING = status(Reason.RESTORE_RUNNING, "Pause: Stopping.", phase="Pause", phases=PHASES)
RESTORED = status(
    Reason.RESTORED,
    "It serves.",
    phases=[PHASES[0], {**PHASES[1], "completedAt": "2026-11-28T03:00:10Z"}],
    recoverySeconds=123,
    recoveryPoint=TIME,
)


def test_a_backup_is_made_and_followed_until_it_is_verified(api: Acting) -> None:
    progress = {"part": "database", "bytes": 1024, "bytesPerSecond": 512}
    steps = [{"name": "database", "bytes": 2048, "seconds": 2.0}]
    api.script["backups"] = [
        {},
        status(Reason.BACKUP_RUNNING, "Copying from m.", progress=progress),
        status(Reason.BACKUP_VERIFIED, "All.", completedAt=TIME, durationSeconds=4, steps=steps),
    ]
    found = call("backup", "nightly", "--name", "mine")
    assert found.exit_code == 0, found.output
    assert found.output.splitlines() == [
        "Backup mine is made.",
        "The operator has not reported yet.",
        "Copying from m.",
        "database: 1.0 KiB, 512 B/s",
        "database: 2.0 KiB in 2.0 s",
        "Backup mine is verified in 4 s: 0 B read, 0 B added to the repository.",
    ]
    assert (api.get("backups", "ns", "mine") or {})["spec"] == {"policy": "nightly"}


def test_a_backup_that_fails_ends_with_its_message(api: Acting) -> None:
    failed = status(Reason.REPOSITORY_FULL, "No space.\nAt all.", completedAt=TIME)
    api.script["backups"] = [failed]
    found = call("backup", "nightly", "--name", "mine")
    assert found.exit_code == 1
    assert found.stderr == "error: Backup mine failed: No space. At all.\n"


def test_without_waiting_a_backup_is_only_made(api: Acting) -> None:
    found = call("backup", "nightly", "--no-wait")
    assert found.exit_code == 0, found.output
    assert found.output.startswith("Backup nightly-2")
    assert "`kubectl -n ns get backup nightly-2" in found.output


def test_a_policy_that_does_not_exist_is_one_line(api: Acting) -> None:
    found = call("backup", "daily")
    assert found.exit_code == 1
    assert found.stderr == (
        "error: BackupPolicy daily does not exist in namespace ns. There are: nightly. Name "
        "another namespace by -n.\n"
    )


@pytest.mark.parametrize(
    ("fault", "says"),
    [
        (Fault("POST", "/backups", 403), "You may not make Backup mine in namespace ns"),
        (Fault("GET", "/backuppolicies", 403), "You may not read BackupPolicy nightly"),
        (Fault("POST", "/backups", 422), "refuses Backup mine: "),
        (Fault("POST", "/backups", 404), "this cluster knows no Backup"),
        (Fault("POST", "/backups", 409), "Backup mine exists already in namespace ns"),
        (Fault("POST", "/backups", 500), "did not answer"),
    ],
)
def test_what_is_refused_is_one_line(api: Acting, fault: Fault, says: str) -> None:
    api.faults.append(fault)
    found = call("backup", "nightly", "--name", "mine")
    assert found.exit_code == 1
    assert says in found.stderr
    assert len(found.output.splitlines()) == 1


def test_an_api_server_that_is_away_for_a_while_is_waited_for(api: Acting) -> None:
    api.script["backups"] = [status(Reason.BACKUP_VERIFIED, "All.", completedAt=TIME)]
    api.faults += [Fault("GET", "/backups/mine", status) for status in (500, 500, 429)]
    found = call("backup", "nightly", "--name", "mine")
    assert found.exit_code == 0, found.output
    assert found.output.count("The API server did not answer") == 1
    assert found.output.count("The API server is busy") == 1


def test_a_right_that_is_lost_meanwhile_ends_the_wait(api: Acting) -> None:
    api.faults.append(Fault("GET", "/backups/mine", 403))
    found = call("backup", "nightly", "--name", "mine")
    assert found.exit_code == 1
    assert "You may not read Backup mine" in found.stderr


async def test_a_user_who_does_not_wait_any_longer_leaves_the_backup(
    api: Acting, capsys: pytest.CaptureFixture[str]
) -> None:
    recovery = Recovery(connection(api))
    await recovery.make_backup("mine", "nightly")
    waiting = asyncio.create_task(wait_for_backup(recovery, "mine"))
    await asyncio.sleep(0.05)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert capsys.readouterr().out.splitlines()[-1] == (
        "Backup mine goes on. `kubectl -n ns get backup mine` shows how far it is."
    )
    assert api.get("backups", "ns", "mine") is not None


def test_a_dry_run_prints_what_would_be_lost(api: Acting) -> None:
    api.script["restores"] = [{}, CHECKED]
    found = call("restore", "nightly-1", "--dry-run", "--name", "back")
    assert found.exit_code == 0, found.output
    assert found.output.splitlines() == [
        "Restore back is made, as a dry run.",
        "The operator has not reported yet.",
        "Preflight begins.",
        "A restore of nightly-1 would lose:",
        f"  - {LOST}",
        "Nothing is missing, and nothing was changed.",
        (
            "`kubectl stackroles restore nightly-1` restores it; `kubectl -n ns delete restore "
            "back` removes the dry run."
        ),
    ]
    spec = (api.get("restores", "ns", "back") or {})["spec"]
    assert spec == {"backup": "nightly-1", "dryRun": True}


def test_a_dry_run_that_misses_something_fails(api: Acting) -> None:
    api.script["restores"] = [BLOCKED]
    found = call("restore", "nightly-1", "--dry-run", "--name", "back")
    assert found.exit_code == 1
    assert found.stdout.splitlines()[1:] == [
        "Missing:",
        "  - A volume is missing.",
        "A restore of nightly-1 would lose:",
        f"  - {LOST}",
    ]
    assert found.stderr.startswith("error: Nothing was changed: something is missing.")
    assert len(found.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("nightly-1",), "--overwrite CLOUD is needed"),
        (("nightly-1", "--dry-run", "--overwrite", "demo"), "leave out --dry-run or --overwrite"),
        (("nightly-1", "--overwrite", "prod"), "is of CloudController demo, and --overwrite"),
        (("--policy", "nightly", "--overwrite", "prod"), "The newest set of policy nightly is of"),
        (("--policy", "gone", "--overwrite", "prod"), "the set's repository by --repository."),
        (("--overwrite", "demo"), "Name what is restored: a Backup, or by --policy"),
        (("nightly-9", "--overwrite", "demo"), "There are: broken, nightly-1, orphan."),
        (("broken", "--overwrite", "demo"), "no verified recovery set (No space.)"),
        (("orphan", "--overwrite", "demo"), "BackupPolicy gone, which names the repository"),
    ],
)
def test_without_what_it_needs_nothing_is_made(
    api: Acting, arguments: tuple[str, ...], says: str
) -> None:
    failed = status(Reason.BACKUP_FAILED, "No space.")
    api.put({**custom("broken", "Backup", policy="nightly"), "status": failed})
    api.put(custom("orphan", "Backup", policy="gone"))
    found = call("restore", *arguments)
    assert found.exit_code == 1
    assert says in found.stderr
    assert len(found.output.splitlines()) == 1
    assert created(api) == []


def test_with_consent_a_restore_is_followed_to_its_end(api: Acting) -> None:
    api.script["restores"] = [RUNNING, RUNNING, RESTORED]
    found = call(
        *("restore", "nightly-1", "--overwrite", "demo", "--no-safety-backup", "--name", "back")
    )
    assert found.exit_code == 0, found.output
    assert found.output.splitlines() == [
        "Restore back is made.",
        "Preflight begins.",
        "Preflight took 3 s. Pause begins.",
        "Pause took 2 s.",
        "Restored in 123 s: demo is as it was at 2026-11-28 03:00:05 UTC.",
    ]
    assert (api.get("restores", "ns", "back") or {})["spec"] == {
        "backup": "nightly-1",
        "dryRun": False,
        "overwrite": "demo",
        "safetyBackup": "Never",
    }


@pytest.mark.parametrize(
    ("ending", "says"),
    [
        (status(Reason.RESTORE_FAILED, "It broke."), "Restore back failed: It broke."),
        (BLOCKED, "does not begin: Nothing was stopped. A volume is missing. It begins by itself"),
    ],
)
def test_a_restore_that_does_not_end_well_fails(api: Acting, ending: Object, says: str) -> None:
    api.script["restores"] = [RUNNING, ending]
    found = call("restore", "nightly-1", "--overwrite", "demo", "--name", "back")
    assert found.exit_code == 1
    assert says in found.stderr
    assert len(found.stderr.splitlines()) == 1


BUCKET = ("--repository", "s3:https://s3.test:9000/backups/of/demo")
OPENED = (*BUCKET, "--credentials-secret", "s3", "--encryption-secret", "key")
MADE = status(
    Reason.RESTORE_CHECKED,
    "Nothing is missing.",
    preflight={"makes": ["CloudController demo: as the set has it."], "recoverySet": "nightly-7"},
    phase="Preflight",
    phases=[{"name": "Preflight", "startedAt": TIME}],
)


@pytest.mark.usefixtures("person")
def test_a_cloud_that_is_gone_comes_back_from_its_repository(api: Acting) -> None:
    api.remove("cloudcontrollers", "ns", "demo")
    api.remove("backuppolicies", "ns", "nightly")
    api.script["restores"] = [MADE, RUNNING, RESTORED]
    found = call("restore", "--policy", "nightly", *OPENED, "--name", "back", typed="demo\n")
    assert found.exit_code == 0, found.output
    assert "A restore of nightly-7 would make:\n  - CloudController demo: as" in found.output
    assert "type the name of the cloud, demo" in found.output
    assert "backed up first" not in found.output, "there is nothing to back up"
    assert (api.get("restores", "ns", "back") or {})["spec"] == {
        "recoverySet": {
            "policy": "nightly",
            "repository": {
                "s3": {
                    "endpoint": "https://s3.test:9000",
                    "bucket": "backups",
                    "prefix": "of/demo",
                    "credentialsSecret": "s3",
                }
            },
            "encryptionSecret": "key",
        },
        "dryRun": False,
        "overwrite": "demo",
    }


def test_a_dry_run_of_a_bare_set_names_no_command_that_takes_a_backup(api: Acting) -> None:
    api.script["restores"] = [MADE]
    found = call("restore", "--policy", "nightly", *OPENED, "--dry-run", "--name", "back")
    assert found.exit_code == 0, found.output
    assert found.output.splitlines()[-1].startswith(
        "The same command without --dry-run restores it; `kubectl -n ns delete restore back`"
    )


def test_a_set_without_a_backup_is_named_by_its_policy(api: Acting) -> None:
    api.script["restores"] = [RUNNING, RESTORED]
    found = call(
        *("restore", "--policy", "nightly", "--set", "nightly-0", "--overwrite", "demo"),
        *("--name", "back"),
    )
    assert found.exit_code == 0, found.output
    spec = (api.get("restores", "ns", "back") or {})["spec"]
    assert spec["recoverySet"] == {"policy": "nightly", "name": "nightly-0"}


def test_without_waiting_a_restore_of_an_unknown_cloud_is_only_made(api: Acting) -> None:
    found = call("restore", "--policy", "nightly", *OPENED, "--dry-run", "--no-wait")
    assert found.exit_code == 0, found.output
    assert "`kubectl -n ns get restore nightly-2" in found.output


@pytest.fixture
def person(monkeypatch: pytest.MonkeyPatch) -> None:
    """There is somebody to ask."""
    monkeypatch.setattr(recovery_commands, "can_ask", lambda: True)


@pytest.mark.usefixtures("person")
def test_a_person_consents_after_the_dry_run(api: Acting) -> None:
    # The operator has not seen the consent at first.
    api.script["restores"] = [CHECKED, CHECKED, RUNNING, RESTORED]
    found = call("restore", "nightly-1", "--name", "back", typed="demo\n")
    assert found.exit_code == 0, found.output
    lost, restored = found.output.index(LOST), found.output.index("Restored in 123 s")
    assert lost < found.output.index("type the name of the cloud, demo") < restored
    assert "What is there is backed up first, unless" in found.output
    spec = (api.get("restores", "ns", "back") or {})["spec"]
    assert spec == {"backup": "nightly-1", "dryRun": False, "overwrite": "demo"}


@pytest.mark.usefixtures("person")
@pytest.mark.parametrize("typed", ["Demo\n", "\n", "yes\n", ""])
def test_whoever_types_something_else_changes_nothing(api: Acting, typed: str) -> None:
    api.script["restores"] = [CHECKED]
    found = call("restore", "nightly-1", "--name", "back", typed=typed)
    assert found.exit_code == 1
    assert "nothing was changed. Restore back stays a dry run" in found.stderr
    assert [method for method, _ in created(api)] == ["POST"]


@pytest.mark.usefixtures("person")
def test_nobody_is_asked_where_something_is_missing(api: Acting) -> None:
    api.script["restores"] = [BLOCKED]
    found = call("restore", "nightly-1", "--name", "back", typed="demo\n")
    assert found.exit_code == 1
    assert "type the name" not in found.output
    assert [method for method, _ in created(api)] == ["POST"]


def test_recovery_points_are_a_table_or_json(api: Acting) -> None:
    table = call("recovery-points", "demo")
    assert table.exit_code == 0, table.output
    assert [line.split()[0] for line in table.output.splitlines()] == ["name", "nightly-1"]
    found = json.loads(call("recovery-points", "demo", "-o", "json").output)
    assert [point["name"] for point in found["points"]] == ["nightly-1"]


def test_restores_that_may_not_be_read_are_named(api: Acting) -> None:
    api.faults.append(Fault("GET", "/restores", 403))
    found = call("recovery-points", "demo")
    assert found.exit_code == 0
    assert found.output.splitlines()[-1].startswith("not shown: You may not read Restores")


def test_a_cloud_without_a_point_is_a_sentence(api: Acting) -> None:
    api.remove("backups", "ns", "nightly-1")
    found = call("recovery-points", "demo")
    assert found.exit_code == 0
    assert found.output == (
        "demo has no recovery point yet: `kubectl stackroles backup nightly` makes one.\n"
    )


def test_a_cloud_that_is_gone_is_said_to_come_back_from_its_repository(api: Acting) -> None:
    found = call("recovery-points", "prod")
    assert found.exit_code == 1
    assert found.stderr.startswith(
        "error: CloudController prod does not exist in namespace ns. There are: demo. Name another "
        "namespace by -n. If it is gone, "
    )
    assert "`kubectl stackroles restore --policy POLICY --repository s3:https" in found.stderr
    assert len(found.output.splitlines()) == 1
