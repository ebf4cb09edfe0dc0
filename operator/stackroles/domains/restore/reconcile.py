"""Restore: from its resource to a cloud that serves what a recovery set holds."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any, Final

from stackroles.api.v1alpha1.common import dump, parse_spec
from stackroles.api.v1alpha1.conditions import Reason
from stackroles.api.v1alpha1.restore import RestoreSpec, RestoreStatus
from stackroles.domains.restore.phases import Abandoned, Phase, Progress, begun, may_go_back, noted
from stackroles.domains.restore.reconcile_database import form, put_data
from stackroles.domains.restore.reconcile_keys import put_keys
from stackroles.domains.restore.reconcile_preflight import Waiting, check, find_subject
from stackroles.domains.restore.reconcile_reader import end_reader
from stackroles.domains.restore.reconcile_safety import back_up
from stackroles.domains.restore.reconcile_services import (
    open_services,
    pause,
    reconcile_others,
    set_up,
    stop,
)
from stackroles.domains.restore.status import (
    REASONS,
    failed,
    is_checked,
    is_ended,
    restored,
    running,
)
from stackroles.domains.restore.work import Subject, Work
from stackroles.errors import NotReady
from stackroles.kube.kinds import ref_of, uid_of
from stackroles.reconcile.apply_failures import reporting_apply_failures
from stackroles.reconcile.context import Context
from stackroles.reconcile.parts import service_of
from stackroles.reconcile.restoring import read_record, write_record
from stackroles.roles import registry
from stackroles.workloads.conditions import Finding
from stackroles.workloads.restoring import RestoreRecord, Stopped
from stackroles.workloads.run_conditions import conditions_of_run

Object = dict[str, Any]
_APPLIED: Final = Finding(Reason.APPLIED)
# Most of what is waited for is watched; the rest is looked at so often.
_LOOK_AGAIN: Final = 2.0

Handler = Callable[[Context, Work], Awaitable[Progress]]
_HANDLERS: Final[Mapping[Phase, Handler]] = {
    Phase.SAFETY_BACKUP: back_up,
    Phase.PAUSE: pause,
    Phase.STOP: stop,
    Phase.DATA: put_data,
    Phase.KEYS: put_keys,
    Phase.BOOTSTRAP: form,
    Phase.SETUP: set_up,
    Phase.RECONCILE: reconcile_others,
    Phase.OPEN: open_services,
}


async def reconcile_restore(context: Context, resource: Object) -> None:
    """Bring one Restore to its end; how it ended is never changed again."""
    deleted = resource["metadata"].get("deletionTimestamp")
    if is_ended(resource.get("status", {})):
        await end_reader(context, resource)
        await context.cluster.set_finalizer(resource, present=False)
        return
    if is_checked(resource) and not deleted:
        return
    async with reporting_apply_failures(context, resource):
        pass_ = RestorePass(context, resource)
        await (pass_.leave() if deleted else pass_.run())


class RestorePass:
    """One pass over one Restore."""

    def __init__(self, context: Context, resource: Object) -> None:
        self._context = context
        self._resource = resource
        self._status = RestoreStatus.model_validate(resource.get("status") or {})

    async def run(self) -> None:
        """Do what is to be done next, and write how far the restore is.

        Raises:
            NotReady: it is under way, or something is waited for.
        """
        spec = parse_spec(RestoreSpec, self._resource)
        try:
            subject = await find_subject(self._context, self._resource, spec)
            record = await self._begin(spec, subject)
        except Waiting as waiting:
            self._status = self._status.model_copy(update=waiting.found)
            await self._write(waiting.reconciled or _APPLIED, waiting.complete)
            if waiting.again:
                raise NotReady(waiting.complete.message, delay=waiting.again) from None
            return
        await self._go_on(spec, subject, record)

    async def leave(self) -> None:
        """Let a Restore go that is deleted before its end.

        While the former data is whole the cloud goes on with that; a restore that is past this goes
        on to its end first: half of one would be a cloud without a database.
        """
        spec = parse_spec(RestoreSpec, self._resource)
        namespace = self._resource["metadata"]["namespace"]
        controller = self._status.controller
        record = (
            await read_record(self._context.cluster, namespace, controller) if controller else None
        )
        mine = record is not None and record.uid == uid_of(self._resource) and not record.ended
        if record is not None and mine:
            subject = await find_subject(self._context, self._resource, spec)
            if not may_go_back(self._status.phases):
                await self._go_on(spec, subject, record)
            else:
                await self._release(subject, record)
        await end_reader(self._context, self._resource)
        await self._context.cluster.set_finalizer(self._resource, present=False)

    async def _begin(self, spec: RestoreSpec, subject: Subject) -> RestoreRecord:
        """Return the record of this Restore; it is made once nothing is missing any more.

        Raises:
            Waiting: something is missing, or only this was asked for.
        """
        cluster, cloud, now = self._context.cluster, subject.cloud, self._now()
        record = await read_record(cluster, cloud.namespace, cloud.name)
        if record is not None and record.uid == uid_of(self._resource):
            return record
        began = self._status.started_at or now
        phases = begun(self._status.phases, Phase.PREFLIGHT, now)
        self._status = self._status.model_copy(
            update={
                "controller": cloud.name,
                "started_at": began,
                "phase": Phase.PREFLIGHT.value,
                "phases": phases,
            }
        )
        found = await check(self._context, self._resource, spec, subject, record)
        await cluster.set_finalizer(self._resource, present=True)
        self._status = self._status.model_copy(
            update={"preflight": found, "recovery_set": subject.name}
        )
        done = Progress(done=True, message="Nothing is missing.")
        self._note(Phase.PREFLIGHT, done)
        await self._write(_APPLIED, running(Phase.PREFLIGHT, done.message))
        mine = RestoreRecord(
            name=self._resource["metadata"]["name"],
            uid=uid_of(self._resource),
            done=(Phase.PREFLIGHT.value,),
        )
        await write_record(cluster, cloud, record, mine)
        return mine

    async def _go_on(self, spec: RestoreSpec, subject: Subject, record: RestoreRecord) -> None:
        """Do the phases that are not done, one after the other."""
        for phase, handler in _HANDLERS.items():
            if phase in record.done:
                continue
            now = self._now()
            phases = begun(self._status.phases, phase, now)
            update = {"phase": phase.value, "phases": phases, "controller": subject.cloud.name}
            self._status = self._status.model_copy(update=update)
            work = Work(
                resource=self._resource,
                spec=spec,
                subject=subject,
                record=record,
                status=self._status,
                now=now,
            )
            try:
                progress = await handler(self._context, work)
            except Abandoned as error:
                await self._release(subject, record)
                await self._end(failed(str(error)))
                return
            self._status = self._status.model_copy(update=dict(progress.found))
            self._note(phase, progress)
            await self._write(_APPLIED, running(phase, progress.message))
            if not progress.done:
                raise NotReady(progress.message, delay=_LOOK_AGAIN)
            record = await self._receipt(subject, record, phase, progress)
        seconds = self._seconds()
        self._status = self._status.model_copy(update={"recovery_seconds": seconds})
        await self._end(restored(seconds, self._status.tables))

    async def _receipt(
        self, subject: Subject, before: RestoreRecord, phase: Phase, progress: Progress
    ) -> RestoreRecord:
        """Record that a phase is done; return the record."""
        cluster, cloud = self._context.cluster, subject.cloud
        known = await read_record(cluster, cloud.namespace, cloud.name)
        after = progress.record or before
        done = (*after.done, phase.value)
        after = replace(after, done=done, ended=phase is Phase.OPEN)
        await write_record(cluster, cloud, known, after)
        return after

    async def _release(self, subject: Subject, record: RestoreRecord) -> None:
        """Let the cloud go on with what it had."""
        cloud = subject.cloud
        after = replace(record, stopped=Stopped.NOTHING, ended=True)
        await write_record(self._context.cluster, cloud, record, after)
        for service in registry.SERVICES:
            self._context.enqueue(service_of(subject.controller, service.name))

    async def _end(self, finding: Finding) -> None:
        self._status = self._status.model_copy(update={"completed_at": self._now(), "phase": None})
        await self._write(_APPLIED, finding)
        self._context.enqueue(ref_of(self._resource))

    def _seconds(self) -> int:
        began = self._status.stopped_at or self._status.started_at or self._now()
        return max(0, round((self._now() - began).total_seconds()))

    def _note(self, phase: Phase, progress: Progress) -> None:
        phases = noted(self._status.phases, phase, progress, self._now())
        self._status = self._status.model_copy(update={"phases": phases})

    def _now(self) -> datetime:
        # Whole seconds, as the API writes times.
        return self._context.clock.now().replace(microsecond=0)

    async def _write(self, reconciled: Finding, complete: Finding) -> None:
        generation = self._resource["metadata"].get("generation", 0)
        at = (generation, self._now())
        conditions = conditions_of_run(REASONS, reconciled, complete, self._status.conditions, at)
        update = {"observed_generation": generation, "conditions": conditions}
        self._status = self._status.model_copy(update=update)
        await self._context.cluster.patch_status(self._resource, dump(self._status))
