"""A guest: what it says, who reaches it, and that it outlives the agents of its node."""

import pytest
from openstack.connection import Connection

from lab import client, guest
from lab.guest import Guest
from lab.install import Site
from lab.kubectl import Kubectl, Object
from lab.outside import ping

# openstacksdk warns of deprecated calls that its own code makes.
pytestmark = pytest.mark.filterwarnings("ignore::PendingDeprecationWarning")

AGENT_SECONDS = 240
POOL = "compute"


def test_its_console_shows_the_address_and_the_instance_id(
    connection: Connection, booted: Guest
) -> None:
    fields = guest.wait_console(connection, booted)

    assert (fields["address"], fields["instance-id"]) == (booted.address, booted.id)


def test_its_floating_ip_answers_from_outside(booted: Guest) -> None:
    assert guest.wait_ping(booted) > 0


def test_the_client_that_the_demo_names_lists_it(site: Site, booted: Guest) -> None:
    status, output = client.run(site.cloud, "demo", ["server", "list", "--long"])

    assert status == 0, output
    assert booted.id in output


def agent_on(kubectl: Kubectl, role: str, node: str) -> Object | None:
    selector = f"app.kubernetes.io/instance={POOL},app.kubernetes.io/name={role}"
    for pod in kubectl.items("pods", selector):
        if pod["spec"].get("nodeName") == node and "deletionTimestamp" not in pod["metadata"]:
            return pod
    return None


def replace_agent(kubectl: Kubectl, role: str, node: str) -> None:
    old = agent_on(kubectl, role, node)
    assert old is not None, f"no {role} on {node}"
    kubectl.run("delete", "pod", old["metadata"]["name"], "--wait=false")

    def check() -> tuple[bool, str]:
        new = agent_on(kubectl, role, node)
        if new is None or new["metadata"]["uid"] == old["metadata"]["uid"]:
            return False, f"{role} on {node} is not there again"
        ready = [c for c in new["status"].get("conditions", []) if c["type"] == "Ready"]
        return bool(ready) and ready[0]["status"] == "True", f"{role} on {node} is not ready"

    kubectl.wait(f"a new {role} on {node}", check, seconds=AGENT_SECONDS)


@pytest.mark.parametrize("role", ["nova-compute", "libvirt"])
def test_it_runs_on_while_an_agent_is_replaced(
    site: Site, connection: Connection, booted: Guest, role: str
) -> None:
    before = guest.wait_console(connection, booted)

    replace_agent(site.cloud, role, booted.host)

    assert any(answer.milliseconds for answer in ping(booted.floating, 5))
    site.cloud.wait_condition("computepool", POOL, seconds=AGENT_SECONDS)
    later: dict[str, str] = {}

    def check() -> tuple[bool, str]:
        later.update(guest.console(connection, booted))
        grown = int(later.get("uptime", 0)) > int(before["uptime"])
        return grown, f"its uptime was {before['uptime']} and is {later.get('uptime')}"

    site.cloud.wait("the guest's uptime to go on", check, seconds=60)
    assert later["boots"] == before["boots"]
