"""A changed field of a pool replaces the pods that docs/rollouts.md names, node by node."""

import json
from collections.abc import Iterator
from datetime import datetime
from itertools import pairwise
from typing import Any

import pytest

from lab.guest import Guest
from lab.install import Site
from lab.kubectl import Kubectl, Object, condition_of, holds
from stackroles.codegen.rollouts import rolled_by
from tests.support.cloud import Cloud
from tests.support.guests import answers_as_itself

# openstacksdk warns of deprecated calls that its own code makes.
pytestmark = pytest.mark.filterwarnings("ignore::PendingDeprecationWarning")

POOL = "compute"
AGENTS = f"app.kubernetes.io/instance={POOL},stackroles.io/owner-kind=ComputePool"
ROLE = "app.kubernetes.io/name"
SWITCH = "openvswitch"
ROLL_SECONDS = 300


def settled(kubectl: Kubectl) -> None:
    """Wait until the pool is Ready of its newest generation and every pod of it is current."""

    def check() -> tuple[bool, str]:
        found = kubectl.get("computepool", POOL) or {}
        sets = kubectl.items("daemonsets", AGENTS)
        late = [item["metadata"]["name"] for item in sets if not rolled(item)]
        ready, state = holds(found, "Ready")
        return ready and not late, f"{state}; not rolled: {late}"

    kubectl.wait(f"the end of rolls of pool {POOL}", check, seconds=ROLL_SECONDS)


def rolled(daemon_set: Object) -> bool:
    """Return whether all pods of a DaemonSet are ready and of its template, but for libvirt's."""
    status, wanted = daemon_set["status"], daemon_set["status"]["desiredNumberScheduled"]
    seen = status.get("observedGeneration", 0) >= daemon_set["metadata"]["generation"]
    updated = status.get("updatedNumberScheduled", 0) == wanted
    current = updated or daemon_set["metadata"]["labels"][ROLE] == "libvirt"
    return bool(seen and current and status.get("numberReady", 0) == wanted)


def pods(kubectl: Kubectl) -> dict[str, dict[str, Object]]:
    """Return the pods of the pool's agents: role -> node -> pod."""
    found: dict[str, dict[str, Object]] = {}
    for pod in kubectl.items("pods", AGENTS):
        if not pod["metadata"].get("deletionTimestamp") and ROLE in pod["metadata"]["labels"]:
            role = pod["metadata"]["labels"][ROLE]
            found.setdefault(role, {})[pod["spec"].get("nodeName", "")] = pod
    return {role: nodes for role, nodes in found.items() if role != "step"}


def replaced(before: dict[str, dict[str, Object]], after: dict[str, dict[str, Object]]) -> set[str]:
    """Return the roles of which a pod is another one."""

    def uids(nodes: dict[str, Object]) -> dict[str, str]:
        return {node: pod["metadata"]["uid"] for node, pod in nodes.items()}

    return {role for role, nodes in after.items() if uids(nodes) != uids(before.get(role, {}))}


def patch(kubectl: Kubectl, spec: dict[str, Any]) -> None:
    kubectl.run(
        "patch", "computepool", POOL, "--type=merge", f"--patch={json.dumps({'spec': spec})}"
    )


@pytest.fixture
def restored(cloud: Cloud) -> Iterator[None]:
    """Leave the pool with the spec it had."""
    settled(cloud.kubectl)
    before = (cloud.kubectl.get("computepool", POOL) or {})["spec"]
    yield
    path = [{"op": "replace", "path": "/spec", "value": before}]
    cloud.kubectl.run("patch", "computepool", POOL, "--type=json", f"--patch={json.dumps(path)}")
    settled(cloud.kubectl)


@pytest.mark.usefixtures("restored")
@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("buildFailureThreshold",), 5),
        (("config", "nova-compute", "DEFAULT", "reserved_host_cpus"), 0),
        (("roles", "node-agent", "resources", "requests"), {"cpu": "21m"}),
    ],
    ids=lambda value: ".".join(value) if isinstance(value, tuple) else "",
)
def test_a_field_replaces_the_pods_that_the_table_names(
    kubectl: Kubectl, path: tuple[str, ...], value: Any
) -> None:
    before = pods(kubectl)
    spec: dict[str, Any] = {path[-1]: value}
    for name in reversed(path[:-1]):
        spec = {name: spec}
    patch(kubectl, spec)
    settled(kubectl)
    assert replaced(before, pods(kubectl)) == set(rolled_by("ComputePool", path, value))


@pytest.mark.usefixtures("restored")
def test_the_data_plane_is_replaced_node_by_node_and_guests_are_reached_again(
    site: Site, kubectl: Kubectl, booted: Guest
) -> None:
    before = pods(kubectl)
    assert len(before[SWITCH]) > 1
    patch(kubectl, {"roles": {SWITCH: {"resources": {"requests": {"cpu": "51m"}}}}})
    settled(kubectl)
    after = pods(kubectl)
    assert replaced(before, after) == {SWITCH}
    turns = sorted(after[SWITCH].values(), key=lambda pod: pod["metadata"]["creationTimestamp"])
    for earlier, later in pairwise(turns):
        made = datetime.fromisoformat(later["metadata"]["creationTimestamp"])
        served = datetime.fromisoformat(condition_of(earlier, "Ready")["lastTransitionTime"])
        assert made >= served, "a node was replaced before the one before it served"
    answers_as_itself(site, booted)
