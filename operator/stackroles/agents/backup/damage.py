"""Whether what restic cannot read is damaged, or only unavailable.

Runs inside role pods: standard library only.
"""

from collections.abc import Callable

from stackroles.agents.backup.reader_protocol import PART_DAMAGED
from stackroles.agents.backup.repository import Restic, StepFailed

# Of a server or a file system that does not let the reader in, whatever is stored.
_REFUSALS = ("access denied", "accessdenied", "permission denied", "forbidden")


def is_of_data(restic: Restic, error: StepFailed, again: Callable[[], object]) -> bool:
    """Return whether a failed reading speaks against what is stored.

    It does where the repository itself answers, and another reading ends the same way: what a
    network or a server did to one of them it hardly does to both and to none of the answers.

    Args:
        restic: the repository.
        error: how the reading ended.
        again: reads once more; raises StepFailed.
    """
    if not error.complained or any(word in str(error).lower() for word in _REFUSALS):
        return False
    if not _answers(restic):
        return False
    try:
        again()
    except StepFailed as other:
        return other.complained and _answers(restic)
    return False


def unreadable(name: str, error: StepFailed) -> StepFailed:
    """Return the failure of a part that is damaged, so that restic cannot read it."""
    return StepFailed(
        name,
        f"{name} cannot be read, while the repository answers: {error}. Restore another Backup, "
        "and run restic check --read-data",
        PART_DAMAGED,
    )


def _answers(restic: Restic) -> bool:
    try:
        restic.snapshots("repository")
        return restic.config() is not None
    except StepFailed:
        return False
