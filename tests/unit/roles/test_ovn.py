"""Clients of OVN's databases after one has continued by consent."""

import subprocess
from pathlib import Path

from stackroles.roles import ovn, registry
from tests.support.clouds import cloud

AGREED = {"from": "demo-ovn-nb-1", "incident": "0123abcd"}


def test_clients_of_a_database_that_continues_by_consent_are_replaced() -> None:
    before, after = cloud(), cloud(roles={"ovn-nb": {"recovery": AGREED}})
    for name in ("ovn-northd", "neutron-api", "neutron-maintenance", "neutron-periodic"):
        role = registry.role(name)
        assert role.files is not None
        assert ovn.INCIDENTS not in role.files(before)
        assert role.files(after)[ovn.INCIDENTS] == "ovn-nb 0123abcd\n"


def test_the_northbound_database_is_filled_again_before_the_maintenance_goes_on(
    tmp_path: Path,
) -> None:
    for name in ("neutron-ovn-db-sync-util", "neutron-ovn-maintenance-worker"):
        program = tmp_path / name
        program.write_text(f'#!/bin/sh\necho {name} "$@"\n')
        program.chmod(0o755)
    (container,) = registry.role("neutron-maintenance").containers
    incidents = tmp_path / "incidents"
    command = [part.replace(ovn.INCIDENTS, str(incidents)) for part in container.command]
    path = f"{tmp_path}:/usr/bin:/bin"
    worker = "neutron-ovn-maintenance-worker --config-file /etc/neutron/neutron.conf\n"

    def run() -> str:
        return subprocess.run(command, env={"PATH": path}, text=True, check=True,
                              capture_output=True).stdout  # fmt: skip

    assert run() == worker
    incidents.write_text("ovn-sb 0123abcd\n")
    assert run() == worker
    incidents.write_text("ovn-nb 0123abcd\n")
    assert run() == (
        "neutron-ovn-db-sync-util --config-file /etc/neutron/neutron.conf "
        "--ovn-neutron_sync_mode repair\n" + worker
    )
