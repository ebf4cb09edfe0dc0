"""Passwords and keys that a user supplies: what a Secret of theirs may hold, and in which form."""

import re
from collections.abc import Mapping

from stackroles.api.v1alpha1.conditions import Reason
from stackroles.domains.credentials.generate import RING_KEYS, account_keys, generated_keys
from stackroles.domains.credentials.keyring import is_fernet_key
from stackroles.errors import SpecInvalid
from stackroles.roles.definition import OpenStackService

# Letters that need no escaping in a URL, in SQL, in oslo.config (which expands "$") or in a shell.
_PASSWORD = re.compile(r"[A-Za-z0-9._~-]{8,128}")
# Keys that somebody else made; they are base64 as a rule.
_EXTERNAL = re.compile(r"[A-Za-z0-9._~/+=-]{1,256}")


def check_user_supplied(
    service: OpenStackService,
    secret: str,
    supplied: Mapping[str, str] | None,
    required: tuple[str, ...] = (),
) -> dict[str, str]:
    """Return the values of a user's Secret that a service takes.

    Args:
        service: the service.
        secret: the Secret's name, for messages.
        supplied: its decoded data, None when it does not exist.
        required: keys that must be among them.

    Raises:
        SpecInvalid: the Secret or a key is missing, or a value cannot be used.
    """
    where = f"spec.credentials.{service.name}: Secret {secret}"
    if supplied is None:
        raise SpecInvalid(
            Reason.CREDENTIALS_MISSING,
            f"{where} does not exist. Make it with {_wanted(service, required)}.",
        )
    taken = {key: value for key, value in supplied.items() if _is_taken(service, key)}
    accounts = account_keys(service)
    needed = (*required, *(accounts if any(key in taken for key in accounts) else ()))
    missing = [key for key in needed if key not in taken]
    if missing or not taken:
        what = f"has no {', '.join(missing)}" if missing else "holds nothing that is known"
        raise SpecInvalid(
            Reason.CREDENTIALS_MISSING, f"{where} {what}. Give it {_wanted(service, required)}."
        )
    bad = sorted(key for key, value in taken.items() if not _is_usable(service, key, value))
    if bad:
        raise SpecInvalid(
            Reason.CREDENTIALS_INVALID,
            f"{where} holds values that cannot be used in {', '.join(bad)}. A password has 8 to "
            "128 letters, digits or the signs . _ ~ - and no line end; keystone's keys are 32 "
            "bytes in URL-safe base64, as keystone-manage makes them.",
        )
    for ring in service.keyrings:
        keys = keyring_of(taken, ring)
        if keys and (len(keys) < len(RING_KEYS) or "0" not in keys):
            raise SpecInvalid(
                Reason.CREDENTIALS_INVALID,
                f"{where} holds a part of {ring}: bring {ring}.0, which is staged, and the keys in "
                "use with their numbers.",
            )
    return taken


def keyring_of(taken: Mapping[str, str], ring: str) -> dict[str, str]:
    """Return the keys of a repository among what was supplied, by number."""
    prefix = f"{ring}."
    return {k.removeprefix(prefix): v for k, v in taken.items() if k.startswith(prefix)}


def _is_taken(service: OpenStackService, key: str) -> bool:
    ring, _, number = key.rpartition(".")
    in_ring = ring in service.keyrings and number.isdecimal()
    return in_ring or key in generated_keys(service) or key in service.external


def _is_usable(service: OpenStackService, key: str, value: str) -> bool:
    if key in service.external:
        return _EXTERNAL.fullmatch(value) is not None
    if key in generated_keys(service):
        return _PASSWORD.fullmatch(value) is not None
    return is_fernet_key(value)


def _wanted(service: OpenStackService, required: tuple[str, ...]) -> str:
    """Return what a Secret for a service holds, as text."""
    accounts = account_keys(service)
    must = tuple(dict.fromkeys((*required, *(accounts if not required else ()))))
    rings = tuple(f"{ring}.0" for ring in service.keyrings)
    others = tuple(
        key for key in (*accounts, *service.secrets, *rings, *service.external) if key not in must
    )
    keys = f"the keys {', '.join(must)}" if must else ""
    if not others:
        return keys
    return f"{keys}; it may hold {', '.join(others)}" if keys else f"the keys {', '.join(others)}"
