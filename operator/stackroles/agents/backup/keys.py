"""What restic says of a repository's id and keys.

Runs inside role pods: standard library only. The key of the repository's data comes through a pipe
and stays in this process: it is in no argument, log, message or environment.
"""

import json

from stackroles.agents.backup.manifest import Identity, identity
from stackroles.agents.backup.repository import Restic, StepFailed


def identity_of(restic: Restic, config: str | None = None) -> Identity:
    """Return the repository's id and the key that signs its manifests.

    Args:
        restic: the repository.
        config: its configuration, where that is known.

    Raises:
        StepFailed: it does not answer, or with something else.
    """
    found = config or restic.run("repository", "cat", "--no-lock", "config")
    master_key = restic.run("repository", "cat", "--no-lock", "masterkey")
    try:
        return identity(found, master_key)
    except ValueError as error:
        raise StepFailed("repository", str(error)) from error


def key_id(restic: Restic) -> str:
    """Return the id of the key that opens the repository.

    Raises:
        StepFailed: it does not answer, or names none.
    """
    keys = json.loads(restic.run("repository", "key", "list", "--no-lock", "--json"))
    current = [str(key["id"]) for key in keys if key["current"]]
    if len(current) != 1:
        raise StepFailed("repository", f"restic names {len(current)} keys as the one in use")
    return current[0]
