"""What members of an OVN database ask each other, on its own port in its own protocol (RFC 7047).

A member without a file answers there that it has no databases.
"""

import json
import socket
import socketserver
from collections.abc import Iterator
from typing import Any

from stackroles.agents.ovsdb.membership import Peer, read_peer

ASK_TIMEOUT = 2.0


def ask(host: str, port: int, database: str) -> Peer:
    """Return what the member at an address says; UNKNOWN when it does not answer."""
    try:
        with socket.create_connection((host, port), timeout=ASK_TIMEOUT) as connection:
            connection.settimeout(ASK_TIMEOUT)
            databases = call(connection, "list_dbs", [])
            if not databases:
                return read_peer(databases, None, database)
            query = {
                "op": "select",
                "table": "Database",
                "where": [["name", "==", database]],
                "columns": ["connected"],
            }
            rows = call(connection, "transact", ["_Server", query])
            return read_peer(databases, rows, database)
    except (OSError, ValueError):
        return Peer.UNKNOWN


def call(connection: socket.socket, method: str, params: list[Any]) -> Any:
    """Return the result of a JSON-RPC call.

    Raises:
        ValueError: the answer is not one.
        OSError: there is none in time.
    """
    request = {"method": method, "params": params, "id": method}
    connection.sendall(json.dumps(request).encode())
    for message in messages(connection):
        if message.get("id") == method and "result" in message:
            return message["result"]
    raise ValueError("the connection was closed without an answer")


def messages(connection: socket.socket) -> Iterator[dict[str, Any]]:
    """Yield the JSON objects that arrive, which nothing separates."""
    decoder = json.JSONDecoder()
    text = ""
    while data := connection.recv(65536):
        text += data.decode()
        while text := text.lstrip():
            try:
                message, end = decoder.raw_decode(text)
            except json.JSONDecodeError:
                break
            text = text[end:]
            if isinstance(message, dict):
                yield message


class _Empty(socketserver.BaseRequestHandler):
    """Answers that there are no databases."""

    def handle(self) -> None:  # type: ignore[explicit-override]  # typing has override from 3.12
        self.request.settimeout(ASK_TIMEOUT)
        try:
            for message in messages(self.request):
                answer: dict[str, Any] = {"id": message.get("id"), "result": [], "error": None}
                self.request.sendall(json.dumps(answer).encode())
        except (OSError, ValueError):
            return


class EmptyServer(socketserver.ThreadingTCPServer):
    """Stands for the database until there is one."""

    allow_reuse_address = True
    daemon_threads = True

    def __init__(self, address: tuple[str, int]) -> None:
        super().__init__(address, _Empty)
