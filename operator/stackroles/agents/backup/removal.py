"""Removes one recovery set from a restic repository: what the Backup of it leaves when it goes.

Runs inside role pods: standard library only. The operator starts it only while no run writes the
repository, since it removes the locks it finds, as a run does.
"""

import os
import sys
from pathlib import Path

from stackroles.agents.backup.progress import Progress
from stackroles.agents.backup.protocol import RemovalSettings, from_environment
from stackroles.agents.backup.repository import Restic, StepFailed
from stackroles.agents.backup.sets import snapshots_of
from stackroles.agents.text import shorten


def remove(restic: Restic, policy: str, name: str) -> int:
    """Remove a set and its data; return how many snapshots it had.

    The manifest goes first: what is left of a removal that breaks off is an unfinished set, which
    counts for nothing and is removed by the next run.

    Raises:
        StepFailed: the repository does not answer, or refuses.
    """
    if not restic.exists():
        return 0
    manifests, parts = snapshots_of(restic.snapshots("removal"), policy, name)
    if not manifests and not parts:
        return 0
    restic.unlock()
    if manifests:
        restic.run("removal", "forget", *manifests)
    restic.forget("removal", parts)
    return len(manifests) + len(parts)


def main() -> int:
    """Remove the set of the Backup that the environment names; return 0 when it is gone."""
    settings = from_environment(RemovalSettings, os.environ)
    progress = Progress()
    progress.start()
    try:
        count = remove(Restic(progress=progress), settings.policy, settings.name)
    except StepFailed as error:
        message, code = str(error), 1
    else:
        message, code = f"{count} snapshots removed", 0
    progress.stop()
    print(message, flush=True)
    path = Path(os.environ.get("BACKUP_RESULT", "/dev/termination-log"))
    path.write_text(shorten(message, 2000), encoding="utf-8")
    return code


if __name__ == "__main__":
    sys.exit(main())
