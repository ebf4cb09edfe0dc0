"""Phases of a restore that put the copy of the database in place, and form its cluster from it."""

import math
from dataclasses import replace
from typing import Any, Final

from stackroles.agents import wire
from stackroles.agents.galera.restore_protocol import RestoreMode, RestoreOutcome
from stackroles.domains.restore.build import (
    MemberWork,
    build_member,
    build_member_claim,
    member_name,
    source_url,
)
from stackroles.domains.restore.phases import NAMED, Abandoned, Progress
from stackroles.domains.restore.point_in_time import achieved, history_of
from stackroles.domains.restore.preflight import DATABASE_PART
from stackroles.domains.restore.reconcile_jobs import (
    JobState,
    end_job,
    ensure_job,
    find_job,
    has_ended,
    release_volumes,
)
from stackroles.domains.restore.reconcile_reader import ensure_reader, read_set
from stackroles.domains.restore.reconcile_services import set_stopped
from stackroles.domains.restore.reconcile_volumes import has_volume
from stackroles.domains.restore.work import Source, Work
from stackroles.reconcile.context import Context
from stackroles.roles import mariadb
from stackroles.workloads.listing import list_some
from stackroles.workloads.manifests.metadata import selector
from stackroles.workloads.pod import is_ready
from stackroles.workloads.restoring import RestoredHistory, Stopped

Object = dict[str, Any]
# The member that gets the copy; the others get it from that one.
_FIRST: Final = 0
# A try may take so long: what any volume and network do, and more.
_LEAST_SECONDS: Final = 1800
_BYTES_PER_SECOND: Final = 2 * 2**20
# The transactions of days, which one server applies one after the other.
_REPLAY_SECONDS: Final = 4 * 3600


async def put_data(context: Context, work: Work) -> Progress:
    """Put the copy onto the first member's volume, then empty those of the others.

    Raises:
        Abandoned: the copy cannot be put in place; every member has what it had.
    """
    outcome, message = await _copy(context, work)
    if outcome is None:
        return Progress(message=message)
    others = range(1, work.cloud.replicas[mariadb.NAME])
    left = [n for n in others if has_volume(context, work.cloud, n)]
    waiting = [why for n in left if (why := await _clear(context, work, n))]
    if waiting:
        return Progress(message=" ".join(waiting))
    history = RestoredHistory(
        member=f"{work.cloud.workload(mariadb.NAME)}-{_FIRST}",
        volume_id=outcome.volume_id,
        uuid=outcome.uuid,
        seqno=outcome.seqno,
    )
    return Progress(
        done=True,
        message=f"{outcome.bytes} bytes were put in place in {outcome.seconds:.0f} s."
        f"{_applied(work, outcome)}",
        found={
            "tables": outcome.tables,
            "position": f"{outcome.uuid}:{outcome.seqno}",
            **_point(work, outcome),
        },
        record=replace(work.record, history=history),
    )


def _point(work: Work, outcome: RestoreOutcome) -> dict[str, Any]:
    """Return the fields of the status that say what the copy was set to."""
    if at := work.spec.point_in_time:
        reached = achieved(at, outcome.until)
        return {"recovery_point": reached, "transactions": outcome.transactions}
    return {"recovery_point": work.status.preflight.taken_at if work.status.preflight else None}


def _applied(work: Work, outcome: RestoreOutcome) -> str:
    if work.spec.point_in_time is None:
        return ""
    return f" {outcome.transactions} transactions were applied, the last one {outcome.last}."


async def _copy(context: Context, work: Work) -> tuple[RestoreOutcome | None, str]:
    """Return what became of the copy, None while it is under way, and what is waited for."""
    state = await find_job(context, work.resource, member_name(work.parent.name, _FIRST))
    why = ""
    if state is None:
        if work.subject.found is None:
            return None, (
                "The recovery set, or what it refers to, is not to be had: bring it back, or "
                "delete this Restore, and the cloud goes on with what it had."
            )
        return await _begin_copy(context, work, work.subject.found)
    if not (state.complete or state.failed) and work.subject.found is not None:
        # Whoever takes the copy reads it from there.
        _, why = await ensure_reader(context, work.resource, work.cloud, work.subject.found)
    if state.failed:
        raise Abandoned(f"The copy could not be put in place. {state.failed}")
    outcome = await _outcome(context, work, _FIRST, state)
    return outcome, f"{state.message if outcome is None else ''} {why}".strip()


async def _begin_copy(context: Context, work: Work, source: Source) -> tuple[None, str]:
    """Have the copy put in place; return what is waited for."""
    manifest, why = await read_set(context, work.resource, work.cloud, source)
    if manifest is None:
        return None, why
    part = manifest.by_name()[DATABASE_PART]
    deadline = max(_LEAST_SECONDS, math.ceil(part.bytes / _BYTES_PER_SECOND))
    at = work.spec.point_in_time
    copy = MemberWork(
        ordinal=_FIRST,
        mode=RestoreMode.RESTORE,
        source=source_url(work.parent, DATABASE_PART),
        bytes=part.bytes,
        sha256=part.sha256,
        deadline=deadline + (_REPLAY_SECONDS if at else 0),
        until=int(at.timestamp()) if at else 0,
        history=history_of(manifest) if at else "",
    )
    # A cloud that is only just made has none: its database has not run.
    await context.cluster.create_once(build_member_claim(work.cloud, _FIRST))
    await _ensure_member(context, work, copy)
    return None, f"Putting the copy in the place of the data of member {_FIRST}."


async def _clear(context: Context, work: Work, ordinal: int) -> str:
    """Have a member's volume emptied; return what is waited for, empty when it is."""
    clear = MemberWork(ordinal=ordinal, mode=RestoreMode.CLEAR, deadline=_LEAST_SECONDS)
    state = await _ensure_member(context, work, clear)
    if await _outcome(context, work, ordinal, state) is not None:
        return ""
    return state.failed or state.message or f"Emptying the volume of member {ordinal}."


async def _ensure_member(context: Context, work: Work, member: MemberWork) -> JobState:
    children = build_member(work.cloud, work.parent, member)
    again = member.mode is RestoreMode.CLEAR
    return await ensure_job(context, work.resource, children, again=again)


async def _outcome(
    context: Context, work: Work, ordinal: int, state: JobState
) -> RestoreOutcome | None:
    """Return what the program of a Job left, None while it has not ended well, or left nothing.

    A pod may be gone, with its node, before what it left was read. Its Job is made again then: what
    is done already it only says.
    """
    if not state.complete:
        return None
    try:
        outcome = wire.loads(RestoreOutcome, state.message)
    except wire.WireError:
        outcome = None
    if outcome is not None and outcome.ok:
        return outcome
    if all(has_ended(pod) for pod in state.pods):
        await end_job(context, work.resource, member_name(work.parent.name, ordinal))
    return None


async def form(context: Context, work: Work) -> Progress:
    """Start the database on what was put in place; done once a member serves it.

    The others get it from that one while the services are set up, as in a first bring-up.
    """
    await release_volumes(context, work.resource)
    record = await set_stopped(context, work, Stopped.SERVICES)
    cloud = work.cloud
    pods = context.cluster.list("Pod", cloud.namespace, selector(cloud, mariadb.NAME))
    ready = sorted(pod["metadata"]["name"] for pod in pods if is_ready(pod))
    if not ready:
        return Progress(
            message=f"No member serves yet. {_database_message(work)}".strip(), record=record
        )
    serves = f"{list_some(ready, NAMED)} serves; the others join."
    return Progress(done=True, message=serves, record=record)


def _database_message(work: Work) -> str:
    """Return the database's message in the cloud's status, whose conditions are of the restore."""
    roles = (work.subject.controller.get("status") or {}).get("roles") or ()
    return next((r.get("message") or "" for r in roles if r["name"] == mariadb.NAME), "")
