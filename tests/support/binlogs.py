"""Database members whose binary logs are made here, and whose agents answer for them."""

import contextlib
import struct
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from typing_extensions import override

from stackroles.agents.binlog.events import MAGIC
from stackroles.agents.binlog.member import Member
from stackroles.agents.galera.binlog_files import BinlogAnswers
from stackroles.agents.galera.process import Wsrep, parse_status
from stackroles.agents.galera.settings import MemberSettings

TOKEN = "geheim"
HISTORY = "57536cfa-e693-11f1-bcb2-eb91ac8f95a5"
_HEADER = struct.Struct("<IBIIIH")
_LENGTHS = bytes(19 if kind else 0 for kind in range(0xA4))


def event(kind: int, body: bytes, time: int = 0, *, flags: int = 0, crc: bool = True) -> bytes:
    """Return one event."""
    size = _HEADER.size + len(body) + 4 * crc
    plain = _HEADER.pack(time, kind, 1, size, 0, flags) + body
    return plain + (zlib.crc32(plain).to_bytes(4, "little") if crc else b"")


def described(created: int = 0, version: bytes = b"11.8-fake", *, crc: bool = True) -> bytes:
    """Return a format description event of a log that is still written."""
    body = struct.pack("<H50sIB", 4, version, created, 19) + _LENGTHS + bytes([crc])
    whole = event(15, body, created)
    # The mark of an open log is not part of the checksum.
    return whole[:17] + b"\x01" + whole[18:]


def listed(*gtids: tuple[int, int]) -> bytes:
    """Return a list of GTIDs, of domains and numbers."""
    entries = b"".join(struct.pack("<IIQ", domain, 1, number) for domain, number in gtids)
    return event(163, struct.pack("<I", len(gtids)) + entries)


def gtid(number: int, time: int, *, domain: int = 1, flags: int = 12) -> bytes:
    return event(162, struct.pack("<QIB", number, domain, flags) + bytes(6), time)


def row(content: bytes, time: int, table: int = 7, *, crc: bool = True) -> bytes:
    return event(23, struct.pack("<IHH", table, 0, 1) + content, time, crc=crc)


def statement(text: bytes, time: int, thread: int = 1, schema: bytes = b"nova") -> bytes:
    status = b"\0" * 5
    fixed = struct.pack("<IIBHH", thread, 0, len(schema), 0, len(status))
    return event(2, fixed + status + schema + b"\0" + text, time)


def transaction(number: int, time: int, content: bytes = b"", table: int = 7) -> bytes:
    """Return a transaction that writes a row: `content`, else what its number says."""
    rows = row(content or b"row %d" % number, time, table)
    return gtid(number, time) + event(19, b"table %d" % table, time) + rows + event(16, bytes(8))


def numbers_of(log: bytes) -> list[int]:
    """Return the numbers of the transactions of a log, by the events' own lengths."""
    found, at = [], len(MAGIC)
    while at < len(log):
        _, kind, _, size, _, _ = _HEADER.unpack_from(log, at)
        if kind == 162:
            found.append(struct.unpack_from("<Q", log, at + _HEADER.size)[0])
        at += size
    assert at == len(log)
    return found


SYNCED = {
    "wsrep_cluster_status": "Primary",
    "wsrep_ready": "ON",
    "wsrep_local_state": "4",
    "wsrep_cluster_state_uuid": HISTORY,
    "wsrep_local_recv_queue": "0",
}


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: "_Server"

    @override
    def log_message(self, format: str, *args: object) -> None:
        return

    def do_GET(self) -> None:
        self.server.played.asked.append(self.path)
        self.server.played.answers.answer(self)


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, played: "PlayedMember") -> None:
        self.played = played
        super().__init__(("127.0.0.1", 0), _Handler)


@dataclass
class PlayedMember:
    """A member: a data directory, and the answers of its agent.

    Attributes:
        root: its volume.
        table: the number that it gives to tables.
        status: of its server; nothing while that is away.
        ahead: seconds by which its clock is ahead.
        clock: seconds since 1970.
        asked: the paths that it was asked for.
    """

    root: Path
    table: int = 7
    status: dict[str, str] = field(default_factory=lambda: dict(SYNCED))
    ahead: float = 0.0
    clock: Callable[[], float] = time.time
    asked: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.data = self.root / "data"
        self.data.mkdir(parents=True)
        (self.data / "binlog.index").touch()
        settings = MemberSettings(
            member="m-0", pod_uid="u", address="", ordinal=0, peers=(), volume=self.root,
            backup_token=TOKEN,
        )  # fmt: skip
        self.answers = BinlogAnswers(settings, self.wsrep, lambda: self.clock() + self.ahead)

    def wsrep(self) -> Wsrep | None:
        return parse_status(self.status) if self.status else None

    def logs(self) -> list[str]:
        return [line.removeprefix("./") for line in self._index().read_text().splitlines()]

    def begin_log(self, position: int, name: str = "", created: int = 0) -> None:
        """Begin another log, after a transaction."""
        number = int(self.logs()[-1].rpartition(".")[2]) + 1 if self.logs() else 1
        name = name or f"binlog.{number:06}"
        position_event = listed((1, position)) if position else listed()
        (self.data / name).write_bytes(MAGIC + described(created) + position_event)
        with self._index().open("a") as index:
            index.write(f"./{name}\n")

    def write(self, *events: bytes) -> None:
        with (self.data / self.logs()[-1]).open("ab") as log:
            log.write(b"".join(events))

    def commit(self, *numbers: int, at: int | None = None, content: bytes = b"") -> None:
        """Write transactions, committed now unless a time is given."""
        when = int(self.clock()) if at is None else at
        self.write(*(transaction(n, when, content, self.table) for n in numbers))

    def expire(self) -> None:
        """Remove the oldest log."""
        oldest, *rest = self.logs()
        (self.data / oldest).unlink()
        self._index().write_text("".join(f"./{name}\n" for name in rest))

    def forget(self) -> None:
        """Remove all logs, as a state transfer does."""
        while self.logs():
            self.expire()

    def _index(self) -> Path:
        return self.data / "binlog.index"


@contextlib.contextmanager
def answering(*members: PlayedMember) -> Iterator[list[Member]]:
    """Have members answer; yield how they are reached."""
    with contextlib.ExitStack() as stack:
        yield [Member(stack.enter_context(_served(member)), TOKEN) for member in members]


@contextlib.contextmanager
def _served(member: PlayedMember) -> Iterator[str]:
    server = _Server(member)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
