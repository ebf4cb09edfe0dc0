"""A settled cloud is left alone; what it all needs.

The ten minutes of the long form are in long/.
"""

import json
import re

from lab.install import SYSTEM, Site
from lab.kubectl import Kubectl
from tests.support.cloud import Cloud
from tests.support.idle import Watcher
from tests.support.measurements import Measurements

WINDOW = 60.0
FIGURES_SECONDS = 90
MEBIBYTE = 2**20


def test_the_lease_is_the_only_thing_an_idle_operator_writes(watcher: Watcher) -> None:
    watcher.check_idle(WINDOW)


def test_memory_is_measured(
    site: Site, system: Kubectl, cloud: Cloud, watcher: Watcher, measurements: Measurements
) -> None:
    expected = {pod["metadata"]["name"] for pod in watcher.operators()}
    used: dict[tuple[str, str], int] = {}

    def check() -> tuple[bool, str]:
        # a node measures its pods every few seconds: one that just started has no figure yet
        used.clear()
        for node in site.cluster.nodes:
            used.update(working_sets(system, node))
        lacking = [name for name in expected if not used.get((SYSTEM, name))]
        return not lacking, f"no figure of {', '.join(lacking)}"

    system.wait("the memory of the operator's pods", check, seconds=FIGURES_SECONDS)
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
