"""Asks a cloud's APIs again and again whether they serve."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field, replace

from stackroles.config.cloud import Cloud
from stackroles.domains.cloud.served import FAILURES_REPORTED, UNAUTHORIZED, ApiState, next_state
from stackroles.kube.kinds import ObjectRef
from stackroles.openstack.access import administrator
from stackroles.openstack.probe import REQUEST_SECONDS, ask_apis
from stackroles.reconcile.context import Context, Observation
from stackroles.roles import keystone
from stackroles.roles.definition import OpenStackService

# Two failures in a row are reported: with the time-outs of both, within two minutes.
_INTERVAL = 30.0
# A token, another one where that is refused, and the lists.
_DEADLINE = 3 * REQUEST_SECONDS + 5.0
# So long the last answer is believed while the APIs cannot be asked.
_BELIEVED = 90.0


@dataclass(frozen=True, slots=True)
class ServedApis:
    """What is known of a cloud's APIs in one pass.

    Attributes:
        state: what they answered, None before the first answer and when the last is too old.
        error: why they cannot be asked, empty while the last answer is believed.
        expected: roles of APIs that are asked: those with members which are ready.
        keystone: the role that gives tokens.
    """

    state: ApiState | None = None
    error: str = ""
    expected: frozenset[str] = field(default_factory=frozenset)
    keystone: str = keystone.KEYSTONE.name


def accepted_password(context: Context, ref: ObjectRef) -> str:
    """Return a password that keystone takes where it refuses the one in use, else an empty one."""
    seen = context.poller.latest(_poll_name(ref))
    return seen.value.accepted if seen and seen.value else ""


def _poll_name(ref: ObjectRef) -> str:
    return f"{ref}/apis"


def watch_apis(
    context: Context,
    ref: ObjectRef,
    cloud: Cloud,
    services: Iterable[OpenStackService],
    *,
    available: Collection[str],
    password: str,
    offered: str = "",
) -> ServedApis:
    """Have the APIs asked through their Services from now on; return what is known of them.

    Called only once keystone was filled: until then somebody else may answer at its address, to
    whom the password is not to be shown.

    Args:
        context: the poller.
        ref: the CloudController, which is reconciled when an answer differs from the last.
        cloud: the same, resolved.
        services: the services there are.
        available: roles with members that are ready.
        password: the administrator's, as it is in use.
        offered: another one, which is tried where keystone refuses that in use: whoever changed it
            in keystone has written it into the Secret.
    """
    entries = [c for service in services if (c := service.catalogue) and c.role in available]
    lists = {
        c.role: cloud.endpoint(c.role, c.port).url(f"{c.path}{c.listing}")
        for c in entries
        if c.listing
    }
    expected = frozenset(c.role for c in entries)
    name, account = _poll_name(ref), administrator(cloud, password)
    if keystone.KEYSTONE.name not in expected:
        context.poller.forget(name)
        return ServedApis()

    async def ask() -> ApiState:
        seen = context.poller.latest(name)
        answers = await ask_apis(account, keystone.KEYSTONE.name, lists)
        refused = answers[keystone.KEYSTONE.name][0] == UNAUTHORIZED
        if refused and offered:
            other = await ask_apis(administrator(cloud, offered), keystone.KEYSTONE.name, lists)
            if other[keystone.KEYSTONE.name][0] != UNAUTHORIZED:
                return replace(next_state(seen.value if seen else None, other), accepted=offered)
        state = next_state(seen.value if seen else None, answers)
        if any(f.count < FAILURES_REPORTED for f in state.failures.values()):
            # keystone's content may be what is wrong: it is put right at once, not in ten minutes.
            context.tasks.refresh(f"{ref}/{keystone.CATALOGUE}")
        return state

    seen = context.poller.latest(name)
    context.poller.ensure(
        name, ask, interval=_INTERVAL, deadline=_DEADLINE, notify=ref, target=name
    )
    state, error = _believed(context, ref, seen)
    if state is not None and not state.failures and expected - state.asked:
        context.poller.refresh(name)
    return ServedApis(state=state, error=error, expected=expected)


def _believed(
    context: Context, ref: ObjectRef, seen: Observation | None
) -> tuple[ApiState | None, str]:
    """Return the last answer, or why there is none that can be believed."""
    if seen is None or not seen.error or seen.failing_since is None:
        return (seen.value if seen else None), ""
    left = seen.failing_since + _BELIEVED - context.clock.monotonic()
    if left <= 0:
        return None, seen.error
    # A poll that goes on to fail enqueues nothing: no pass would run when belief ends.
    context.enqueue(ref, left + 1.0)
    return seen.value, ""
