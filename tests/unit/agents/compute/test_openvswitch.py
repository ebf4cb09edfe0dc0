"""A switch whose database was lost gets back what was in it."""

import json
from pathlib import Path

import pytest

from stackroles.agents.compute import guest_ports, openvswitch, ovn_controller, taps, underlay
from stackroles.agents.compute.guest_ports import GuestPort
from stackroles.agents.compute.node import AgentError
from stackroles.agents.compute.openvswitch import Keeper
from stackroles.agents.compute.ovn_controller import ChassisKeeper
from stackroles.agents.compute.underlay import Link

PORT = GuestPort(tap="tap701f8a33-5d", port="701f8a33-5d6c", mac="fa:16:3e:08:fc:45", guest="4be3")
IDS = {"system-id": "node-1", "ovn-remote": "tcp:sb-0:6642"}


class Switch:
    """The database of a switch, as far as the agents use it.

    Attributes:
        away: whether it does not answer.
        ids: external ids of its first row.
        bridges: the names of its bridges.
        interfaces: the names of its interfaces.
    """

    def __init__(self) -> None:
        self.away = False
        self.ids: dict[str, str] = {}
        self.bridges: set[str] = set()
        self.interfaces: set[str] = set()

    def vsctl(self, *arguments: str, wait: bool = False) -> str:
        """Answer one call of ovs-vsctl."""
        del wait
        if self.away:
            raise AgentError("database connection failed")
        listed = {
            "open_vswitch": json.dumps({"data": [[["map", [*map(list, self.ids.items())]]]]}),
            "bridge": "\n".join(self.bridges),
            "interface": "\n".join(self.interfaces),
        }
        if "list" in arguments:
            return listed[arguments[-1]]
        if "get" in arguments:
            return f'"{self.ids.get(arguments[-1].partition(":")[2], "")}"\n'
        for command in " ".join(arguments).split("-- "):
            self._apply(command.split())
        return ""

    def _apply(self, command: list[str]) -> None:
        if "add-br" in command:
            self.bridges.add(command[-1])
        elif "add-port" in command:
            self.interfaces.add(command[-1])
        elif command[:2] == ["set", "open"]:
            pairs = [argument.split("=", 1) for argument in command[3:]]
            ids = {key: value.strip('"') for key, value in pairs if key.startswith("external_ids:")}
            self.ids |= {key.partition(":")[2]: value for key, value in ids.items()}


@pytest.fixture
def switch(monkeypatch: pytest.MonkeyPatch) -> Switch:
    """Return the switch of a node with one guest and an underlay."""
    made = Switch()
    for module in (openvswitch, guest_ports, ovn_controller, underlay):
        monkeypatch.setattr(module, "vsctl", made.vsctl)
    links = {name: Link(name, "", up=True, addresses=()) for name in ("eth1", PORT.tap)}
    monkeypatch.setattr(underlay, "read_links", lambda: links)
    monkeypatch.setattr(underlay, "ensure", lambda *_: None)
    monkeypatch.setattr(taps, "lift", lambda before: before)
    monkeypatch.setattr(guest_ports, "read", lambda: (PORT,))
    monkeypatch.setattr(openvswitch, "kernel_has_datapath", lambda: False)
    return made


def test_a_lost_database_gets_its_bridge_and_its_guests_ports_back_at_once(switch: Switch) -> None:
    assert Keeper("eth1", "10.9.0.3").check() == ""
    assert switch.bridges == {"br-int"}
    assert switch.interfaces == {PORT.tap}
    assert switch.ids["ovn-bridge-datapath-type"] == "netdev"


def test_a_bridge_that_alone_was_lost_comes_back(switch: Switch) -> None:
    keeper = Keeper("eth1", "10.9.0.3")
    keeper.check()
    switch.bridges.clear()
    switch.interfaces.clear()
    keeper.check()
    assert (switch.bridges, switch.interfaces) == ({"br-int"}, {PORT.tap})


def test_a_port_that_alone_is_missing_is_added_by_the_second_check(switch: Switch) -> None:
    keeper = Keeper("eth1", "10.9.0.3")
    keeper.check()
    switch.interfaces.clear()
    keeper.check()
    assert switch.interfaces == set()
    keeper.check()
    assert switch.interfaces == {PORT.tap}


def test_a_database_that_is_away_is_reported_and_left(
    switch: Switch, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(underlay, "READY", tmp_path / "ready")
    switch.away = True
    assert Keeper("eth1", "10.9.0.3").check() == "database connection failed"


def test_a_chassis_that_was_lost_is_registered_again(
    switch: Switch, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(ovn_controller, "connection", lambda: "connected")
    keeper = ChassisKeeper(IDS)
    keeper.check(0.0)
    assert switch.ids == IDS
    capsys.readouterr()

    keeper.check(0.0)
    assert capsys.readouterr().err == ""

    switch.away = True
    keeper.check(0.0)
    keeper.check(0.0)
    assert capsys.readouterr().err.count("database connection failed") == 1

    switch.away = False
    switch.ids.clear()
    keeper.check(0.0)
    assert switch.ids == IDS
    assert "registered again" in capsys.readouterr().err
