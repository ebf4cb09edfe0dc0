"""What the Kubernetes API refuses in a pass: reported if it lasts, else retried."""

import re
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any, Final

import structlog

from stackroles.api.v1alpha1.conditions import Reason
from stackroles.errors import (
    ClusterError,
    Conflict,
    LeadershipLost,
    NotReady,
    OperatorError,
    Rejected,
    SpecInvalid,
    Throttled,
    Unavailable,
)
from stackroles.reconcile.blocked import write_blocked_status
from stackroles.reconcile.context import Context
from stackroles.workloads.conditions import Finding

Object = dict[str, Any]
log = structlog.get_logger(__name__)

# What is over with the next attempt is no finding: a conflict, an API server that is busy or away.
TEMPORARY: Final = (LeadershipLost, NotReady, SpecInvalid, Conflict, Throttled, Unavailable)
# How the API server says that a field cannot change (StatefulSets have a sentence of their own).
_IMMUTABLE_FIELDS = re.compile(r'\w+(?:\.\w+)* "[^"]+"(?= is invalid)')
_IMMUTABLE = ("field is immutable", "updates to statefulset spec for fields other than")


def assess_apply_failure(failure: ClusterError, others: Iterable[str] = ()) -> Finding:
    """Return why children were not applied, with what a user can do about it.

    Args:
        failure: the gravest error, with those of the same call as its notes.
        others: what else was refused.
    """
    errors = [str(failure), *getattr(failure, "__notes__", ()), *others]
    immutable = [text for text in errors if any(part in text for part in _IMMUTABLE)]
    if isinstance(failure, Rejected) and immutable:
        names = sorted({name for text in immutable for name in _IMMUTABLE_FIELDS.findall(text)})
        return Finding(
            Reason.IMMUTABLE_FIELD_CHANGED,
            f"{', '.join(names) or immutable[0]}: what was changed cannot change once the object "
            "exists (of a StatefulSet: the storage class of its volumes). Set it back; or "
            "delete it with kubectl delete --cascade=orphan, so that it is made again around its "
            "pods: volumes that exist stay as they are.",
        )
    return Finding(Reason.APPLY_FAILED, " Also: ".join(errors))


@asynccontextmanager
async def reporting_apply_failures(context: Context, resource: Object) -> AsyncIterator[None]:
    """Report in a resource's conditions what is refused and no retry may ever bring.

    Raises:
        OperatorError: what the body raised, after it was reported; or the status was not written.
    """
    try:
        yield
    except TEMPORARY:
        raise
    except ClusterError as error:
        await write_blocked_status(context, resource, assess_apply_failure(error))
        raise


class Attempts:
    """Actions of one pass of which none holds up the others.

    Errors are kept, so that the pass writes the status before it raises one; lost leadership and a
    spec that asks for what cannot be end the pass at once.
    """

    def __init__(self) -> None:
        self._lasting: list[ClusterError] = []
        self._temporary: list[OperatorError] = []

    @contextmanager
    def attempt(self) -> Iterator[None]:
        """Run one action, the body; what comes after it is reached also when it failed."""
        try:
            yield
        except (ClusterError, NotReady) as error:
            self.add(error)

    def add(self, error: ClusterError | NotReady) -> None:
        """Keep what an action failed with."""
        log.warning("An action failed; the pass goes on", error=str(error))
        if isinstance(error, ClusterError) and not isinstance(error, TEMPORARY):
            self._lasting.append(error)
        else:
            self._temporary.append(error)

    @property
    def apply_failure(self) -> Finding | None:
        """What was refused, None where nothing was."""
        errors = [str(error) for error in self._lasting[1:]]
        return assess_apply_failure(self._lasting[0], errors) if self._lasting else None

    @property
    def temporary(self) -> bool:
        """Whether something failed that the next attempt may bring."""
        return bool(self._temporary)

    def raise_failure(self) -> None:
        """Raise what failed, first what may be over soon; return where nothing did."""
        if failures := (*self._temporary, *self._lasting):
            raise failures[0]
