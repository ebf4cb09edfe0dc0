"""Agents of a compute node, as far as no kernel is needed."""

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from stackroles.agents.compute import host_identity, libvirt, node, nova_compute, ovn_controller
from stackroles.agents.compute.openvswitch_protocol import SwitchSettings
from stackroles.agents.compute.ovn_controller_protocol import ChassisSettings


def settings(*, interface: str | None = "eth1", gateway: bool = True) -> ChassisSettings:
    return ChassisSettings(
        interface=interface,
        physical_network="physnet1",
        gateway=gateway,
        southbound="tcp:sb-0:6642,tcp:sb-1:6642",
    )


def read_settings(_: Sequence[str]) -> None:
    node.settings(SwitchSettings)


def test_settings_of_another_form_become_the_termination_message(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file, message = tmp_path / "compute.json", tmp_path / "message"
    message.touch()
    monkeypatch.setattr(node, "SETTINGS", file)
    monkeypatch.setattr(node, "TERMINATION_LOG", message)
    file.write_text('{"interface": "eth1", "later": 1}')
    assert node.settings(SwitchSettings) == SwitchSettings(interface="eth1")

    file.write_text("{}")
    with pytest.raises(SystemExit):
        node.main(read_settings)
    assert message.read_text() == f"the settings in {file} cannot be read: it has no interface"


def test_a_chassis_with_an_interface_maps_the_provider_network_and_carries_gateways() -> None:
    ids = ovn_controller.chassis(settings(), "node-1")
    assert ids["system-id"] == ids["hostname"] == "node-1"
    assert ids["ovn-bridge-mappings"] == "physnet1:br-ex"
    assert ids["ovn-cms-options"] == "enable-chassis-as-gw"
    assert ovn_controller.stale(settings()) == ()


def test_a_chassis_without_an_interface_loses_what_it_reported_of_one() -> None:
    without = settings(interface=None)
    ids = ovn_controller.chassis(without, "node-1")
    stale = ovn_controller.stale(without)
    assert not ids.keys() & {*stale}
    assert "ovn-bridge-mappings" in stale


def test_a_node_that_may_carry_no_gateways_says_so() -> None:
    assert "ovn-cms-options" not in ovn_controller.chassis(settings(gateway=False), "node-1")
    assert ovn_controller.stale(settings(gateway=False)) == ("ovn-cms-options",)


def test_identities_are_stable_and_differ_by_node_cloud_and_purpose() -> None:
    names = [
        host_identity.identity(purpose, cloud, name)
        for purpose in ("compute", "libvirt")
        for cloud in ("ns/a", "ns/b")
        for name in ("n1", "n2")
    ]
    assert len(set(names)) == len(names)
    assert host_identity.identity("compute", "ns/a", "n1") == names[0]


def test_an_identity_on_disk_is_never_replaced(tmp_path: Path) -> None:
    file = tmp_path / "nova" / "compute_id"
    assert host_identity.persisted(file, "one") == "one"
    assert host_identity.persisted(file, "two") == "one"


def tree(root: Path, *groups: str) -> None:
    for group in groups:
        (root / group).mkdir(parents=True)
        (root / group / "cgroup.procs").touch()


def test_guests_get_a_cgroup_in_every_hierarchy_of_version_1(tmp_path: Path) -> None:
    tree(tmp_path, "cpuset", "memory", "systemd")
    (tmp_path / "cpu").symlink_to("memory")
    files = libvirt.make_guest_groups(tmp_path)
    assert [file.parent.parent.name for file in files] == ["cpuset", "memory", "systemd"]
    assert libvirt.make_guest_groups(tmp_path) == files


def test_guests_get_one_cgroup_in_version_2(tmp_path: Path) -> None:
    (tmp_path / "cgroup.controllers").touch()
    (tmp_path / "cgroup.procs").touch()
    assert libvirt.make_guest_groups(tmp_path) == (tmp_path / libvirt.GUESTS / "cgroup.procs",)


def run_hook(tmp_path: Path, operation: str, files: list[Path]) -> int:
    hook = tmp_path / "hook"
    hook.write_text(libvirt.HOOK.format(run=tmp_path, files=" ".join(map(str, files))))
    return subprocess.run(
        ["sh", hook, "g1", operation], check=False, capture_output=True
    ).returncode


def test_the_hook_moves_a_started_guest_into_every_cgroup(tmp_path: Path) -> None:
    (tmp_path / "qemu").mkdir()
    (tmp_path / "qemu" / "g1.pid").write_text("4711")
    files = [tmp_path / "one", tmp_path / "two"]
    assert run_hook(tmp_path, "started", files) == 0
    assert [file.read_text().strip() for file in files] == ["4711", "4711"]


def test_the_hook_refuses_a_guest_it_cannot_move(tmp_path: Path) -> None:
    (tmp_path / "qemu").mkdir()
    (tmp_path / "qemu" / "g1.pid").write_text("4711")
    assert run_hook(tmp_path, "started", [tmp_path / "missing" / "cgroup.procs"]) == 1


def test_the_hook_leaves_other_steps_of_a_guests_life_alone(tmp_path: Path) -> None:
    assert run_hook(tmp_path, "stopped", [tmp_path / "missing" / "cgroup.procs"]) == 0


def test_termination_message_and_exit_code_say_what_an_agent_could_not_do(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    log = tmp_path / "termination-log"
    log.touch()
    monkeypatch.setattr(node, "TERMINATION_LOG", log)

    def program(_: object) -> None:
        raise node.AgentError("the node has no interface eth7")

    with pytest.raises(SystemExit) as ended:
        node.main(program)
    assert ended.value.code == 1
    assert log.read_text() == "the node has no interface eth7"


def test_a_program_that_fails_is_quoted() -> None:
    with pytest.raises(node.AgentError, match="no such thing"):
        node.run("sh", "-c", "echo no such thing >&2; exit 3")


def test_waiting_ends_with_what_was_waited_for() -> None:
    with pytest.raises(node.AgentError, match="the underlay was not there"):
        node.wait_for("the underlay", lambda: "", 0.0)


def test_libvirts_event_loop_is_registered_before_nova_compute_runs(tmp_path: Path) -> None:
    (tmp_path / "libvirt.py").write_text(
        "def virEventRegisterDefaultImpl():\n    print('registered', flush=True)\n"
    )
    program = tmp_path / nova_compute.PROGRAM
    program.write_text("#!/usr/bin/env python3\nimport sys\nprint(sys.argv[1:])\n")
    program.chmod(0o755)
    environment = {
        "PATH": f"{tmp_path}:{os.environ['PATH']}",
        "PYTHONPATH": f"{tmp_path}:{Path(nova_compute.__file__).parents[3]}",
    }
    command = (sys.executable, "-m", "stackroles.agents.compute.nova_compute", "--config-file", "x")
    done = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
    assert done.stdout.splitlines() == ["registered", "['--config-file', 'x']"]


def test_an_image_without_nova_compute_is_named() -> None:
    with pytest.raises(node.AgentError, match="nova-compute is not in this image"):
        nova_compute.program(())
