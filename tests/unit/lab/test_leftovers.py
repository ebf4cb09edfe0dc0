"""What engines that are gone have left, told from what is in use."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lab import leftovers
from lab.errors import LabError

GATEWAY = "10.177.74.1"
OWN_ID, OTHER_ID, DEAD_ID = "a1" * 32, "b2" * 32, "c3" * 32
OWN, OTHER = "unix:///run/stackroles/docker.sock", "unix:///run/stackroles-00000000/docker.sock"


def link(name: str, address: str = GATEWAY, bits: int = 24) -> dict[str, Any]:
    held = [{"local": address, "prefixlen": bits}, {"local": "fe80::1", "prefixlen": 64}]
    return {"ifname": name, "addr_info": held}


def bridge(identity: str) -> str:
    return f"br-{identity[:12]}"


def test_mounts_are_removed_from_the_innermost_and_only_below_the_folder() -> None:
    info = "\n".join(
        f"1 2 0:1 / {target} rw - ext4 /dev/x rw"
        for target in ("/", "/run/a", "/run/a/docker/netns/1", "/run/a/docker", "/run/ab/c")
    )
    found = leftovers.mounts_below(info, Path("/run/a"))
    assert found == ["/run/a/docker/netns/1", "/run/a/docker"]


def test_only_dockers_bridges_with_just_this_address_are_claimed() -> None:
    links = [
        link(bridge(OWN_ID)),
        link("eth0"),
        link("br-lan"),
        link(bridge(OTHER_ID), "10.177.7.1"),
        link(bridge(DEAD_ID), bits=16),
        {"ifname": "br-0123456789ab"},
    ]
    assert leftovers.bridges_with(links, GATEWAY) == {bridge(OWN_ID)}


@pytest.mark.parametrize(
    ("command", "hosts"),
    [
        (["dockerd", "--host=unix:///a"], {"unix:///a"}),
        (["/usr/bin/dockerd", "-H", "unix:///a", "--host", "tcp://b"], {"unix:///a", "tcp://b"}),
        (["/usr/sbin/dockerd", "-H", "fd://", "--containerd=/c"], {leftovers.USUAL_HOST}),
        (["dockerd"], {leftovers.USUAL_HOST}),
        (["dockerd", "--add-runtime=x=-H"], {leftovers.USUAL_HOST}),
        (["docker", "-H", "unix:///a", "ps"], set()),
        ([""], set()),
    ],
)
def test_an_engine_answers_where_its_command_line_says(command: list[str], hosts: set[str]) -> None:
    assert leftovers.engine_hosts([command]) == hosts


def test_what_outlived_an_engine_is_known_by_its_folder() -> None:
    shim = ["containerd-shim", "-address", "/run/a/docker/containerd/containerd.sock"]
    assert leftovers.names(Path("/run/a/docker"), shim)
    assert not leftovers.names(Path("/run/a/docker"), ["sh"])
    assert not leftovers.names(Path("/run/a"), ["docker", "-H", "unix:///run/ab/s"])


RULES = f"""-P POSTROUTING ACCEPT
-A POSTROUTING -s 10.177.0.0/24 ! -o {bridge(OWN_ID)} -j MASQUERADE
-A POSTROUTING -s 172.18.0.0/16 ! -o {bridge(OTHER_ID)} -j MASQUERADE
-A POSTROUTING -s 172.17.0.0/16 ! -o docker0 -j MASQUERADE
"""
LEFT = f"POSTROUTING -s 10.177.0.0/24 ! -o {bridge(DEAD_ID)} -j MASQUERADE"


def test_a_rule_of_a_dead_bridge_for_our_network_is_found() -> None:
    found = leftovers.masquerading(f"{RULES}-A {LEFT}\n", "10.177.0.0/24", {bridge(OWN_ID)})
    assert found == [["-D", *LEFT.split()]]


def test_rules_of_our_bridge_and_of_other_networks_stay() -> None:
    assert leftovers.masquerading(RULES, "10.177.0.0/24", {bridge(OWN_ID)}) == []


Machine = Callable[..., list[str]]


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
    """Return a function that makes a machine of these bridges and engines; it returns removals."""

    def make(links: list[dict[str, Any]], networks: dict[str, list[str]]) -> list[str]:
        removed: list[str] = []

        def output(command: list[str], **options: Any) -> str:
            if command[:2] == ["ip", "-j"]:
                return json.dumps(links)
            if command[0] == "docker":
                return "\n".join(networks[options["env"]["DOCKER_HOST"]])
            if command[-2:] == ["-S", "POSTROUTING"]:
                return RULES
            removed.append(command[-1])
            return ""

        commands = [["dockerd", f"--host={host}"] for host in networks]
        monkeypatch.setattr("lab.leftovers.command_lines", lambda: commands)
        monkeypatch.setattr("lab.shell.output", output)
        return removed

    return make


def test_a_bridge_that_no_engine_knows_is_removed_and_ours_stays(machine: Machine) -> None:
    links = [link(bridge(OWN_ID)), link(bridge(DEAD_ID))]
    removed = machine(links, {OWN: [OWN_ID], OTHER: [OTHER_ID]})

    assert leftovers.free_address(GATEWAY, OWN) == [bridge(DEAD_ID)]
    assert removed == [bridge(DEAD_ID)]


def test_a_bridge_of_another_engine_that_runs_is_an_error(machine: Machine) -> None:
    removed = machine([link(bridge(OTHER_ID))], {OWN: [], OTHER: [OTHER_ID]})

    with pytest.raises(LabError, match=f"the docker engine at {OTHER} uses {GATEWAY}/24 too"):
        leftovers.free_address(GATEWAY, OWN)
    assert removed == []


def test_other_engines_are_asked_only_when_a_bridge_is_in_the_way(machine: Machine) -> None:
    machine([link(bridge(OWN_ID))], {OWN: [OWN_ID]})

    assert leftovers.free_address(GATEWAY, OWN) == []
