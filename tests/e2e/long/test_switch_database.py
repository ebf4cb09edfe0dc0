"""A node whose switch loses its database: its guests are reached again, and none was restarted."""

import time

import pytest

from lab.errors import LabError
from lab.guest import Guest
from lab.install import Site
from lab.kubectl import Kubectl
from tests.support.guests import answers_as_itself
from tests.support.measurements import Measurements

# openstacksdk warns of deprecated calls that its own code makes.
pytestmark = pytest.mark.filterwarnings("ignore::PendingDeprecationWarning")

DATABASE = "/var/lib/openvswitch/conf.db"
BACK_SECONDS = 120


def pod_of(kubectl: Kubectl, role: str, node: str) -> str:
    """Return the name of a role's pod on a node."""
    found = kubectl.items("pods", f"app.kubernetes.io/name={role}")
    (name,) = (p["metadata"]["name"] for p in found if p["spec"]["nodeName"] == node)
    return str(name)


def listed(kubectl: Kubectl, pod: str, *columns: str) -> set[str]:
    """Return a column of a table of the switch's database, nothing while it does not answer."""
    command = ("ovs-vsctl", "--timeout=5", "--no-wait", "--bare", *columns)
    try:
        return set(kubectl.run("exec", pod, "-c", "network", "--", *command).split())
    except LabError:
        return set()


def ports(kubectl: Kubectl, pod: str) -> set[str]:
    """Return the ports of a switch: guests', metadata proxies', tunnels and the underlay."""
    return listed(kubectl, pod, "--columns=name", "list", "interface")


def identity(kubectl: Kubectl, pod: str) -> set[str]:
    """Return the identity of a switch's database, which one that is made anew does not have."""
    return listed(kubectl, pod, "--columns=_uuid", "list", "open_vswitch")


@pytest.mark.parametrize("loss", [f"rm {DATABASE}", f"truncate --size=900 {DATABASE}"])
def test_guests_of_a_switch_that_lost_its_database_are_reached_again(
    site: Site, booted: Guest, measurements: Measurements, loss: str
) -> None:
    kubectl = site.cloud
    before = answers_as_itself(site, booted)
    pod = pod_of(kubectl, "openvswitch", booted.host)
    held, former = ports(kubectl, pod), identity(kubectl, pod)
    assert held
    assert former

    kubectl.run("exec", pod, "-c", "database", "--", "sh", "-c", f"{loss}; kill 1")
    lost = time.time()
    kubectl.wait(
        "another database",
        lambda: (not identity(kubectl, pod) <= former, "the former one still answers"),
        seconds=BACK_SECONDS,
    )
    kubectl.wait(
        "all ports of the switch to be back",
        lambda: (ports(kubectl, pod) >= held, f"lacking: {held - ports(kubectl, pod)}"),
        seconds=BACK_SECONDS,
    )
    after = answers_as_itself(site, booted)
    measurements.record(
        f"the database of a compute node's switch lost ({loss.partition(' ')[0]})",
        guest_answered_seconds=time.time() - lost,
    )

    assert after["boots"] == before["boots"]
    assert int(after["uptime"]) > int(before["uptime"])
    kubectl.wait_condition("computenode", booted.host, seconds=BACK_SECONDS)
