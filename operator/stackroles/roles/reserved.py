"""Options that would have no effect: the operator sets them where files are overridden."""

import re
from collections.abc import Iterable, Mapping

from stackroles.config.layers import Key, Sections
from stackroles.roles.container import Env, FieldEnv, Variable
from stackroles.roles.definition import RoleDefinition

# How oslo.config reads an option from the environment, which wins over its files.
_VARIABLE = re.compile(r"OS_(\w+?)__(\w+)")


def reserved_options(role: RoleDefinition) -> dict[Key, str]:
    """Return the options that a role takes from the operator alone, with what to do instead.

    Args:
        role: the role; the keys are those of its `spelling`.
    """
    found = {
        role.spelling(match[1] if match[1] == "DEFAULT" else match[1].lower(), match[2].lower()): (
            f"remove it, since {_origin(variable)}"
        )
        for container in role.containers
        for variable in container.env
        if (match := _VARIABLE.fullmatch(variable.name))
    }
    return found | dict(role.reserved)


def find_reserved(sections: Sections, role: RoleDefinition) -> Iterable[tuple[str, str, str]]:
    """Return section and name of each option that has no effect on a role, and the cure.

    Args:
        sections: a user's options.
        role: the role.
    """
    reserved: Mapping[Key, str] = reserved_options(role)
    for section, options in sections.items():
        for name, value in options.items():
            # A keyword of HAProxy's may go on in the value.
            for key in (role.spelling(section, name), role.spelling(section, f"{name} {value}")):
                if key in reserved:
                    yield section, name, reserved[key]
                    break


def _origin(variable: Variable) -> str:
    if isinstance(variable, FieldEnv):
        return f"each member has its own, from {variable.field_path} of its pod"
    if isinstance(variable, Env):
        return f"it always is {variable.value}"
    return "it comes from a Secret"
