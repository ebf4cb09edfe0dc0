"""Backups into one repository take turns, and a run that broke off stops no other."""

import time
from collections.abc import Iterator

import pytest

from lab import install
from lab.kubectl import Kubectl, condition_of
from tests.support.cloud import Cloud, wait_reason, wait_until

BACKUP_SECONDS = 240
REPORTED_SECONDS = 60


@pytest.fixture
def names(kubectl: Kubectl, cloud: Cloud) -> Iterator[list[str]]:
    """Names for Backups of a test, removed after it."""
    cloud.wait_ready()
    made = [f"e2e-{word}-{int(time.time())}" for word in ("broken", "next", "last")]
    yield made
    kubectl.run("delete", "backups", *made, "--ignore-not-found", "--wait=false")


def wait_copying(kubectl: Kubectl, backup: str) -> None:
    """Wait until a run is in the middle of its copy, with the repository locked."""

    def check() -> tuple[bool, str]:
        pods = kubectl.items("pods", f"app.kubernetes.io/instance={backup}")
        if not pods or pods[0]["status"]["phase"] != "Running":
            return False, f"{len(pods)} pods, none of which runs yet"
        output = kubectl.run("logs", pods[0]["metadata"]["name"], "-c", "backup")
        return '"part": "database"' in output, output

    kubectl.wait(f"the copy of {backup}", check, seconds=REPORTED_SECONDS)


def test_a_run_that_broke_off_stops_no_other_and_others_take_turns(
    kubectl: Kubectl, names: list[str]
) -> None:
    broken, *others = names
    kubectl.apply(install.named_backup(broken))
    wait_copying(kubectl, broken)
    kubectl.run("delete", "job", f"{broken}-run", "--wait=false")
    kubectl.apply(*(install.named_backup(name) for name in others))

    condition = wait_reason(
        kubectl, "backup", broken, "Complete", "BackupFailed", seconds=REPORTED_SECONDS
    )  # fmt: skip
    assert "Job was deleted" in condition["message"]
    wait_until(
        kubectl, "one to run and the other to wait", lambda: reasons(kubectl, others),
        wanted=["BackupRunning", "WaitingForTurn"], seconds=REPORTED_SECONDS,
    )  # fmt: skip
    ended = [
        kubectl.wait_condition("backup", name, "Complete", seconds=BACKUP_SECONDS)["status"]
        for name in others
    ]
    first, second = sorted(ended, key=lambda status: status["startedAt"])
    assert first["verified"] is second["verified"] is True
    assert first["completedAt"] <= second["startedAt"]
    selector = f"app.kubernetes.io/instance in ({','.join(names)})"
    wait_until(
        kubectl, "the end of the runs' inputs", lambda: kubectl.items("configmaps", selector),
        wanted=[], seconds=REPORTED_SECONDS,
    )  # fmt: skip


def reasons(kubectl: Kubectl, backups: list[str]) -> list[str]:
    """Return why Backups are as far as they are, sorted."""
    found = [kubectl.get("backup", name) or {} for name in backups]
    return sorted(condition_of(backup, "Complete").get("reason", "") for backup in found)
