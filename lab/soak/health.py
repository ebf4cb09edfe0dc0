"""Full strength: every member of every role serves, and the operator has nothing under way."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from typing import TypeVar

from lab import install
from lab.errors import LabError
from lab.kubectl import Object, condition_of, holds
from lab.soak.plan import Cycle, Group, Target
from lab.soak.testbed import ACTIVE_PASSIVE, Testbed
from stackroles.agents import wire
from stackroles.agents.galera import protocol as galera
from stackroles.agents.ovsdb import protocol as ovsdb
from stackroles.agents.status_protocol import STATUS_PATH
from tests.support.broker_status import lacking
from tests.support.clustering import active

SECONDS: Mapping[Group, float] = dict.fromkeys(Group, 420.0) | {Group.NODE: 900.0}
"""How long full strength may take; what takes longer is stuck."""
PERIOD_SECONDS = 3.0
"""A check starts kubectl several times, on the cores that members need to come back."""
OVN_ROLES = ("ovn-nb", "ovn-sb")
POOL = "compute"

T = TypeVar("T")
Check = Callable[[Testbed], str]


def identities(bed: Testbed) -> dict[str, str]:
    """Return pod -> uid of all pods of the cloud."""
    return {pod["metadata"]["name"]: pod["metadata"]["uid"] for pod in bed.cloud.pods()}


def missing(bed: Testbed, replaced: Mapping[str, str]) -> str:
    """Return what full strength lacks as text, empty where nothing is lacking.

    Args:
        bed: where to look.
        replaced: pod -> uid of pods that must be other ones, or gone.
    """
    objects: tuple[Check, ...] = (_cloud, _pool, lambda bed: _pods(bed, replaced))
    members: tuple[Check, ...] = (_database, _brokers, _ovn, _active)
    # Members are asked last and one by one, which costs the cores that they need to come back.
    return next(filter(None, (_checked(check, bed) for check in (*objects, *members))), "")


def wait(bed: Testbed, seconds: float, replaced: Mapping[str, str]) -> None:
    """Wait until nothing is lacking.

    Raises:
        LabError: it was not so in time.
    """

    def check() -> tuple[bool, str]:
        found = missing(bed, replaced)
        return not found, found

    bed.kubectl.wait("full strength", check, seconds=seconds, period=PERIOD_SECONDS)


def switched(bed: Testbed, cycle: Cycle, former: Iterable[str], seconds: float) -> None:
    """Wait until another member than the former one is active, where that is what a cycle is about.

    Raises:
        LabError: it was not so in time.
    """
    if cycle.fault.target is not Target.ACTIVE:
        return

    def check() -> tuple[bool, str]:
        found = active(bed.cloud, ACTIVE_PASSIVE)
        return found not in ("", *former), f"active: {found or 'none'}"

    bed.kubectl.wait(f"another active member of {ACTIVE_PASSIVE}", check, seconds=seconds)


def _checked(check: Check, bed: Testbed) -> str:
    try:
        return check(bed)
    except LabError as error:
        # Never empty, which would count as whole.
        return next(reversed(error.detail.split("\n")), "") or error.what


def _cloud(bed: Testbed) -> str:
    found = bed.cloud.resource()
    ready, state = holds(found, "Ready")
    if not ready:
        return f"cloud: {state}"
    reconciling = condition_of(found, "Reconciling")
    return "" if reconciling.get("status") == "False" else f"cloud: {reconciling.get('message')}"


def _pool(bed: Testbed) -> str:
    found = bed.kubectl.get("computepool", POOL)
    if found is None:
        return f"no ComputePool {POOL}"
    ready, state = holds(found, "Ready")
    return "" if ready else f"pool: {state}"


def _pods(bed: Testbed, replaced: Mapping[str, str]) -> str:
    pods = bed.cloud.pods()
    waiting = [name(pod) for pod in pods if condition_of(pod, "Ready").get("status") != "True"]
    former = [name(pod) for pod in pods if replaced.get(name(pod)) == pod["metadata"]["uid"]]
    texts = (("not ready", waiting), ("not replaced yet", former))
    return ", ".join(f"{text}: {' '.join(pods)}" for text, pods in texts if pods)


def name(found: Object) -> str:
    """Return the name of an object."""
    return str(found["metadata"]["name"])


def _database(bed: Testbed) -> str:
    members = bed.cloud.members("mariadb")
    texts = []
    for member in members:
        view = _answer(bed, member, galera.PORT, galera.REPORT_PATH, galera.Report).view
        if view is None or not view.synced or view.size != len(members):
            texts.append(f"{member}: {view or 'no server answers'}")
    return ", ".join(texts)


def _answer(bed: Testbed, member: str, port: int, path: str, kind: type[T]) -> T:
    """Return what a member's agent answers.

    Raises:
        LabError: it does not answer, or not with that kind of message.
    """
    answer = bed.cloud.agent(member, port, path)
    try:
        return wire.loads(kind, answer)
    except wire.WireError as error:
        raise LabError(f"{member}: no {kind.__name__}: {answer[:160]}") from error


def _brokers(bed: Testbed) -> str:
    found = lacking(bed.cloud, bed.cloud.members("rabbitmq"))
    return f"brokers: {json.dumps(found)}" if found else ""


def _ovn(bed: Testbed) -> str:
    texts = []
    for role in OVN_ROLES:
        members = bed.cloud.members(role)
        for member in members:
            status = _answer(bed, member, ovsdb.PORT, STATUS_PATH, ovsdb.OvsdbStatus)
            servers = len(status.view.servers) if status.view else 0
            whole = (
                status.state is ovsdb.State.MEMBER and status.connected and servers == len(members)
            )
            if not whole:
                texts.append(f"{member}: {status.state}, {servers} of {len(members)} servers")
    return ", ".join(texts)


def _active(bed: Testbed) -> str:
    return "" if active(bed.cloud, ACTIVE_PASSIVE) else f"no active member of {ACTIVE_PASSIVE}"


def operator(bed: Testbed) -> None:
    """Wait until the operator is there: node losses take its pods, too."""
    install.wait_operator(bed.site, lambda _: None)
