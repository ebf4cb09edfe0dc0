"""The file of an OVN database's member: made anew, or put aside."""

import os
import shutil
import subprocess
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from stackroles.agents.ovsdb.membership import Create, Join
from stackroles.agents.ovsdb.protocol import OvsdbSettings

# Files that are put aside are for a person to look into: the newest say what there is to say.
_KEPT = 2


def cluster_of(path: Path) -> str:
    """Return the identity of the cluster that a file belongs to, empty before it has joined one."""
    read = subprocess.run(
        ["ovsdb-tool", "db-cid", str(path)], capture_output=True, text=True, check=False
    )
    return read.stdout.strip() if not read.returncode else ""


def make(settings: OvsdbSettings, ordinal: int, decision: Create | Join) -> None:
    """Make a member's file.

    Raises:
        SystemExit: ovsdb-tool failed; its message is in the log.
    """
    path = Path(settings.path)
    new = path.with_suffix(".new")
    new.unlink(missing_ok=True)
    made = subprocess.run(_command(settings, ordinal, decision, new), check=False)
    if made.returncode:
        raise SystemExit(f"ovsdb: {path} could not be made: ovsdb-tool says why above")
    new.rename(path)


def continue_alone(settings: OvsdbSettings, ordinal: int, now: datetime) -> Path:
    """Make a cluster of one of a member's data; the file so far is kept beside.

    Both are there until the new one replaces the former in one step (ovsdb-tool(1),
    cluster-to-standalone and create-cluster).

    Raises:
        SystemExit: ovsdb-tool failed; its message is in the log.
    """
    path = Path(settings.path)
    alone, new = path.with_suffix(".standalone"), path.with_suffix(".new")
    for left in (alone, new):
        left.unlink(missing_ok=True)
    timer = f"--election-timer={settings.election_timer_ms}"
    local = settings.raft(ordinal)
    for command in (
        ("cluster-to-standalone", str(alone), str(path)),
        (timer, "create-cluster", str(new), str(alone), local),
    ):
        if subprocess.run(["ovsdb-tool", *command], check=False).returncode:
            raise SystemExit(f"ovsdb: {path} could not be continued: ovsdb-tool says why above")
    aside = path.with_suffix(f".{now:%Y%m%dT%H%M%SZ}.broken")
    os.link(path, aside)
    new.rename(path)
    alone.unlink()
    _prune(path)
    return aside


def put_aside(path: Path, now: datetime) -> Path:
    """Rename a file so that it is kept beside, and remove older ones that are too many.

    Args:
        path: of the file.
        now: the time, which becomes part of its name.

    Returns:
        Its new path.
    """
    aside = path.with_suffix(f".{now:%Y%m%dT%H%M%SZ}.broken")
    path.rename(aside)
    _prune(path)
    return aside


def _prune(path: Path) -> None:
    """Remove files that were put aside and are too many."""
    found = copies(path)
    volume = shutil.disk_usage(path.parent)
    for old in found[kept([copy.stat().st_size for copy in found], volume.free) :]:
        old.unlink()


def copies(path: Path) -> list[Path]:
    """Return the files that were put aside, newest first."""
    found = path.parent.glob(f"{path.stem}.*broken")
    return sorted(found, key=lambda copy: (copy.stat().st_mtime, copy.name), reverse=True)


def kept(sizes: Sequence[int], free: int) -> int:
    """Return how many of the files that were put aside stay; pure.

    They may take half of what the database could have without them.

    Args:
        sizes: in bytes, newest first.
        free: bytes that the volume has left.
    """
    room = (free + sum(sizes)) // 2
    count = 0
    for size in sizes[:_KEPT]:
        room -= size
        if room < 0:
            break
        count += 1
    return count


def _command(
    settings: OvsdbSettings, ordinal: int, decision: Create | Join, path: Path
) -> list[str]:
    local = settings.raft(ordinal)
    match decision:
        case Create():
            timer = f"--election-timer={settings.election_timer_ms}"
            return ["ovsdb-tool", timer, "create-cluster", str(path), settings.schema, local]
        case Join(through):
            remotes = [settings.raft(n) for n in through]
            return ["ovsdb-tool", "join-cluster", str(path), settings.database, local, *remotes]
