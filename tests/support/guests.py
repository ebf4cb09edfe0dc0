"""The demo's guest as tests use it."""

from openstack.connection import Connection
from openstack.exceptions import HttpException

from lab import apis, building, guest, kind_config
from lab.guest import Guest
from lab.install import Site


def boot(site: Site, connection: Connection) -> Guest:
    """Return the demo's guest, ACTIVE, made where it is missing."""
    cluster = site.cluster
    files = building.guest(cluster.paths, cluster.engine)
    return guest.ensure_guest(connection, files, kind_config.underlay_prefix(cluster.name))


def answers_as_itself(site: Site, booted: Guest) -> dict[str, str]:
    """Return the fields of a guest's console, once it is who it should be and answers a ping.

    It asks by a connection of its own: one from before a restart is of no use after it.

    Raises:
        LabError: it was not so in time.
    """
    with apis.connect(site.cloud, "demo") as connection:
        fields = guest.wait_console(connection, booted)
    guest.wait_ping(booted)
    return fields


def is_called(connection: Connection, booted: Guest) -> tuple[bool, str]:
    """Return whether nova's API got an answer from the guest's nova-compute, by an RPC call."""
    try:
        return bool(guest.console(connection, booted)), "the console is empty"
    except HttpException as error:
        return False, str(error)
