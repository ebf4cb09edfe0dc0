"""Values that people changed in a Secret: held back, and named with the cure.

A password is one thing in several places: an account, and the processes that log in. Until all of
them can change together, none does: pods read a copy of each Secret, which keeps the values that
the accounts have.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from stackroles.api.v1alpha1.conditions import Reason
from stackroles.domains.credentials.generate import (
    ADMIN,
    BROKER_PASSWORD,
    DATABASE_PASSWORD,
    SERVICE_PASSWORD,
)
from stackroles.workloads.conditions import Finding

_KNOWN_BY: Mapping[str, str] = {
    DATABASE_PASSWORD: "the database knows",
    BROKER_PASSWORD: "the broker knows",
    SERVICE_PASSWORD: "keystone knows",
}
_NAMED = 3


@dataclass(frozen=True, slots=True)
class ChangedValue:
    """A value that is not the one in use.

    Attributes:
        service: whose it is; "admin" for the administrator.
        secret: where it was changed.
        key: under which name.
        in_use: the Secret that has the value in use under the same name.
    """

    service: str
    secret: str
    key: str
    in_use: str


def hold(
    keys: Iterable[str], values: Mapping[str, str], in_use: Mapping[str, str]
) -> dict[str, str]:
    """Return the values to go on with: those in use, and what is not in use yet.

    Args:
        keys: the values that accounts and processes have to agree on.
        values: as they are in the Secret that people see.
        in_use: as pods read them; empty before the first time.
    """
    return dict(values) | {key: in_use[key] for key in keys if in_use.get(key)}


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
    return Finding(
        Reason.CREDENTIALS_CHANGED,
        f"{named}{more} Nothing of it is applied: accounts and processes go on with the values in "
        "use, also those that start anew. Passwords cannot be rotated yet: write the value in use "
        f"back, which is in Secret {found[0].in_use} under the same key.",
    )


def _sentence(value: ChangedValue) -> str:
    where = f"Secret {value.secret}, key {value.key}"
    if value.service == ADMIN:
        return (
            f"{where}, is not the administrator's password that keystone knows; to change that, "
            "change it in keystone first (openstack user set --password), then here."
        )
    return f"{where}, is not the value that {_KNOWN_BY.get(value.key, 'the processes have')}."
