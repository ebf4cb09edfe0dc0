"""Restore: from its resource to a cloud that serves what a recovery set holds."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from typing import Any, Final

from stackroles.api.v1alpha1.common import parse_spec
from stackroles.api.v1alpha1.conditions import Reason
from stackroles.api.v1alpha1.restore import RestoreSpec
from stackroles.domains.restore.phases import (
    Abandoned,
    Phase,
    Progress,
    begun,
    completed_at,
    has_gone,
    is_stuck,
    may_go_back,
)
from stackroles.domains.restore.reconcile_database import form, put_data
from stackroles.domains.restore.reconcile_former import make_former
from stackroles.domains.restore.reconcile_jobs import children_for_volumes, release_volumes
from stackroles.domains.restore.reconcile_keys import put_keys
from stackroles.domains.restore.reconcile_orphan import end_orphan
from stackroles.domains.restore.reconcile_preflight import check
from stackroles.domains.restore.reconcile_safety import back_up
from stackroles.domains.restore.reconcile_services import (
    open_services,
    pause,
    reconcile_others,
    set_up,
    stop,
)
from stackroles.domains.restore.reconcile_status import APPLIED, RestoreNotes
from stackroles.domains.restore.reconcile_subject import find_cloud, find_subject
from stackroles.domains.restore.status import (
    failed,
    is_answered,
    is_ended,
    restored,
    running,
)
from stackroles.domains.restore.waiting import Waiting
from stackroles.domains.restore.work import Subject, Work
from stackroles.errors import NotReady
from stackroles.kube.kinds import uid_of
from stackroles.reconcile.apply_failures import reporting_apply_failures
from stackroles.reconcile.context import Context
from stackroles.reconcile.parts import service_of
from stackroles.reconcile.restoring import end_record, read_record, write_record
from stackroles.reconcile.teardown import namespace_ends
from stackroles.roles import registry
from stackroles.workloads.conditions import Finding
from stackroles.workloads.restoring import RecordUnreadable, RestoreRecord, Stopped, released

Object = dict[str, Any]
# Most of what is waited for is watched; the rest is looked at so often.
_LOOK_AGAIN: Final = 2.0
_LOOK_LATER: Final = 15.0

Handler = Callable[[Context, Work], Awaitable[Progress]]
_HANDLERS: Final[Mapping[Phase, Handler]] = {
    Phase.RESOURCES: make_former,
    Phase.SAFETY_BACKUP: back_up,
    Phase.PAUSE: pause,
    Phase.STOP: stop,
    Phase.KEYS: put_keys,
    Phase.DATA: put_data,
    Phase.BOOTSTRAP: form,
    Phase.SETUP: set_up,
    Phase.RECONCILE: reconcile_others,
    Phase.OPEN: open_services,
}


async def reconcile_restore(context: Context, resource: Object) -> None:
    """Bring one Restore to its end; how it ended is never changed again."""
    deleted = resource["metadata"].get("deletionTimestamp")
    if is_ended(resource.get("status", {})):
        await release_volumes(context, resource)
        await context.cluster.set_finalizer(resource, present=False)
        return
    async with reporting_apply_failures(context, resource):
        pass_ = RestorePass(context, resource)
        await (pass_.leave() if deleted else pass_.run())


class RestorePass:
    """One pass over one Restore."""

    def __init__(self, context: Context, resource: Object) -> None:
        self._context = context
        self._resource = resource
        self._namespace = resource["metadata"]["namespace"]
        self._notes = RestoreNotes(context, resource)

    async def run(self) -> None:
        """Do what is to be done next, and write how far the restore is.

        Raises:
            NotReady: it is under way, or something is waited for.
        """
        spec = parse_spec(RestoreSpec, self._resource)
        record = await self._record()
        mine = record if record is not None and self._is_mine(record) else None
        if record is not None and has_gone(self._notes.status.phases, mine):
            await self._conclude(mine)
        elif mine is not None or not is_answered(self._notes.status, self._notes.generation):
            await self._advance(spec, mine)

    async def leave(self) -> None:
        """Let a Restore go that is deleted before its end.

        While the former data is whole the cloud goes on with that; a restore that is past this goes
        on to its end first: half of one would be a cloud without a database. One whose data is in
        place and which does not get on is let go after a while, and its cloud starts with that.
        """
        spec, phases = parse_spec(RestoreSpec, self._resource), self._notes.status.phases
        record = await self._record()
        if record is not None and self._is_mine(record) and not record.ended:
            namespace, name = self._namespace, self._notes.status.controller or ""
            if await self._is_cloud_gone(namespace, name):
                await end_record(self._context.cluster, namespace, name, record)
            elif self._may_go_back() or is_stuck(phases, self._notes.now):
                await self._release(self._cloud(namespace, name), record)
            else:
                await self._advance(spec, record)
        await release_volumes(self._context, self._resource)
        await self._context.cluster.set_finalizer(self._resource, present=False)

    def _cloud(self, namespace: str, name: str) -> Subject:
        """Return the cloud.

        Raises:
            NotReady: it is not seen yet.
        """
        try:
            return find_cloud(self._context, namespace, name)
        except Waiting as waiting:
            raise NotReady(str(waiting), delay=_LOOK_AGAIN) from None

    def _may_go_back(self) -> bool:
        """Return whether the former data was not touched, also where that was about to be."""
        if may_go_back(self._notes.status.phases):
            return True
        return not children_for_volumes(self._context, self._resource)

    async def _is_cloud_gone(self, namespace: str, name: str) -> bool:
        """Return whether there is no cloud that anything could go on with."""
        # One that was just made may not be seen yet, and must not start without its data.
        cluster, kind = self._context.cluster, "CloudController"
        controller = cluster.get(kind, namespace, name) or await cluster.read(kind, namespace, name)
        if controller is None or controller["metadata"].get("deletionTimestamp"):
            return True
        return await namespace_ends(self._context, self._resource)

    async def _record(self) -> RestoreRecord | None:
        """Return the record of the cloud, whosever it is.

        Raises:
            NotReady: it cannot be read.
        """
        namespace, controller = self._namespace, self._notes.status.controller
        if controller is None:
            # Its status names the cloud before anything is recorded.
            return None
        try:
            return await read_record(self._context.cluster, namespace, controller)
        except RecordUnreadable as error:
            await self._notes.write(Finding(Reason.RESTORE_BLOCKED, str(error)))
            raise NotReady(str(error), delay=_LOOK_LATER) from error

    def _is_mine(self, record: RestoreRecord) -> bool:
        return record.uid == uid_of(self._resource)

    async def _advance(self, spec: RestoreSpec, mine: RestoreRecord | None) -> None:
        """Go on from what is recorded of this Restore; None before it has begun."""
        try:
            subject = await self._find_subject(spec, mine)
            record = mine or await self._begin(spec, subject)
        except Waiting as waiting:
            self._notes.set(**waiting.found)
            await self._notes.write(waiting.complete, waiting.reconciled or APPLIED)
            if waiting.again:
                raise NotReady(waiting.complete.message, delay=waiting.again) from None
            return
        await self._go_on(spec, subject, record)

    async def _find_subject(self, spec: RestoreSpec, mine: RestoreRecord | None) -> Subject:
        """Return what the restore is about, without its source where that is needed no more.

        Raises:
            Waiting: something of it is not there, and nothing can be done without.
        """
        namespace, controller = self._namespace, self._notes.status.controller
        if mine is None or controller is None or may_go_back(self._notes.status.phases):
            return await find_subject(self._context, self._resource, spec)
        if Phase.DATA in mine.done:
            return find_cloud(self._context, namespace, controller)
        try:
            return await find_subject(self._context, self._resource, spec)
        except Waiting:
            # What takes the copy may have all of it.
            return find_cloud(self._context, namespace, controller)

    async def _begin(self, spec: RestoreSpec, subject: Subject) -> RestoreRecord:
        """Return the record of this Restore; it is made once nothing is missing any more.

        Raises:
            Waiting: something is missing, or only this was asked for.
        """
        cluster, cloud, notes = self._context.cluster, subject.cloud, self._notes
        record = await read_record(cluster, cloud.namespace, cloud.name)
        if record is not None and self._is_mine(record):
            return record
        if subject.controller["metadata"].get("deletionTimestamp"):
            waits = f"CloudController {cloud.name} is being deleted; it goes first."
            raise Waiting(running(Phase.PREFLIGHT, waits), again=_LOOK_LATER)
        if record is not None and not spec.dry_run:
            record = await end_orphan(self._context, cloud, record)
        began = notes.status.started_at or notes.now
        phases = begun(notes.status.phases, Phase.PREFLIGHT, notes.now)
        notes.set(
            controller=cloud.name, started_at=began, phase=Phase.PREFLIGHT.value, phases=phases
        )
        found = await check(self._context, self._resource, spec, subject, record)
        await cluster.set_finalizer(self._resource, present=True)
        notes.set(preflight=found, recovery_set=found.recovery_set)
        done = Progress(done=True, message="Nothing is missing.")
        notes.note(Phase.PREFLIGHT, done)
        await notes.write(running(Phase.PREFLIGHT, done.message))
        mine = RestoreRecord(
            name=self._resource["metadata"]["name"],
            uid=uid_of(self._resource),
            done=(Phase.PREFLIGHT.value,),
            # What a former Restore has made and left without data rests on.
            stopped=record.stopped if record is not None else Stopped.NOTHING,
            made=record is not None and record.stopped is not Stopped.NOTHING,
        )
        await write_record(cluster, cloud, record, mine)
        return mine

    async def _go_on(self, spec: RestoreSpec, subject: Subject, record: RestoreRecord) -> None:
        """Do the phases that are not done, one after the other."""
        for phase, handler in _HANDLERS.items():
            if phase in record.done:
                continue
            await self._notes.enter(phase)
            work = Work(
                resource=self._resource,
                spec=spec,
                subject=subject,
                record=record,
                status=self._notes.status,
                now=self._notes.now,
            )
            try:
                progress = await handler(self._context, work)
            except Abandoned as error:
                # Whoever goes on after this operator finds why there.
                self._notes.note(phase, Progress(message=str(error)))
                await self._notes.write(running(phase, str(error)))
                await self._release(subject, record)
                await self._notes.end(failed(str(error), made=record.made))
                return
            self._notes.note(phase, progress)
            await self._notes.write(running(phase, progress.message))
            if not progress.done:
                raise NotReady(progress.message, delay=_LOOK_AGAIN)
            record = await self._receipt(subject, record, phase, progress)
        await self._succeed()

    async def _succeed(self) -> None:
        seconds = self._notes.seconds
        self._notes.set(recovery_seconds=seconds)
        await self._notes.end(restored(seconds, self._notes.status.tables))

    async def _conclude(self, mine: RestoreRecord | None) -> None:
        """Write how a restore ended whose record says that it has, or is another's by now."""
        if completed_at(self._notes.status.phases, Phase.OPEN):
            await self._succeed()
        else:
            why = self._notes.status.phases[-1].message or "It was given up."
            rests = mine is not None and mine.stopped is not Stopped.NOTHING
            await self._notes.end(failed(why, made=rests))

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
        cloud, after = subject.cloud, released(record)
        await write_record(self._context.cluster, cloud, record, after)
        for service in registry.SERVICES:
            self._context.enqueue(service_of(subject.controller, service.name))
