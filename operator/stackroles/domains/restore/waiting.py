"""Why a Restore does not begin yet."""

from collections.abc import Mapping
from typing import Any, Final

from stackroles.api.v1alpha1.conditions import ConditionType, Reason
from stackroles.workloads.conditions import Finding

SOON: Final = 2.0
LATER: Final = 15.0


class Waiting(Exception):  # noqa: N818 - what happened
    """The restore does not begin yet; says what that waits for.

    Attributes:
        complete: how the restore stands.
        reconciled: what is wrong with what it refers to, None where nothing is.
        again: seconds until it is looked at again; 0 where only a change of the spec helps.
        found: fields of the status.
    """

    def __init__(
        self,
        complete: Finding,
        *,
        reconciled: Finding | None = None,
        again: float = 0.0,
        found: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(complete.message)
        self.complete, self.reconciled, self.again = complete, reconciled, again
        self.found = dict(found or {})


def waits_for(problem: Finding) -> Waiting:
    """Return what a Restore waits for: a finding about what it refers to, whatever its kind."""
    waits = Finding(Reason.RESTORE_BLOCKED, problem.message)
    about_spec = problem if problem.reason.type is ConditionType.RECONCILED else None
    return Waiting(waits, reconciled=about_spec, again=LATER)


def lacks(reason: Reason, message: str) -> Waiting:
    """Return what a Restore waits for: something that it needs, which the user has to bring."""
    return waits_for(Finding(reason, message))
