"""A restore's copy on a member's volume: from the first byte until it is the data.

<volume>/incoming/       the copy, which counts for nothing before the mark
<volume>/agent/restored  the mark: whose copy is whole and durable, and where it stands

Once the mark is written only the exchange is left, which may be cut off anywhere: what `incoming`
then still is was not exchanged yet.
"""

import os
import shutil
from dataclasses import dataclass, field
from pathlib import Path

from stackroles.agents import wire
from stackroles.agents.galera.volume import Volume, sync_directory, write_durably
from stackroles.agents.wire import OPTIONAL


@dataclass(frozen=True)
class Restored:
    """What the mark says.

    Attributes:
        id: the uid of the Restore.
        uuid: the history that begins with the copy.
        seqno: where in it the copy stands.
        tables: how many tables it holds.
        transactions, last, until: what was applied to it (see RestoreOutcome).
    """

    id: str
    uuid: str
    seqno: int
    tables: int
    transactions: int = field(default=0, metadata=OPTIONAL)
    last: int = field(default=0, metadata=OPTIONAL)
    until: int = field(default=0, metadata=OPTIONAL)


class Incoming:
    """The copy on one member's volume, which its member does not use meanwhile."""

    def __init__(self, volume: Volume) -> None:
        self._volume = volume
        self.path = volume.root / "incoming"
        self._mark = volume.root / "agent" / "restored"

    def restored(self) -> Restored | None:
        """Return what was restored here last, None when nothing was."""
        try:
            return wire.loads(Restored, self._mark.read_bytes())
        except (FileNotFoundError, wire.WireError):
            return None

    def begin(self) -> None:
        """Make an empty directory for a copy."""
        self.path.mkdir(mode=0o750)

    def forget(self) -> None:
        """Remove what was left here: the mark first, which would speak of no copy."""
        self._mark.unlink(missing_ok=True)
        sync_directory(self._mark.parent)
        self.discard()

    def discard(self) -> None:
        """Remove a copy that has no mark."""
        if self.path.exists():
            shutil.rmtree(self.path)

    def complete(self, restored: Restored) -> None:
        """Make the copy durable, then mark it."""
        _sync_tree(self.path)
        sync_directory(self._volume.root)
        write_durably(self._mark, wire.dumps(restored, sort_keys=True))

    def exchange(self) -> None:
        """Put the marked copy in the place of the data unless it is there already."""
        if self.path.exists():
            self._volume.exchange(self.path)


def clear(volume: Volume) -> None:
    """Empty a volume's data directory; its member is to be given everything by others.

    What is left of data while it is removed must never count for data: as of a member that joins,
    the rest of it is of no use, and its position goes first.
    """
    Incoming(volume).forget()
    volume.begin_join()
    volume.forget_position()
    sync_directory(volume.data)
    volume.clear()
    sync_directory(volume.data)
    volume.end_creation()
    volume.end_join()


def _sync_tree(path: Path) -> None:
    for folder, _, names in os.walk(path):
        for name in names:
            _sync_file(Path(folder) / name)
        sync_directory(Path(folder))


def _sync_file(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
