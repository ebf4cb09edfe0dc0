"""What a database member keeps on its volume, and what can be read from it while no server runs.

<volume>/data/            the server's data directory
<volume>/agent/id         random, made once: distinguishes a volume from its replacement
<volume>/agent/applied    the last decision that was applied, written before the server starts
<volume>/agent/creating   a first start began here and has not been completed
<volume>/agent/joining    a join began here, or it left the group for good; not synced since
<volume>/agent/restored   a restore made `incoming` whole, which is, or is to be, the data
<volume>/incoming/        a restore's copy before it becomes the data (incoming.py)
<volume>/replaced/        the former data while a restore's copy takes its place
"""

import contextlib
import errno
import os
import re
import shutil
import subprocess
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from stackroles.agents import wire
from stackroles.agents.galera.protocol import Position
from stackroles.agents.text import shorten

NO_UUID = "00000000-0000-0000-0000-000000000000"
# galera_recovery's last word; the position may carry a binlog GTID after a comma.
_RECOVERED = re.compile(r"--wsrep_start_position=([0-9a-f-]{36}):(-?\d+)")
_PREPARED = "prepared transactions"
_TRANSFER_MARKS = ("sst_in_progress", ".sst")
_RECOVERY_SECONDS = 3600
_ROOM_BYTES = 2**30
_NO_HISTORY = (
    "grastate.dat names no history, although the member was whole: it may hold the newest data. "
    "Put the file back; or, to give up what only this member holds, empty its data directory. Then "
    "delete its pod."
)


@dataclass(frozen=True)
class AppliedDecision:
    """What a volume keeps of the last decision that was applied; nothing before the first.

    Attributes:
        attempt: the attempt it was for.
        epoch: the term of who decided.
    """

    attempt: str = ""
    epoch: int = 0


def read_grastate(text: str) -> tuple[str, int, bool]:
    """Return uuid, seqno and safe_to_bootstrap of a grastate.dat; neutral values for none."""
    found = dict(re.findall(r"^(uuid|seqno|safe_to_bootstrap):\s*(\S+)", text, re.MULTILINE))
    try:
        seqno = int(found.get("seqno", "-1"))
    except ValueError:
        seqno = -1
    return found.get("uuid", NO_UUID), seqno, found.get("safe_to_bootstrap") == "1"


class Volume:
    """One member's volume."""

    def __init__(self, root: Path, room_bytes: int = 0) -> None:
        """Take where it is, and with how few bytes of room it is full (0: see `is_full`)."""
        self.root = root
        self._room_bytes = room_bytes
        self.data = root / "data"
        self._replaced = root / "replaced"
        self._agent = root / "agent"
        self._applied = self._agent / "applied"
        self._creating = self._agent / "creating"
        self._joining = self._agent / "joining"

    def prepare(self) -> str:
        """Make the directories and return the volume's id, drawn at the first start ever.

        An exchange of the data that was cut off is settled first.
        """
        self._agent.mkdir(mode=0o750, parents=True, exist_ok=True)
        self._settle_exchange()
        self.data.mkdir(mode=0o750, exist_ok=True)
        path = self._agent / "id"
        if not path.exists():
            write_durably(path, uuid.uuid4().hex)
        return path.read_text().strip()

    def exchange(self, other: Path) -> None:
        """Put another directory of this volume, whole and durable, in the place of the data.

        The marks speak of the former data, so they go with it; it goes last: as long as it is
        there, `prepare` sees that an exchange was cut off.
        """
        self.data.rename(self._replaced)
        sync_directory(self.root)
        other.rename(self.data)
        sync_directory(self.root)
        self._end_exchange()

    def _settle_exchange(self) -> None:
        """Take back an exchange that was cut off before the new data was in its place, else end it.

        A directory takes the place of an empty one, and never of one that holds something.
        """
        if not self._replaced.exists():
            return
        try:
            self._replaced.rename(self.data)
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                raise
            self._end_exchange()
        else:
            sync_directory(self.root)

    def _end_exchange(self) -> None:
        self.end_creation()
        self.end_join()
        shutil.rmtree(self._replaced)

    def applied_decision(self) -> AppliedDecision:
        """Return the last decision that was applied."""
        try:
            return wire.loads(AppliedDecision, self._applied.read_bytes())
        except (FileNotFoundError, wire.WireError):
            return AppliedDecision()

    def record_applied(self, applied: AppliedDecision) -> None:
        """Put a decision on the volume for good; raises OSError when that cannot be done."""
        write_durably(self._applied, wire.dumps(applied, sort_keys=True))

    @property
    def creating(self) -> bool:
        """Whether a first start began on this volume and was not completed."""
        return self._creating.exists()

    def begin_creation(self) -> None:
        """Empty the data directory for a new database."""
        write_durably(self._creating, "")
        self.clear()

    def end_creation(self) -> None:
        """Note that the new database serves; from here on its loss is a loss."""
        self._creating.unlink(missing_ok=True)
        sync_directory(self._agent)

    def begin_join(self) -> None:
        """Note that others hold all that this member holds, until it is synced again."""
        if not self._joining.exists():
            write_durably(self._joining, "")

    def end_join(self) -> None:
        """Note that the member is whole: from here on it may hold what nobody else does."""
        if self._joining.exists():
            self._joining.unlink()
            sync_directory(self._agent)

    def clear(self) -> None:
        """Remove everything in the data directory."""
        for entry in self.data.iterdir():
            if entry.is_dir() and not entry.is_symlink():
                shutil.rmtree(entry)
            else:
                entry.unlink(missing_ok=True)

    def forget_view(self) -> None:
        """Remove the last view: with it servers form a cluster without comparing their data."""
        (self.data / "gvwstate.dat").unlink(missing_ok=True)

    def forget_position(self) -> None:
        """Make the next join a full transfer."""
        (self.data / "grastate.dat").unlink(missing_ok=True)

    def allow_bootstrap(self) -> None:
        """Set safe_to_bootstrap, without which the server refuses to form a cluster."""
        path = self.data / "grastate.dat"
        text = path.read_text()
        write_durably(
            path,
            re.sub(r"^safe_to_bootstrap:.*$", "safe_to_bootstrap: 1", text, flags=re.MULTILINE),
        )

    def size(self) -> int:
        """Return the bytes the data directory occupies; grows while a transfer makes progress."""
        return occupied(self.data)

    def percent_used(self) -> int:
        """Return how much of the volume's file system is used, rounded up; -1 when not known."""
        left, whole = self.room()
        return -(-100 * (whole - left) // whole) if whole else -1

    def is_full(self) -> bool:
        """Return whether so little room is left that a server could soon write no more.

        A twentieth of the file system, a gibibyte at most: a server that cannot write leaves its
        data torn, and one transaction may take half of that (wsrep_max_ws_size).
        """
        left, whole = self.room()
        return left < (self._room_bytes or min(whole // 20, _ROOM_BYTES)) if whole else False

    def room(self) -> tuple[int, int]:
        """Return the bytes that its user may still write, and all that it may use; 0 if unknown."""
        try:
            found = os.statvfs(self.data.parent)
        except OSError:
            return 0, 0
        used = found.f_blocks - found.f_bfree
        return found.f_bavail * found.f_frsize, (used + found.f_bavail) * found.f_frsize

    def position(self, recovery: Sequence[str]) -> Position:
        """Return where the data stands; the server must not run.

        Args:
            recovery: the command that recovers the position (galera_recovery).
        """
        contents = {entry.name for entry in self.data.iterdir()} - {"lost+found"}
        if self.creating or not contents:
            return Position(empty=True)
        if contents & set(_TRANSFER_MARKS):
            return Position(transfer=True)
        try:
            text = (self.data / "grastate.dat").read_text()
        except FileNotFoundError:
            text = ""
        history, seqno, safe = read_grastate(text)
        if history != NO_UUID and seqno >= 0:
            return Position(uuid=history, seqno=seqno, safe=safe)
        found = _recover(recovery, history) if history != NO_UUID else None
        if found is not None:
            return found
        return Position(transfer=True) if self._joining.exists() else Position(error=_NO_HISTORY)


def _recover(command: Sequence[str], history: str) -> Position | None:
    """Return the position of data whose state file names a history; None when both disagree."""
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=_RECOVERY_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return Position(error=f"The recovery of the position did not run: {error}")
    output = f"{done.stdout}\n{done.stderr}"
    found = _RECOVERED.search(done.stdout)
    if found is None:
        last = next((line for line in reversed(output.splitlines()) if line.strip()), "no output")
        why = f"The recovery of the position failed (exit {done.returncode}): {last.strip()}"
        return Position(prepared=_PREPARED in output, error=shorten(why, 500))
    if found[1] != history:
        return None  # the state file speaks of another history: neither can be trusted
    return Position(uuid=history, seqno=int(found[2]), prepared=_PREPARED in output)


def occupied(path: Path) -> int:
    """Return the bytes that the files in a directory occupy."""
    total = 0
    for folder, _, names in os.walk(path):
        for name in names:
            with contextlib.suppress(FileNotFoundError):
                total += os.lstat(os.path.join(folder, name)).st_blocks * 512  # noqa: PTH118
    return total


def write_durably(path: Path, text: str) -> None:
    """Replace a file so that after a crash either the old or the new content is there."""
    fresh = path.with_name(path.name + ".new")
    with fresh.open("w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)
    sync_directory(path.parent)


def sync_directory(path: Path) -> None:
    """Make durable what was added to, renamed in or removed from a directory."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
