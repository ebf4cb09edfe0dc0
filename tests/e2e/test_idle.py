"""A settled cloud is left alone, also by an operator that has just started; what it all needs.

`STACKROLES_IDLE_SECONDS` is how long it is watched: 120 unless told, 600 for the docs.
"""

import json
import os
import re
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

import pytest

from lab.install import RELEASE, SYSTEM, Site
from lab.kubectl import Kubectl, Object, condition_of, holds
from tests.support.audit import Call, writes
from tests.support.cloud import Cloud
from tests.support.measurements import Measurements

ACCOUNT = f"system:serviceaccount:{SYSTEM}:{RELEASE}"
LEASE = "stackroles-leader"
WINDOW = float(os.environ.get("STACKROLES_IDLE_SECONDS", "120"))
QUIET = timedelta(seconds=20)
QUIET_SECONDS = 180
START_SECONDS = 120
FIGURES_SECONDS = 90
MEBIBYTE = 2**20


def of_the_operator(site: Site, since: datetime, until: datetime) -> list[Call]:
    """Return what the operator wrote within a time, without its Lease."""
    folder = site.cluster.directory / "audit"
    calls = writes(folder, ACCOUNT, since, until)
    return [call for call in calls if call.resource != "leases"]


def watch(site: Site, since: datetime) -> list[Call]:
    """Watch for the window and return what was written from a moment to its end."""
    start = datetime.now(UTC)

    def look() -> tuple[bool, str]:
        passed = (datetime.now(UTC) - start).total_seconds()
        return passed >= WINDOW, f"{passed:.0f} s"

    site.cloud.wait("the end of the window", look, seconds=WINDOW + 30)
    return of_the_operator(site, since, datetime.now(UTC))


def told(calls: Iterable[Call]) -> str:
    """Return calls as lines."""
    return "\n".join(call.line() for call in calls)


@pytest.fixture
def settled(site: Site, cloud: Cloud) -> None:
    """Nothing is under way: all is Ready and nobody has written for a while."""
    cloud.wait_ready()

    def look() -> tuple[bool, str]:
        unready = [
            f"{kind}/{item['metadata']['name']}: {holds(item, 'Ready')[1]}"
            for kind in ("cloudcontrollers", "computepools")
            for item in site.cloud.items(kind)
            if not holds(item, "Ready")[0]
        ]
        now = datetime.now(UTC)
        recent = of_the_operator(site, now - QUIET, now)
        return not unready and not recent, "\n".join([*unready, told(recent)])

    site.cloud.wait("a settled cloud", look, seconds=QUIET_SECONDS)


def test_the_lease_is_the_only_thing_an_idle_operator_writes(
    site: Site, settled: None, measurements: Measurements
) -> None:
    since = datetime.now(UTC)
    written = watch(site, since)
    measurements.record("idle", seconds=WINDOW, writes_but_lease=len(written))
    leases = [
        call
        for call in writes(site.cluster.directory / "audit", ACCOUNT, since, datetime.now(UTC))
        if call.resource == "leases"
    ]
    assert leases, "the audit log knows nothing of the operator: nothing was counted"
    assert not written, told(written)


def test_a_restarted_operator_writes_nothing_to_a_settled_cloud(
    site: Site, system: Kubectl, settled: None, measurements: Measurements
) -> None:
    before = {pod["metadata"]["name"] for pod in operators(system)}
    since = datetime.now(UTC)
    system.run("delete", "pod", *sorted(before))

    def look() -> tuple[bool, str]:
        found = operators(system)
        ready = [
            pod["metadata"]["name"]
            for pod in found
            if condition_of(pod, "Ready").get("status") == "True"
        ]
        lease = system.get("lease", LEASE) or {}
        holder = lease.get("spec", {}).get("holderIdentity", "")
        fresh = holder not in before and any(name in holder for name in ready)
        return len(ready) == len(before) and fresh, f"ready: {ready}, leader: {holder}"

    system.wait("a new leader", look, seconds=START_SECONDS)
    taken = (datetime.now(UTC) - since).total_seconds()
    written = watch(site, since)
    measurements.record(
        "restart of the operator",
        new_leader_seconds=taken,
        watched_seconds=WINDOW,
        writes_but_lease=len(written),
    )
    assert not written, told(written)


def operators(system: Kubectl) -> list[Object]:
    """Return the operator's pods that are not on their way out."""
    found = system.items("pods", f"app.kubernetes.io/name={RELEASE}")
    return [pod for pod in found if not pod["metadata"].get("deletionTimestamp")]


def test_memory_is_measured(
    site: Site, system: Kubectl, cloud: Cloud, measurements: Measurements
) -> None:
    expected = {pod["metadata"]["name"] for pod in operators(system)}
    used: dict[tuple[str, str], int] = {}

    def look() -> tuple[bool, str]:
        # a node measures its pods every few seconds: one that just started has no figure yet
        used.clear()
        for node in site.cluster.nodes:
            used.update(working_sets(system, node))
        lacking = [name for name in expected if not used.get((SYSTEM, name))]
        return not lacking, f"no figure of {', '.join(lacking)}"

    system.wait("the memory of the operator's pods", look, seconds=FIGURES_SECONDS)
    clouds = [size for (namespace, _), size in used.items() if namespace == cloud.kubectl.namespace]
    measurements.record(
        "memory",
        pods_of_the_cloud=len(clouds),
        cloud_mib=sum(clouds) / MEBIBYTE,
        operator_working_set_mib=max(used[SYSTEM, name] for name in expected) / MEBIBYTE,
        operator_resident_mib=max(resident_mib(system, name) for name in expected),
    )
    assert sum(clouds) > 0


def working_sets(kubectl: Kubectl, node: str) -> dict[tuple[str, str], int]:
    """Return namespace and name of a node's pods -> the memory they need, bytes."""
    path = f"/api/v1/nodes/{node}/proxy/stats/summary"
    return {
        (pod["podRef"]["namespace"], pod["podRef"]["name"]): pod["memory"]["workingSetBytes"]
        for pod in json.loads(kubectl.run("get", "--raw", path))["pods"]
        if "workingSetBytes" in pod.get("memory", {})
    }


def resident_mib(system: Kubectl, pod: str) -> float:
    """Return the resident memory of the operator's process, MiB."""
    program = "print(open('/proc/1/status').read())"
    status = system.run("exec", pod, "--", "python3", "-c", program)
    found = re.search(r"VmRSS:\s+(\d+) kB", status)
    assert found, status
    return int(found.group(1)) / 1024
