"""Options of `spec.config`: what a name and a value may be, and what is no place for a secret.

Options end in ConfigMaps, which many may read. The API server applies the same rules, made from the
same data (codegen).
"""

import re
from typing import Annotated, Any

from pydantic import AfterValidator, Field

# Names under which the services keep passwords and keys, or URLs that carry one. What the operator
# passes itself comes through the environment, which wins over every file. Most programs take "-"
# and "_" for one.
_SECRET_NAMES = (
    *("connection", "slave_connection", "transport_url", "admin_token", "swift_store_key"),
    *("fixed_key", "hmac_keys", "root_token_id", "approle_secret_id"),
    *("wsrep_sst_auth", "stats auth"),
)
_SECRET_ENDINGS = ("password", "passwd", "_pass", "_secret", "secret_key", "access_key")
SECRET_NAMES, SECRET_ENDINGS = (
    tuple(dict.fromkeys((*written, *(name.replace("_", "-") for name in written))))
    for written in (_SECRET_NAMES, _SECRET_ENDINGS)
)
# Switches that only speak of passwords.
NOT_SECRET = ("inject_password", "enable_instance_password")
WHERE_SECRETS_GO = (
    "passwords and keys are no options: ConfigMaps would show them. They are made by the operator; "
    "bring your own by spec.credentials"
)

SECTION = r"^[A-Za-z0-9]([A-Za-z0-9_.:+ -]*[A-Za-z0-9])?$"
OPTION = r"^[A-Za-z0-9]([A-Za-z0-9_.+ -]*[A-Za-z0-9])?$"
# A line end in a value would begin another option, or another section.
LINE = r"^[^\r\n]*$"

_SECTION, _OPTION, _LINE = re.compile(SECTION), re.compile(OPTION), re.compile(LINE)
_USER_INFO = re.compile(r"://[^/@\s]*:[^/@\s]+@")


def is_secret_name(option: str) -> bool:
    """Return whether an option of this name holds a password or key.

    Where a program takes further spellings, its role's `spelling` comes first (roles/resolve.py).
    """
    option = option.replace("-", "_")
    if option in NOT_SECRET:
        return False
    return option in _SECRET_NAMES or option.endswith(_SECRET_ENDINGS)


def secret_rule() -> dict[str, str]:
    """Return the CEL rule of `is_secret_name`, for a map of options."""
    endings = " || ".join(f"o.endsWith('{ending}')" for ending in SECRET_ENDINGS)
    listed = f"o in {list(NOT_SECRET)} || !(o in {list(SECRET_NAMES)} || {endings})"
    return {"rule": f"self.all(o, {listed})", "message": WHERE_SECRETS_GO}


def _checked_sections(sections: dict[str, Any]) -> dict[str, Any]:
    bad = sorted(name for name in sections if not _SECTION.fullmatch(name))
    if bad:
        raise ValueError(f"{', '.join(map(repr, bad))} cannot be the name of a section")
    return sections


def _checked_options(options: dict[str, Any]) -> dict[str, Any]:
    """Refuse bad names and secrets; no message quotes a value."""
    for name, value in options.items():
        if not _OPTION.fullmatch(name):
            raise ValueError(f"{name!r} cannot be the name of an option")
        if is_secret_name(name) or _USER_INFO.search(str(value)):
            raise ValueError(f"{name}: {WHERE_SECRETS_GO}")
    return options


def _checked_value(value: int | str) -> int | str:
    if not _LINE.fullmatch(str(value)):
        raise ValueError("a value has one line")
    return value


# Options keep their own names; a boolean is written as a quoted string ("true"), since a structural
# schema knows "integer or string" but not "scalar".
_Value = Annotated[
    int | str,
    # As schema keywords only: pydantic would measure integers as well.
    Field(
        description="The option's value, on one line; booleans are quoted.",
        json_schema_extra={"maxLength": 4096, "pattern": LINE},
    ),
    AfterValidator(_checked_value),
]
ConfigSections = Annotated[
    dict[
        Annotated[str, Field(max_length=64)],
        Annotated[
            dict[Annotated[str, Field(max_length=64)], _Value],
            Field(
                max_length=128,
                description="Options of one section.",
                json_schema_extra={"x-kubernetes-validations": [secret_rule()]},
            ),
            AfterValidator(_checked_options),
        ],
    ],
    Field(max_length=32, description="Sections of one role's or service's configuration."),
    AfterValidator(_checked_sections),
]
