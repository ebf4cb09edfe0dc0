"""A restore comes to its end although all that carries it out is killed in each of its phases."""

import time
from collections.abc import Iterator

import pytest

from lab import install
from lab.install import RELEASE, Site
from lab.kubectl import Kubectl, Object, holds
from stackroles.constants import LABEL_OWNER_KIND, LABEL_OWNER_NAME
from tests.support.client import Client
from tests.support.cloud import Cloud, summary, wait_gone
from tests.support.measurements import Measurements
from tests.support.resources import resource
from tests.support.restores import check_rows, phase_seconds

WRITES_SECONDS = 60
RESTORE_SECONDS = 2400
READY_SECONDS = 600
GONE_SECONDS = 120
NAME = "e2e-interrupted"
OWNED = f"{LABEL_OWNER_KIND}=Restore,{LABEL_OWNER_NAME}={NAME}"
# What reads the set, and what puts the copy in its place.
WORKERS = (f"{NAME}-reader", f"{NAME}-member")
PERIOD = 0.3
# A phase that takes longer is seen while it is under way.
SEEN_SECONDS = 3
# In these the work is that of a Job's pod: who is killed is that pod, too.
BY_JOBS = {"Preflight", "Data"}


@pytest.fixture
def backup(site: Site, cloud: Cloud, client: Client) -> Iterator[Object]:
    """A recovery set of a cloud with rows; more of them come after it."""
    cloud.wait_ready()
    client.wait_acknowledged(time.time(), seconds=WRITES_SECONDS)
    name = f"{NAME}-{int(time.time())}"
    yield install.backup(site, name, lambda _: None)
    site.cloud.run("delete", "backup", name, "--ignore-not-found", "--wait=false")
    site.cloud.run("delete", "backup", "-l", OWNED, "--ignore-not-found", "--wait=false")


class Killer:
    """Kills the operator, and the pods at work for a Restore, once in each phase.

    Attributes:
        phases: in which the operator was killed.
        workers: pods of Jobs that were killed, by the phase.
    """

    def __init__(self, site: Site) -> None:
        self._site = site
        self.phases: list[str] = []
        self.workers: dict[str, list[str]] = {}

    def look(self) -> tuple[bool, str]:
        """Kill what the phase of now has at work; return whether the Restore has ended."""
        found = self._site.cloud.get("restore", NAME) or {}
        status = found.get("status", {})
        if status.get("completedAt"):
            return True, ""
        phases = status.get("phases") or ()
        phase = next((p["name"] for p in phases if not p.get("completedAt")), "")
        if phase in BY_JOBS and phase not in self.workers:
            self._kill_workers(phase)
        if phase and phase not in self.phases:
            self.phases.append(phase)
            kill = ("--grace-period=0", "--force", "--wait=false")
            labels = f"app.kubernetes.io/instance={RELEASE}"
            self._site.system.run("delete", "pods", "-l", labels, *kill)
        return False, f"{summary(found)}; killed in {', '.join(self.phases)}"

    def _kill_workers(self, phase: str) -> None:
        """Kill a pod of the Restore's Jobs that runs, if there is one."""
        running = [
            pod["metadata"]["name"]
            for pod in self._site.cloud.items("pods")
            if pod["metadata"]["name"].startswith(WORKERS)
            and pod.get("status", {}).get("phase") == "Running"
        ]
        if running:
            self.workers[phase] = running
            self._site.cloud.run("delete", "pods", *running, "--grace-period=0", "--force")


def test_a_restore_that_is_interrupted_in_each_phase_comes_to_its_end(  # noqa: PLR0917 - fixtures
    site: Site,
    kubectl: Kubectl,
    cloud: Cloud,
    client: Client,
    backup: Object,
    measurements: Measurements,
) -> None:
    client.wait_acknowledged(time.time(), seconds=WRITES_SECONDS)
    spec = {"backup": backup["metadata"]["name"], "overwrite": cloud.name}
    kubectl.run("delete", "restore", NAME, "--ignore-not-found")
    killer = Killer(site)

    kubectl.apply(resource("Restore", NAME, spec))
    kubectl.wait("the restore", killer.look, seconds=RESTORE_SECONDS, period=PERIOD)

    found = kubectl.get("restore", NAME) or {}
    assert holds(found, "Complete")[0], summary(found)
    long = {name for name, seconds in phase_seconds(found).items() if seconds > SEEN_SECONDS}
    assert {f"{name}_seconds" for name in killer.phases} >= long
    assert killer.workers.keys() == BY_JOBS
    install.wait_operator(site, lambda _: None)
    restored = time.time()
    cloud.wait_ready(READY_SECONDS)
    check_rows(cloud, client, backup, found)
    client.wait_acknowledged(restored, seconds=WRITES_SECONDS)
    measurements.record(
        "restore, interrupted in each phase",
        seconds=found["status"]["recoverySeconds"],
        **phase_seconds(found),
    )
    kubectl.run("delete", "restore", NAME)
    wait_gone(kubectl, "restore", NAME, GONE_SECONDS)
