"""What the status of a Restore says as it goes on."""

from datetime import datetime
from typing import Any, Final

from stackroles.api.v1alpha1.common import dump
from stackroles.api.v1alpha1.conditions import Reason
from stackroles.api.v1alpha1.restore import RestoreStatus
from stackroles.domains.restore.phases import (
    Phase,
    Progress,
    begun,
    completed_at,
    noted,
    started_at,
)
from stackroles.domains.restore.status import REASONS, running
from stackroles.kube.kinds import ref_of
from stackroles.reconcile.context import Context
from stackroles.workloads.conditions import Finding
from stackroles.workloads.run_conditions import conditions_of_run

Object = dict[str, Any]
APPLIED: Final = Finding(Reason.APPLIED)


class RestoreNotes:
    """The status of one Restore: as it was read, and as this pass has changed it.

    Args:
        context: what a pass is given.
        resource: the Restore.
    """

    def __init__(self, context: Context, resource: Object) -> None:
        self._context, self._resource = context, resource
        self.status = RestoreStatus.model_validate(resource.get("status") or {})

    @property
    def generation(self) -> int:
        """The generation of the spec that the pass acts on."""
        return int(self._resource["metadata"].get("generation", 0))

    @property
    def now(self) -> datetime:
        """The time, in whole seconds, as the API writes times."""
        return self._context.clock.now().replace(microsecond=0)

    @property
    def seconds(self) -> int:
        """Seconds from the pause of the APIs until they served again, or until now."""
        ended = completed_at(self.status.phases, Phase.OPEN) or self.now
        began = self.status.stopped_at or self.status.started_at or ended
        return max(0, round((ended - began).total_seconds()))

    def set(self, **fields: Any) -> None:
        """Change fields of the status; nothing is written yet."""
        self.status = self.status.model_copy(update=fields)

    def note(self, phase: Phase, progress: Progress) -> None:
        """Take over what a phase has found, and how far it is; nothing is written yet."""
        self.set(**progress.found)
        self.set(phases=noted(self.status.phases, phase, progress, self.now))

    async def enter(self, phase: Phase) -> None:
        """Write that a phase begins before it does anything: what a deletion costs hangs on it."""
        known = started_at(self.status.phases, phase)
        phases = begun(self.status.phases, phase, self.now)
        self.set(phase=phase.value, phases=phases)
        if known is None:
            await self.write(running(phase, ""))

    async def write(self, complete: Finding, reconciled: Finding = APPLIED) -> None:
        """Write the status.

        Args:
            complete: how the restore stands.
            reconciled: what is wrong with what it refers to.
        """
        at = (self.generation, self.now)
        conditions = conditions_of_run(REASONS, reconciled, complete, self.status.conditions, at)
        self.set(observed_generation=self.generation, conditions=conditions)
        await self._context.cluster.patch_status(self._resource, dump(self.status))

    async def end(self, finding: Finding) -> None:
        """Write how the restore ended, and have what is left of it tidied up."""
        self.set(completed_at=self.now, phase=None)
        await self.write(finding)
        self._context.enqueue(ref_of(self._resource))
