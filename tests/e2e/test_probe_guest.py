"""What runs guests on a node is what a real guest has shown there, whatever the machine is."""

import time
from collections.abc import Iterator
from xml.etree import ElementTree as ET

import pytest
from openstack.connection import Connection

from lab.guest import Guest
from lab.kubectl import Kubectl, Object
from stackroles.constants import ANNOTATION_PROBE
from tests.support.cloud import wait_reason

# openstacksdk warns of deprecated calls that its own code makes.
pytestmark = pytest.mark.filterwarnings("ignore::PendingDeprecationWarning")

POOL = "compute"
NOVA = "42436"
PROBE_SECONDS = 400
ROLL_SECONDS = 600


def agents(kubectl: Kubectl, role: str) -> dict[str, str]:
    """Return the pods of a role of the pool by node."""
    selector = f"app.kubernetes.io/name={role},stackroles.io/owner-kind=ComputePool"
    return {
        pod["spec"]["nodeName"]: pod["metadata"]["name"]
        for pod in kubectl.items("pods", selector)
        if not pod["metadata"].get("deletionTimestamp")
    }


def status_of(kubectl: Kubectl, node: str) -> Object:
    found = kubectl.get("computenode", node) or {}
    return dict(found.get("status") or {})


def test_every_node_says_what_its_probe_guest_showed(kubectl: Kubectl, booted: Guest) -> None:
    for node, pod in agents(kubectl, "libvirt").items():
        status = status_of(kubectl, node)
        assert status["virtProven"] is True
        assert "a probe guest ran under" in status["virtReason"]
        devices = kubectl.run("exec", pod, "--", "ls", "/dev").split()
        if "kvm" not in devices:
            assert status["virtType"] == "qemu"
            assert "the node has no /dev/kvm" in status["virtReason"]
        elif status["virtType"] == "qemu":
            assert status["virtReason"].startswith("KVM: "), "why KVM does not run guests"


def test_novas_guests_run_with_exactly_that(
    kubectl: Kubectl, connection: Connection, booted: Guest
) -> None:
    name = connection.compute.get_server(booted.id).instance_name
    pod, status = agents(kubectl, "libvirt")[booted.host], status_of(kubectl, booted.host)
    text = kubectl.run("exec", pod, "--", "virsh", "dumpxml", "--inactive", name)
    domain = ET.fromstring(text)  # noqa: S314 - libvirt's own
    assert domain.get("type") == status["virtType"]
    machine, cpu = domain.find("os/type"), domain.find("cpu")
    assert machine is not None
    assert machine.get("machine", "").startswith(("pc-i440fx", status["machineType"]))
    mode = cpu.get("mode") if cpu is not None else None
    # A definition without a CPU, as nova's "none" is, gets QEMU's default model from libvirt.
    expected = (None, "custom") if status["cpuMode"] == "none" else (status["cpuMode"],)
    assert mode in expected
    script = f"stat -c %u /proc/$(cat /run/libvirt/qemu/{name}.pid)"
    assert kubectl.run("exec", pod, "--", "sh", "-c", script).strip() == NOVA


def test_a_node_shows_it_again_on_request_and_restarts_nothing(
    kubectl: Kubectl, booted: Guest
) -> None:
    pods = {role: agents(kubectl, role) for role in ("nova-compute", "libvirt")}
    before, request = status_of(kubectl, booted.host), f"e2e-{int(time.time())}"
    kubectl.run(
        "annotate", "computenode", booted.host, f"{ANNOTATION_PROBE}={request}", "--overwrite"
    )

    def check() -> tuple[bool, str]:
        status = status_of(kubectl, booted.host)
        answered = request in status.get("probeRequest", "").split("+")
        return answered, f"it answered {status.get('probeRequest')}"

    kubectl.wait("the probe guest that was asked for", check, seconds=PROBE_SECONDS)
    status = status_of(kubectl, booted.host)
    assert status["probedAt"] > before["probedAt"]
    assert status["virtProven"] is True
    assert {role: agents(kubectl, role) for role in pods} == pods


@pytest.fixture
def asks_for_kvm(kubectl: Kubectl) -> Iterator[None]:
    kubectl.run("patch", "computepool", POOL, "--type=merge", '-p={"spec":{"virtType":"kvm"}}')
    yield
    kubectl.run("patch", "computepool", POOL, "--type=merge", '-p={"spec":{"virtType":"Auto"}}')
    kubectl.wait_condition("computepool", POOL, seconds=ROLL_SECONDS)


def test_kvm_is_used_or_the_node_says_why_it_cannot_be(
    kubectl: Kubectl, connection: Connection, booted: Guest, asks_for_kvm: None
) -> None:
    """The outcome is this machine's: each of the two is a pass only with what belongs to it."""
    nodes = sorted(agents(kubectl, "libvirt"))
    shown = {node: status_of(kubectl, node)["virtType"] for node in nodes}
    for node in nodes:
        if shown[node] == "kvm":
            kubectl.wait_condition("computenode", node, seconds=ROLL_SECONDS)
            continue
        condition = wait_reason(
            kubectl, "computenode", node, "Available", "ProbeGuestFailed",
            status="False", seconds=ROLL_SECONDS, contains="KVM",
        )  # fmt: skip
        assert ANNOTATION_PROBE in condition["message"]

        def check(host: str = node) -> tuple[bool, str]:
            [found] = connection.compute.services(binary="nova-compute", host=host)
            reason = found.disabled_reason or ""
            return found.status == "disabled" and "KVM" in reason, f"{found.status}: {reason}"

        kubectl.wait("the service to be disabled", check, seconds=120)
