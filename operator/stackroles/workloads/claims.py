"""Volume claims of a role's members: which grow to the declared size, and why one does not."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from stackroles.api.v1alpha1.conditions import Reason
from stackroles.quantity import amount
from stackroles.workloads.conditions import Finding
from stackroles.workloads.listing import list_some

Object = dict[str, Any]

_NAMES: Final = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Growth:
    """What is to be done so that claims have a size.

    Attributes:
        claims: those to be changed.
        problem: why others keep another size, None where all have or get it.
    """

    claims: tuple[Object, ...] = ()
    problem: Finding | None = None


def lacks_room(claims: Iterable[Object], size: str) -> list[Object]:
    """Return the claims with a volume that ask for less than a size.

    The API server lets no claim grow that has no volume yet.
    """
    return [
        claim
        for claim in claims
        if claim.get("status", {}).get("phase") == "Bound" and requested(claim) < amount(size)
    ]


def plan_growth(
    role: str,
    workload: str,
    size: str | None,
    claims: Sequence[Object],
    expandable: Mapping[str, bool],
) -> Growth:
    """Return which claims grow.

    Args:
        role: the role, as the user's spec names it.
        workload: its StatefulSet.
        size: what the user declares, None where nothing is: claims that were enlarged by hand then
            keep what they have.
        claims: those of its members.
        expandable: whether each storage class that is named can expand volumes.
    """
    if size is None:
        return Growth()
    small = lacks_room(claims, size)
    grows = [c for c in small if expandable.get(c["spec"].get("storageClassName", ""), False)]
    fixed = [claim for claim in small if claim not in grows]
    large = [claim for claim in claims if requested(claim) > amount(size)]
    problem = _fixed(role, size, fixed) if fixed else None
    if large:
        problem = _large(role, workload, large)
    return Growth(claims=tuple(grows), problem=problem)


def refused(role: str, claim: Object, size: str, error: str) -> Finding:
    """Return the finding that the API server refused a larger claim."""
    return Finding(
        Reason.VOLUME_NOT_RESIZED,
        f"{_names([claim])} of {role}: {size} is refused: {error}. Make room for it (a quota?), or "
        f"set spec.roles.{role}.storage.size back.",
    )


def requested(claim: Object) -> Any:
    """Return the bytes that a claim asks for, as a decimal number."""
    return amount(claim["spec"]["resources"]["requests"]["storage"])


def _fixed(role: str, size: str, claims: Sequence[Object]) -> Finding:
    classes = sorted({claim["spec"].get("storageClassName") or "none" for claim in claims})
    return Finding(
        Reason.VOLUME_NOT_RESIZED,
        f"{_names(claims)} of {role} cannot grow to {size}: the storage class "
        f"({', '.join(classes)}) expands no volume (allowVolumeExpansion). Set "
        f"spec.roles.{role}.storage.size back; or have the members made again on volumes of that "
        "size one by one (docs/install.md, larger volumes).",
    )


def _large(role: str, workload: str, claims: Sequence[Object]) -> Finding:
    most = max((c["spec"]["resources"]["requests"]["storage"] for c in claims), key=amount)
    return Finding(
        Reason.VOLUME_NOT_RESIZED,
        f"{_names(claims)} of {role}: volumes do not shrink. Set spec.roles.{role}.storage.size to "
        f"{most}; or, where a claim has no volume yet, delete StatefulSet {workload} with "
        "--cascade=orphan, then the claim and its pod, so that both are made anew.",
    )


def _names(claims: Sequence[Object]) -> str:
    names = sorted(claim["metadata"]["name"] for claim in claims)
    return f"Volume claim{'s' if len(names) > 1 else ''} {list_some(names, _NAMES)}"
