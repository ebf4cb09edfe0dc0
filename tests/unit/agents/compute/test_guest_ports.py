"""Which ports of guests are added to a switch again."""

from pathlib import Path

import pytest

from stackroles.agents.compute import guest_ports
from stackroles.agents.compute.guest_ports import GuestPort
from stackroles.agents.compute.node import AgentError

# As libvirt 11.3 writes it for an instance of nova 31, shortened.
STATUS = """\
<domstatus state='running' reason='booted' pid='711'>
  <domain type='kvm' id='3'>
    <name>instance-00000002</name>
    <uuid>4be3e4b0-1f0e-4c3b-8f0a-3a1cb4f2a0de</uuid>
    <metadata>
      <nova:instance xmlns:nova="http://openstack.org/xmlns/libvirt/nova/1.1">
        <nova:name>web &lt;one&gt;</nova:name>
        <nova:ports>
          <nova:port uuid="701f8a33-5d6c-4a38-9a6e-1fd2e8b9f8aa">
            <nova:ip type="fixed" address="10.20.0.9" ipVersion="4"/>
          </nova:port>
        </nova:ports>
      </nova:instance>
    </metadata>
    <devices>
      <interface type='ethernet'>
        <mac address='fa:16:3e:08:fc:45'/>
        <target dev='tap701f8a33-5d'/>
        <model type='virtio'/>
      </interface>
      <interface type='bridge'>
        <mac address='fa:16:3e:08:fc:46'/>
        <target dev='vnet7'/>
      </interface>
    </devices>
  </domain>
</domstatus>
"""
PORT = GuestPort(
    tap="tap701f8a33-5d",
    port="701f8a33-5d6c-4a38-9a6e-1fd2e8b9f8aa",
    mac="fa:16:3e:08:fc:45",
    guest="4be3e4b0-1f0e-4c3b-8f0a-3a1cb4f2a0de",
)


@pytest.fixture
def called(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, ...]]:
    """Return the calls of ovs-vsctl."""
    calls: list[tuple[str, ...]] = []

    def vsctl(*arguments: str, wait: bool) -> str:
        assert wait
        calls.append(arguments)
        return ""

    monkeypatch.setattr(guest_ports, "vsctl", vsctl)
    return calls


def test_a_guests_ports_are_those_that_neutron_knows() -> None:
    assert guest_ports.parse(STATUS) == (PORT,)


@pytest.mark.parametrize("text", ["", "<domstatus>", "<networkstatus/>"])
def test_another_file_is_an_error(text: str) -> None:
    with pytest.raises(AgentError, match="libvirt's file of a guest"):
        guest_ports.parse(text)


def test_all_running_guests_of_a_node_are_read(tmp_path: Path) -> None:
    assert guest_ports.read(tmp_path / "never made") == ()
    (tmp_path / "instance-00000002.xml").write_text(STATUS)
    (tmp_path / "instance-00000002.pid").write_text("711")
    assert guest_ports.read(tmp_path) == (PORT,)


def test_a_port_is_lacking_whose_tap_is_there_and_not_in_the_switch() -> None:
    assert guest_ports.lacking([PORT], {PORT.tap}, {"br-int"}) == {PORT}
    assert guest_ports.lacking([PORT], {PORT.tap}, {PORT.tap}) == frozenset()
    assert guest_ports.lacking([PORT], {"eth1"}, {"br-int"}) == frozenset()


def test_a_port_that_lacked_before_is_added_as_nova_does(called: list[tuple[str, ...]]) -> None:
    guest_ports.restore({PORT}, before={PORT})
    (arguments,) = called
    assert arguments[:5] == ("--", "--may-exist", "add-port", "br-int", PORT.tap)
    assert arguments[5:8] == ("--", "set", "interface")
    assert set(arguments[9:]) == {
        f'external_ids:iface-id="{PORT.port}"',
        'external_ids:iface-status="active"',
        f'external_ids:attached-mac="{PORT.mac}"',
        f'external_ids:vm-uuid="{PORT.guest}"',
    }


def test_a_port_that_has_just_been_missed_is_left_to_nova(called: list[tuple[str, ...]]) -> None:
    guest_ports.restore({PORT}, before=set())
    assert called == []
