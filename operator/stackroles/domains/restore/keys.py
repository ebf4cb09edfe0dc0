"""The key repositories of a recovery set: what was encrypted then must be readable again; pure.

A repository holds keys by number (keystone, "Fernet - Frequently Asked Questions"): the highest
encrypts, all decrypt, and 0 is the one that will encrypt after the next rotation.
"""

import io
import tarfile
from collections.abc import Mapping, Sequence
from typing import Final

STAGED: Final = "0"


def secrets_in(archive: bytes) -> dict[str, dict[str, bytes]]:
    """Return the Secrets of a recovery set, each with its values by key.

    Args:
        archive: the part `secrets`, a tar of a folder for each Secret (agents/backup/run.py).

    Raises:
        ValueError: it is none.
    """
    found: dict[str, dict[str, bytes]] = {}
    try:
        with tarfile.open(fileobj=io.BytesIO(archive)) as opened:
            for entry in opened:
                secret, _, key = entry.name.partition("/")
                content = opened.extractfile(entry)
                if key and content is not None:
                    found.setdefault(secret, {})[key] = content.read()
    except tarfile.TarError as error:
        raise ValueError(f"the Secrets of the set cannot be read: {error}") from error
    return found


def add_keys(present: Mapping[str, str], former: Mapping[str, str]) -> dict[str, str]:
    """Return a repository that also decrypts what another one encrypted.

    The present keys keep their order and so their roles; those that are missing become the oldest.

    Args:
        present: the repository, by number.
        former: the one of the set.
    """
    staged = present.get(STAGED)
    ordered = _by_age(present)
    known = {*ordered, staged}
    missing = [key for key in _by_age(former, also_staged=True) if key not in known]
    keys = [*dict.fromkeys(missing), *ordered]
    numbered = {str(number): key for number, key in enumerate(keys, start=1)}
    return numbered if staged is None else {STAGED: staged, **numbered}


def _by_age(ring: Mapping[str, str], *, also_staged: bool = False) -> Sequence[str]:
    """Return the keys of a repository, oldest first; the staged one has encrypted nothing yet."""
    numbers = sorted((n for n in ring if n.isdecimal()), key=int)
    return [ring[n] for n in numbers if also_staged or n != STAGED]
