"""PID 1 of an OVN database: joins the cluster that exists, or makes the one that never did.

A raft cluster is made once. Whoever finds no file on its volume asks every other member: one that
serves is joined; the cluster is made by the first member, and only when all the others have
answered that their volumes are empty too. No answer means unknown, never empty: a first member that
lost its volume while the others are down waits for them instead of making a second, empty cluster.

A member without a file answers on the database's own port in the database's own protocol (RFC 7047)
that it has no databases. One whose file cannot be read answers nothing: the file is put aside and
the cluster joined anew only while others serve, which takes a majority. After joining with a new
volume or file a member removes its former self, which has its address and another identity, and
would count against the majority for ever.
"""

import json
import os
import re
import signal
import socket
import socketserver
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

ASK_TIMEOUT = 2.0
PAUSE = 0.3
REMIND_AFTER = 10.0
KICK_FOR = 120.0
CONTROL_SECONDS = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class OvsdbSettings:
    """What the operator configures; addresses without scheme, members by ordinal."""

    database: str
    schema: str
    path: str
    control: str
    socket: str
    port: int
    raft_port: int
    members: tuple[str, ...]
    election_timer_ms: int
    inactivity_probe_ms: int

    def raft(self, ordinal: int) -> str:
        """Return a member's raft address."""
        return f"tcp:{self.members[ordinal]}:{self.raft_port}"


class Peer(StrEnum):
    """What another member reports of itself."""

    SERVING = "serving"
    WAITING = "waiting"
    EMPTY = "empty"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Create:
    """Make the cluster."""


@dataclass(frozen=True, slots=True)
class Join:
    """Join the cluster through these members."""

    through: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Wait:
    """Nothing is safe yet."""

    because: str


Decision = Create | Join | Wait


def decide(ordinal: int, peers: Mapping[int, Peer], fault: str = "") -> Decision:
    """Return what a member without a file that can be read does.

    Args:
        ordinal: this member.
        peers: what each of the others answered.
        fault: why its file cannot be read, empty where there is none.
    """
    serving = tuple(sorted(peer for peer, state in peers.items() if state is Peer.SERVING))
    if serving:
        return Join(serving)
    if fault:
        return Wait(f"its file cannot be read and no other member serves: {fault}")
    waiting = [peer for peer, state in peers.items() if state is Peer.WAITING]
    if waiting:
        return Wait(f"members {sorted(waiting)} have the data but no majority")
    unknown = [peer for peer, state in peers.items() if state is Peer.UNKNOWN]
    if unknown:
        return Wait(f"members {sorted(unknown)} have not reported whether they have data")
    if ordinal:
        return Wait("member 0 makes the cluster")
    return Create()


def read_peer(databases: Any, rows: Any, database: str) -> Peer:
    """Return what a member's answers mean.

    Args:
        databases: result of list_dbs.
        rows: result of the query of _Server for the database, None if it was not asked.
        database: its name.
    """
    if databases == []:
        return Peer.EMPTY
    if not isinstance(databases, list) or database not in databases:
        return Peer.UNKNOWN
    try:
        row = rows[0]["rows"][0]
    except (KeyError, IndexError, TypeError):
        return Peer.UNKNOWN
    return Peer.SERVING if row.get("connected") is True else Peer.WAITING


def stale_servers(status: str, address: str) -> list[str]:
    """Return the identities of servers that have this member's address and are not this member.

    Args:
        status: output of `cluster/status`.
        address: this member's raft address.
    """
    found = re.findall(r"^    ([0-9a-f]{4}) \([0-9a-f]{4} at (\S+)\)(.*)$", status, re.MULTILINE)
    return [sid for sid, at, rest in found if at == address and "(self)" not in rest]


def server_config(settings: OvsdbSettings) -> dict[str, Any]:
    """Return the content of ovsdb-server's --config-file (ovsdb-server(1), OVS 3.3)."""
    return {
        "remotes": {
            f"punix:{settings.socket}": {},
            f"ptcp:{settings.port}:0.0.0.0": {"inactivity-probe": settings.inactivity_probe_ms},
        },
        "databases": {settings.path: {}},
    }


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


def fault_of(path: Path) -> str:
    """Return why ovsdb-server could not start with a file, empty when it can.

    A file whose end is missing is none: the server drops the last record, and gets it from others.
    """
    read = subprocess.run(
        ["ovsdb-tool", "db-name", str(path)], capture_output=True, text=True, check=False
    )
    return (read.stderr.strip() or f"exit code {read.returncode}") if read.returncode else ""


def prepare(settings: OvsdbSettings, ordinal: int) -> None:
    """Make the database's file if there is none, or none that can be read."""
    path = Path(settings.path)
    others = [n for n in range(len(settings.members)) if n != ordinal]
    if not path.exists():
        decision = _settle_empty(settings, ordinal, others)
    elif fault := fault_of(path):
        decision = _settle(settings, ordinal, others, fault)
        aside = path.with_suffix(".broken")
        log_line(f"{path} cannot be read and is kept as {aside}: {fault}")
        path.rename(aside)
    else:
        return
    new = path.with_suffix(".new")
    new.unlink(missing_ok=True)
    made = subprocess.run(_tool(settings, ordinal, decision, new), check=False)
    if made.returncode:
        raise SystemExit(f"ovsdb: {path} could not be made: ovsdb-tool says why above")
    new.rename(path)


def _settle_empty(settings: OvsdbSettings, ordinal: int, others: Sequence[int]) -> Create | Join:
    """Return the decision of a member without a file, which says so while it waits."""
    with EmptyServer(("0.0.0.0", settings.port), _Empty) as server:  # noqa: S104 - a pod
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.1}).start()
        try:
            return _settle(settings, ordinal, others)
        finally:
            server.shutdown()


def _settle(
    settings: OvsdbSettings, ordinal: int, others: Sequence[int], fault: str = ""
) -> Create | Join:
    """Return the decision once it is safe, saying now and then what is waited for."""
    reported, reported_at = "", 0.0
    while True:
        peers = {n: ask(settings.members[n], settings.port, settings.database) for n in others}
        decision = decide(ordinal, peers, fault)
        if not isinstance(decision, Wait):
            log_line(f"no data that can be used here: {decision}")
            return decision
        if decision.because != reported or time.monotonic() - reported_at > REMIND_AFTER:
            reported, reported_at = decision.because, time.monotonic()
            log_line(f"no data that can be used here: waiting, because {reported}")
        time.sleep(PAUSE)


def _tool(settings: OvsdbSettings, ordinal: int, decision: Create | Join, path: Path) -> list[str]:
    local = settings.raft(ordinal)
    match decision:
        case Create():
            timer = f"--election-timer={settings.election_timer_ms}"
            return ["ovsdb-tool", timer, "create-cluster", str(path), settings.schema, local]
        case Join(through):
            remotes = [settings.raft(n) for n in through]
            return ["ovsdb-tool", "join-cluster", str(path), settings.database, local, *remotes]


def kick_former_self(settings: OvsdbSettings, ordinal: int) -> None:
    """Remove servers that this member's lost volume left in the cluster.

    Looked for at each start: one that joined anew may have ended before its former self was gone.
    """
    control = ["ovs-appctl", f"--timeout={CONTROL_SECONDS}", "-t", settings.control]
    deadline = time.monotonic() + KICK_FOR
    while time.monotonic() < deadline:
        asked = subprocess.run(
            [*control, "cluster/status", settings.database],
            capture_output=True,
            text=True,
            check=False,
        )
        if "Status: cluster member" in asked.stdout:
            stale = stale_servers(asked.stdout, settings.raft(ordinal))
            if not stale:
                return
            for sid in stale:
                log_line(f"removing server {sid}, which had this address before")
                kick = [*control, "cluster/kick", settings.database, sid]
                subprocess.run(kick, check=False)
        time.sleep(1)
    log_line("this member's former self could not be removed: see cluster/status and cluster/kick")


def log_line(text: str) -> None:
    """Write a line to the log."""
    print(f"ovsdb: {text}", file=sys.stderr, flush=True)


def main(arguments: Sequence[str]) -> int:
    """Run the database; return its exit status."""
    document = json.loads(Path(arguments[0]).read_text(encoding="utf-8"))
    settings = OvsdbSettings(**{**document, "members": tuple(document["members"])})
    ordinal = int(os.environ["POD_NAME"].rpartition("-")[2])
    # PID 1 has no default action for signals: without a handler SIGTERM would be ignored.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    prepare(settings, ordinal)
    config = Path(settings.control).with_name("ovsdb.json")
    config.write_text(json.dumps(server_config(settings)), encoding="utf-8")
    log = ("-vconsole:info", "-vsyslog:off", "-vfile:off")
    server = subprocess.Popen(
        ["ovsdb-server", f"--config-file={config}", f"--unixctl={settings.control}", *log]
    )
    signal.signal(signal.SIGTERM, lambda *_: server.terminate())
    threading.Thread(target=kick_former_self, args=(settings, ordinal), daemon=True).start()
    status = server.wait()
    return 0 if status == -signal.SIGTERM else status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
