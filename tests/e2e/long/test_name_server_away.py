"""The cluster's DNS is away for a minute and a half: who ran goes on, who starts serves soon after.

Calls and rows are made by addresses, so that what fails is the cloud's own.
"""

import time
from collections.abc import Iterator

import pytest

from lab.install import Site
from lab.kubectl import Kubectl
from tests.support.client import Client, longest_gap
from tests.support.cloud import Cloud
from tests.support.measurements import Measurements

AWAY_SECONDS = 95
STARTS_AFTER = 40
"""Seconds after which members are replaced, so that their successors find no name server."""
READY_SECONDS = 240
GAP_SECONDS = 2.0
# One of every kind of client of names: a Python service under the WSGI server, one under eventlet,
# an OVN database (libunbound), the broker (Erlang's own resolver).
STARTED = ("placement", "nova-conductor", "nova-scheduler", "ovn-sb", "rabbitmq")
ROUNDS = 15
"""Rounds of calls before the name servers go: two members, each called by chance."""
GETS = {
    "images": "glance:9292/v2/images",
    "servers": "nova-api:8774/v2.1/servers/detail",
    "networks": "neutron-api:9696/v2.0/networks",
    "providers": "placement:8778/resource_providers",
}


@pytest.fixture
def name_server(site: Site) -> Iterator[Kubectl]:
    """kubectl where the cluster's DNS runs, which is there again afterwards."""
    kubectl = site.system.within("kube-system")
    replicas = (kubectl.get("deployment", "coredns") or {})["spec"]["replicas"]
    yield kubectl
    scale(kubectl, replicas)


def scale(kubectl: Kubectl, replicas: int) -> None:
    """Run so many name servers, and wait until they are there or gone."""
    kubectl.run("scale", "deployment", "coredns", f"--replicas={replicas}")

    def check() -> tuple[bool, str]:
        pods = kubectl.items("pods", "k8s-app=kube-dns")
        ready = [
            pod
            for pod in pods
            for condition in pod["status"].get("conditions", [])
            if condition["type"] == "Ready" and condition["status"] == "True"
        ]
        return len(ready) == len(pods) == replicas, f"{len(ready)} of {len(pods)} ready"

    kubectl.wait(f"{replicas} name servers", check, seconds=90)


def test_who_ran_goes_on_and_who_started_meanwhile_serves(
    name_server: Kubectl, cloud: Cloud, client: Client, measurements: Measurements
) -> None:
    cloud.wait_ready()
    replicas = (name_server.get("deployment", "coredns") or {})["spec"]["replicas"]
    client.start_calls(GETS)
    wait_rounds(cloud, client)

    scale(name_server, 0)
    gone = time.time()
    wait_calls(cloud, client, gone + STARTS_AFTER)
    victims = [cloud.members(role)[-1] for role in STARTED]
    cloud.kubectl.run("delete", "pod", *victims, "--wait=false")
    wait_calls(cloud, client, gone + AWAY_SECONDS)
    ran = [call for call in client.calls() if call["at"] > gone]
    gap = longest_gap(client.rows(), gone)

    scale(name_server, replicas)
    back = time.time()
    cloud.wait_ready(READY_SECONDS)
    whole = time.time()
    failed = [call for call in ran if call["status"] not in (200, 201)]  # a token is Created
    measurements.record(
        "DNS away",
        away_seconds=back - gone,
        calls=len(ran),
        calls_failed=len(failed),
        slowest_call_seconds=max(call["seconds"] for call in ran),
        longest_write_gap_seconds=gap,
        whole_after_seconds=whole - back,
    )
    assert not failed, failed[:5]
    assert gap < GAP_SECONDS


def wait_rounds(cloud: Cloud, client: Client) -> None:
    """Wait until every member of every API was called, so that each knows whom it asks itself."""

    def check() -> tuple[bool, str]:
        made = len(client.calls())
        return made >= ROUNDS * (1 + len(GETS)), f"{made} calls"

    cloud.kubectl.wait("calls of every API", check, seconds=120)


def wait_calls(cloud: Cloud, client: Client, moment: float) -> None:
    """Wait until a round of calls was begun after a moment."""

    def check() -> tuple[bool, str]:
        calls = client.calls()
        last = calls[-1]["at"] if calls else 0.0
        return last > moment, f"{moment - last:.0f} s to go"

    cloud.kubectl.wait("the next calls", check, seconds=AWAY_SECONDS + 60)
