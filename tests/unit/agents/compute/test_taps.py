"""Which taps are brought up."""

import json
from collections.abc import Callable

import pytest

from stackroles.agents.compute import taps
from stackroles.agents.compute.underlay import Link

LISTED = json.dumps(
    {
        "headings": ["name", "external_ids"],
        "data": [
            ["tap1", ["map", [["iface-id", "701f8a33"], ["vm-uuid", "4be3"]]]],
            ["br-int", ["map", []]],
            ["ovn-node-0", ["map", [["ovn-chassis-id", "node"]]]],
        ],
    }
)


def link(name: str, *, up: bool) -> Link:
    return Link(name=name, mac="fe:16:3e:08:fc:45", up=up, addresses=())


Node = Callable[[bool], list[str]]


@pytest.fixture
def node(monkeypatch: pytest.MonkeyPatch) -> Node:
    """Return a function that makes a node with tap1 up or down; it returns what was brought up."""

    def make(up: bool) -> list[str]:
        lifted: list[str] = []
        links = {name: link(name, up=up) for name in ("tap1", "br-int")}
        monkeypatch.setattr("stackroles.agents.compute.taps.vsctl", lambda *_: LISTED)
        monkeypatch.setattr("stackroles.agents.compute.taps.read_links", lambda: links)

        def run(*command: str) -> str:
            lifted.append(command[3])
            return ""

        monkeypatch.setattr("stackroles.agents.compute.node.run", run)
        return lifted

    return make


def test_only_ports_of_ovn_are_guests() -> None:
    assert taps.guest_ports(LISTED) == {"tap1"}


def test_a_port_without_an_interface_is_not_down() -> None:
    links = {"tap1": link("tap1", up=False), "tap2": link("tap2", up=True)}
    assert taps.down(links, {"tap1", "tap2", "tap3"}) == {"tap1"}


def test_a_tap_that_has_just_been_made_is_left_to_libvirt(node: Node) -> None:
    lifted = node(False)
    assert taps.lift(()) == {"tap1"}
    assert lifted == []


def test_a_tap_that_stays_down_is_brought_up(node: Node) -> None:
    lifted = node(False)
    assert taps.lift({"tap1"}) == {"tap1"}
    assert lifted == ["tap1"]


def test_a_tap_that_is_up_is_left_alone(node: Node) -> None:
    lifted = node(True)
    assert taps.lift({"tap1"}) == frozenset()
    assert lifted == []
