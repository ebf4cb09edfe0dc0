"""A host that starts no guest is closed, named with its fault, and opened once a probe guest runs.

Its QEMU is broken: in libvirt's container another program lies over the emulator.
"""

from collections.abc import Iterator

import pytest
from openstack.connection import Connection

from lab.guest import Guest, ensure_flavor
from lab.install import Site
from lab.kubectl import Kubectl, Object, condition_of
from stackroles.constants import ANNOTATION_PROBE
from tests.support.cloud import wait_reason
from tests.support.guests import answers_as_itself

# openstacksdk warns of deprecated calls that its own code makes.
pytestmark = pytest.mark.filterwarnings("ignore::PendingDeprecationWarning")

EMULATOR = "/usr/bin/qemu-system-x86_64"
LIBVIRT = "app.kubernetes.io/name=libvirt,stackroles.io/owner-kind=ComputePool"
BUILDS = 3
BUILD_SECONDS = 120
CLOSED_SECONDS = 90
PROBED_SECONDS = 120
OPEN_SECONDS = 120


@pytest.fixture
def broken(kubectl: Kubectl, booted: Guest) -> Iterator[str]:
    """The name of the host without the demo's guest, whose emulator starts nothing."""
    pods = {pod["spec"]["nodeName"]: pod for pod in kubectl.items("pods", LIBVIRT)}
    host = next(name for name in sorted(pods) if name != booted.host)
    pod = pods[host]["metadata"]["name"]
    kubectl.run("exec", pod, "--", "mount", "--bind", "/bin/false", EMULATOR)
    yield host
    mounted = kubectl.run("exec", pod, "--", "cat", "/proc/self/mounts")
    if EMULATOR in mounted:
        mend(kubectl, host)
        request_probe(kubectl, host, "left")


def mend(kubectl: Kubectl, host: str) -> None:
    """Let the host start guests again."""
    pods = {pod["spec"]["nodeName"]: pod for pod in kubectl.items("pods", LIBVIRT)}
    kubectl.run("exec", pods[host]["metadata"]["name"], "--", "umount", EMULATOR)


def request_probe(kubectl: Kubectl, host: str, value: str) -> None:
    """Ask for a probe guest, as the condition's message tells an administrator."""
    kubectl.run("annotate", "computenode", host, f"{ANNOTATION_PROBE}={value}", "--overwrite")


def build(kubectl: Kubectl, connection: Connection, like: Guest, host: str, name: str) -> str:
    """Build an instance on a host, like the demo's guest; return how that ended."""
    compute = connection.compute
    known = compute.get_server(like.id)
    inner = next(iter(connection.network.networks(name="inside")))
    made = compute.create_server(
        name=name,
        image_id=known.image.id,
        flavor_id=ensure_flavor(connection),
        networks=[{"uuid": inner.id}],
        host=host,
    )
    last = ["BUILD"]

    def check() -> tuple[bool, str]:
        last[0] = compute.get_server(made.id).status
        return last[0] in ("ACTIVE", "ERROR"), last[0]

    kubectl.wait(f"the end of the build of {name}", check, seconds=BUILD_SECONDS)
    compute.delete_server(made)
    compute.wait_for_delete(made, wait=60)
    return last[0]


def node(kubectl: Kubectl, name: str) -> Object:
    return kubectl.get("computenode", name) or {}


def service(connection: Connection, host: str) -> tuple[str, str]:
    """Return status and disabled reason of a host's nova-compute."""
    [found] = connection.compute.services(binary="nova-compute", host=host)
    return found.status, found.disabled_reason or ""


def test_a_host_on_which_builds_fail_is_closed_and_opened_by_a_probe_guest(
    site: Site, kubectl: Kubectl, connection: Connection, booted: Guest, broken: str
) -> None:
    for number in range(BUILDS):
        ended = build(kubectl, connection, booted, broken, f"failing-{number}")
        assert ended == "ERROR"
    condition = wait_reason(
        kubectl, "computenode", broken, "GuestsFailing", "BuildsFail",
        status="True", seconds=CLOSED_SECONDS, contains=broken,
    )  # fmt: skip
    kubectl.wait(
        "the end of builds on the host",
        lambda: (service(connection, broken)[0] == "disabled", str(service(connection, broken))),
        seconds=CLOSED_SECONDS,
    )
    assert service(connection, broken)[1].startswith("builds fail here: ")
    assert "libvirtError" in condition["message"]
    answers_as_itself(site, booted)  # guests of the other host are served as before
    # The probe that closing asked for meets the fault too.
    wait_reason(kubectl, "computenode", broken, "Ready", "ProbeGuestFailed", seconds=PROBED_SECONDS)
    wait_reason(
        kubectl, "computenode", broken, "GuestsFailing", "BuildsFail",
        status="True", seconds=CLOSED_SECONDS, contains=ANNOTATION_PROBE,
    )  # fmt: skip

    mend(kubectl, broken)
    assert service(connection, broken)[0] == "disabled"
    request_probe(kubectl, broken, "mended")
    kubectl.wait(
        "the probe guest that opens the host",
        lambda: (service(connection, broken)[0] == "enabled", str(service(connection, broken))),
        seconds=OPEN_SECONDS,
    )
    assert build(kubectl, connection, booted, broken, "mended") == "ACTIVE"
    kubectl.wait(
        "the end of GuestsFailing",
        lambda: (
            condition_of(node(kubectl, broken), "GuestsFailing").get("status") == "False",
            str(condition_of(node(kubectl, broken), "GuestsFailing")),
        ),
        seconds=CLOSED_SECONDS,
    )
