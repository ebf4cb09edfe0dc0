"""Asks and tells the server over its control socket, as ovs-appctl does (ovs-appctl(8))."""

import socket

from stackroles.agents.ovsdb.peers import call


class Refused(Exception):  # noqa: N818 - named for what it says
    """The server runs and refused; its text says why."""


def control(path: str, command: str, *arguments: str) -> str:
    """Return what the server answers to a command.

    Args:
        path: of its control socket.
        command: such as "cluster/status".
        arguments: of the command.

    Raises:
        OSError: it does not answer in time.
        ValueError: it answers something else than JSON-RPC.
        Refused: it refuses the command.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(2.0)
        connection.connect(path)
        message = call(connection, command, list(arguments))
    if message.get("error"):
        raise Refused(str(message["error"]).strip())
    return str(message.get("result") or "")
