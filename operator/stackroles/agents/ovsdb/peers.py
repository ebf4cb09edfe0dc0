"""What members of an OVN database ask each other, on its own port in its own protocol (RFC 7047).

A member without a file answers there that it has no databases.
"""

import json
import socket
import socketserver
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from stackroles.agents.ovsdb.membership import Answer, read_answer

ASK_TIMEOUT = 2.0
# An answer about one database has some hundred bytes.
_LARGEST = 1 << 20


def ask(host: str, port: int, database: str) -> Answer:
    """Return what the member at an address says; UNKNOWN when it does not answer."""
    try:
        with socket.create_connection((host, port), timeout=ASK_TIMEOUT) as connection:
            databases = call(connection, "list_dbs", []).get("result")
            if not databases:
                return read_answer(databases, None, database)
            query = {
                "op": "select",
                "table": "Database",
                "where": [["name", "==", database]],
                "columns": ["connected", "cid"],
            }
            rows = call(connection, "transact", ["_Server", query]).get("result")
            return read_answer(databases, rows, database)
    except (OSError, ValueError):
        return Answer()


def ask_all(hosts: Mapping[int, str], port: int, database: str) -> dict[int, Answer]:
    """Return what the members at some addresses say, asked side by side.

    Args:
        hosts: by ordinal.
        port: where they answer.
        database: what they are asked for.
    """
    if not hosts:
        return {}
    with ThreadPoolExecutor(len(hosts)) as pool:
        answers = pool.map(lambda host: ask(host, port, database), hosts.values())
        return dict(zip(hosts, answers, strict=True))


def call(connection: socket.socket, method: str, params: list[Any]) -> dict[str, Any]:
    """Return the answer to a JSON-RPC request, with its `result` and its `error`.

    Raises:
        ValueError: there is none.
        OSError: there is none in time.
    """
    request = {"method": method, "params": params, "id": method}
    connection.sendall(json.dumps(request).encode())
    for message in messages(connection, time.monotonic() + ASK_TIMEOUT):
        # One that refuses sends an error without a result.
        if message.get("id") == method and message.keys() & {"result", "error"}:
            return message
    raise ValueError("the connection was closed without an answer")


def messages(connection: socket.socket, end: float) -> Iterator[dict[str, Any]]:
    """Yield the JSON objects that arrive, which nothing separates.

    Args:
        connection: where they arrive.
        end: until when, by `time.monotonic()`: the time-out of a socket alone counts anew with
            every byte.

    Raises:
        ValueError: what arrives is no JSON, or more than an answer can be.
        OSError: the time is over.
    """
    decoder = json.JSONDecoder()
    arrived = bytearray()
    while True:
        connection.settimeout(max(end - time.monotonic(), 0.001))
        data = connection.recv(65536)
        if not data:
            return
        arrived += data
        if len(arrived) > _LARGEST:
            raise ValueError(f"more than {_LARGEST} bytes without an end")
        while text := arrived.decode(errors="ignore").lstrip():
            try:
                message, length = decoder.raw_decode(text)
            except json.JSONDecodeError:
                break
            arrived = bytearray(text[length:].encode())
            if isinstance(message, dict):
                yield message
        else:
            arrived.clear()


class _Empty(socketserver.BaseRequestHandler):
    """Answers that there are no databases."""

    def handle(self) -> None:  # type: ignore[explicit-override]  # typing has override from 3.12
        try:
            for message in messages(self.request, time.monotonic() + ASK_TIMEOUT):
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
