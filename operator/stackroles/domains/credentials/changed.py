"""Values that people changed in a Secret: held back, and named with the cure.

A password is one thing in several places: an account, and the processes that log in. Until all of
them can change together, none does: pods read a copy of each Secret, which keeps the values that
the accounts have. Which value that is, digests prove that are noted on both: an edit of either
Secret is known as one.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from stackroles.api.v1alpha1.conditions import Reason
from stackroles.domains.credentials.generate import (
    ADMIN,
    BROKER_PASSWORD,
    DATABASE_PASSWORD,
    DIGEST_KEY,
    SERVICE_PASSWORD,
)
from stackroles.domains.credentials.note import Note, digest
from stackroles.workloads.conditions import Finding

_KNOWN_BY: Mapping[str, str] = {
    DATABASE_PASSWORD: "the database knows",
    BROKER_PASSWORD: "the broker knows",
    SERVICE_PASSWORD: "keystone knows",
}
_NAMED = 3
_CURE = (
    "Passwords cannot be rotated yet: write the value in use back, which is in Secret {} under the "
    "same key."
)


@dataclass(frozen=True, slots=True)
class ChangedValue:
    """A value that is not the one in use.

    Attributes:
        service: whose it is; "admin" for the administrator.
        secret: where it was changed.
        key: under which name.
        in_use: the Secret that has the value in use under the same name.
        proven: whether that is known; else one of the two was changed before any was noted.
        rotated: whether the latter is a key repository, where keys come and go.
    """

    service: str
    secret: str
    key: str
    in_use: str
    proven: bool = True
    rotated: bool = False


@dataclass(frozen=True, slots=True)
class Copy:
    """The Secret that pods read.

    Attributes:
        values: what it holds; empty where it is gone.
        note: what it was made with; None where it was made and that is not known any more.
    """

    values: Mapping[str, str]
    note: Note | None


@dataclass(frozen=True, slots=True)
class InUse:
    """The values that accounts and processes have.

    Attributes:
        values: those, and what else was written.
        lost: names whose value in use no Secret holds any more.
        unproven: names of which two values exist and no digest, so that none may be noted.
    """

    values: dict[str, str]
    lost: tuple[str, ...] = ()
    unproven: frozenset[str] = frozenset()


def find_in_use(keys: Iterable[str], written: Mapping[str, str], note: Note, copy: Copy) -> InUse:
    """Return which values accounts and processes have: those that fit the noted digests.

    What is noted nowhere yet is taken as the copy has it, or as it was written if it is new.

    Args:
        keys: the values that accounts and processes have to agree on.
        written: as they are in the Secret that people see.
        note: what that Secret notes.
        copy: the Secret that pods read.
    """
    digests = {**note.digests, **(copy.note.digests if copy.note else {})}
    found = {k: _present(k, copy.values, written) for k in (*keys, DIGEST_KEY)}
    values = {k: found[k][0] for k in found if found[k]} | _proven(found, digests)
    if DIGEST_KEY not in values:
        digests = {}
    fits = {k: digest(values[DIGEST_KEY], k, values.get(k, "")) == digests[k] for k in digests}
    return InUse(
        values={**written, **values},
        lost=tuple(k for k in keys if not fits.get(k, not _is_gone(k, values, copy))),
        unproven=frozenset(k for k in keys if k not in digests and len(set(found[k])) > 1),
    )


def _present(name: str, *places: Mapping[str, str]) -> tuple[str, ...]:
    return tuple(place[name] for place in places if place.get(name))


def _proven(found: Mapping[str, tuple[str, ...]], digests: Mapping[str, str]) -> dict[str, str]:
    """Return the values that fit their digests, with the key by which they do."""
    for key in found[DIGEST_KEY]:
        proven = {
            name: value
            for name in found.keys() & digests.keys()
            for value in found[name]
            if digest(key, name, value) == digests[name]
        }
        if proven:
            return proven | {DIGEST_KEY: key}
    return {}


def _is_gone(name: str, values: Mapping[str, str], copy: Copy) -> bool:
    """Return whether the copy had a value that is noted nowhere, and has it no more."""
    had = copy.note is None or name in copy.note.names
    return had and name in values and not copy.values.get(name)


def changed_keys(
    keys: Iterable[str], values: Mapping[str, str], in_use: Mapping[str, str]
) -> tuple[str, ...]:
    """Return the keys whose value differs from the one in use; a missing value differs from none.

    Args:
        keys: the values that accounts and processes have to agree on.
        values: as somebody wrote them.
        in_use: as pods read them.
    """
    return tuple(
        key for key in keys if values.get(key) and in_use.get(key) and values[key] != in_use[key]
    )


def assess_changed(changed: Iterable[ChangedValue]) -> Finding | None:
    """Return which values were changed in vain, with the cure; None where none was."""
    found = tuple(changed)
    if not found:
        return None
    named = " ".join(_sentence(value) for value in found[:_NAMED])
    more = f" So are {len(found) - _NAMED} more values." if len(found) > _NAMED else ""
    cure = next((f" {_CURE.format(value.in_use)}" for value in found if _has_cure(value)), "")
    return Finding(
        Reason.CREDENTIALS_CHANGED,
        f"{named}{more} Nothing of it is applied: accounts and processes go on with the values in "
        f"use, also those that start anew.{cure}",
    )


def _has_cure(value: ChangedValue) -> bool:
    return value.proven and not value.rotated


def _sentence(value: ChangedValue) -> str:
    where = f"Secret {value.secret}, key {value.key}"
    if value.service == ADMIN:
        return (
            f"{where}, is not the administrator's password that keystone knows; to change that, "
            "change it in keystone first (openstack user set --password), then here."
        )
    if value.rotated:
        return (
            f"{where}, was changed after it was taken: keystone's keys are in Secret "
            f"{value.in_use}, and are rotated there."
        )
    known = _KNOWN_BY.get(value.key, "the processes have")
    if not value.proven:
        return (
            f"{where}, and Secret {value.in_use} hold different values, and it is not noted which "
            f"of them {known}: write that one into both."
        )
    return f"{where}, is not the value that {known}."
