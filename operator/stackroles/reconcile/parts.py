"""Names of the parts of a CloudController that several domains refer to."""

from typing import Any, Final

from stackroles.kube.kinds import PartRef, ref_of

Object = dict[str, Any]

HOUSEKEEPING: Final = "housekeeping"
"""The part that has deleted rows counted and removed."""


def service_part(service: str) -> str:
    """Return the name of the part that brings up one service."""
    return f"services/{service}"


def service_of(resource: Object, service: str) -> PartRef:
    """Return the key of one service of a CloudController."""
    return PartRef(*ref_of(resource), service_part(service))


def housekeeping_of(resource: Object) -> PartRef:
    """Return the key of a CloudController's housekeeping."""
    return PartRef(*ref_of(resource), HOUSEKEEPING)
