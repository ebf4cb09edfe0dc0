"""keystone's key repositories: the form of their keys, and whether one follows from the last.

They are rotated in place, so nothing of them is held back. A rotation keeps most keys: a repository
that shares none with the noted one was replaced, and what the former keys encrypted is unreadable.
"""

import base64
import binascii
from collections.abc import Collection, Mapping

from stackroles.domains.credentials.note import Note, digest, write_note

_FERNET_BYTES = 32


def is_fernet_key(value: str) -> bool:
    """Return whether a value is a key as keystone-manage makes them: 32 bytes in base64."""
    try:
        return len(base64.b64decode(value, altchars=b"-_", validate=True)) == _FERNET_BYTES
    except (binascii.Error, ValueError):
        return False


def malformed_keys(keys: Mapping[str, str]) -> tuple[str, ...]:
    """Return the numbers of a repository under which there is no key.

    Args:
        keys: the repository; keystone reads only what has a number, and takes a line end.
    """
    return tuple(n for n in sorted(keys) if n.isdecimal() and not is_fernet_key(keys[n].strip()))


def follows(key: str, ring: str, keys: Mapping[str, str], note: Note) -> bool:
    """Return whether a repository has a key of the noted one; so has each where none is noted.

    Args:
        key: the key of the digests.
        ring: the repository's name.
        keys: what it holds, by number.
        note: what was noted on it last.
    """
    noted = {note.digests[number] for number in note.digests if number.isdecimal()}
    return not noted or not noted.isdisjoint(digest(key, ring, value) for value in keys.values())


def changed_supply(
    key: str, ring: str, keys: Mapping[str, str], supplied: Mapping[str, str], note: Note
) -> tuple[str, ...]:
    """Return what a user wrote anew into their own Secret, which nobody reads any more.

    A repository that was rotated differs from what was once supplied: only what also differs from
    what was noted of the supply is new. Where nothing was, it counts as it is.

    Args:
        key: the key of the digests.
        ring: the repository's name.
        keys: what it holds, by number.
        supplied: what the user's Secret holds for it, by number.
        note: what was noted on it last.
    """
    noted = {name: note.digests[name] for name in note.digests if not name.isdecimal()}
    return tuple(
        f"{ring}.{number}"
        for number, value in sorted(supplied.items())
        if noted
        and value not in keys.values()
        and digest(key, ring, value) != noted.get(f"{ring}.{number}")
    )


def note_ring(
    key: str,
    ring: str,
    keys: Mapping[str, str],
    supplied: Mapping[str, str],
    note: Note,
    *,
    changed: Collection[str],
) -> str:
    """Return what to note on a repository: its keys, and those that a user supplies.

    Args:
        key: the key of the digests.
        ring: the repository's name.
        keys: what it holds, by number.
        supplied: what the user's Secret holds for it, by number.
        note: what was noted on it last.
        changed: what of the supply is new, as of changed_supply; it keeps its former digest.
    """
    digests = {number: digest(key, ring, value) for number, value in keys.items()}
    for number, value in supplied.items():
        name = f"{ring}.{number}"
        if name not in changed:
            digests[name] = digest(key, ring, value)
        elif name in note.digests:
            digests[name] = note.digests[name]
    return write_note(digests, digests)
