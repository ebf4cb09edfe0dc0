"""How faults are made and undone; undoing one twice, or after a restart, does no harm."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final

from lab.errors import LabError
from lab.soak.plan import FAULTS, Fault, Group
from lab.soak.testbed import ACTIVE_PASSIVE, PROGRAMS, ROLES, Testbed
from tests.support.power import cut, restore

STAGGER_SECONDS = 5.0
UNDO_SECONDS = 120
SOUTH = "ovn-sb"

Victims = Sequence[str]
Step = Callable[[Testbed, Victims], None]


def _nothing(_: Testbed, __: Victims) -> None:
    """Leave all as it is."""


@dataclass(frozen=True, slots=True)
class Action:
    """How a fault is made.

    Attributes:
        begin: makes it.
        hold: for how many seconds it lasts before it is undone.
        undo: takes it back.
        replaces: whether the victims' pods are other ones afterwards.
    """

    begin: Step
    hold: float = 0.0
    undo: Step = _nothing
    replaces: bool = False


def _at_once(action: Callable[[str], None], victims: Victims) -> None:
    """Do something to all victims at the same time."""
    with ThreadPoolExecutor(max_workers=len(victims)) as pool:
        list(pool.map(action, victims))


def _kill(program: str) -> Step:
    def begin(bed: Testbed, victims: Victims) -> None:
        _at_once(lambda pod: bed.signal(pod, program, "KILL"), victims)

    return begin


def _kill_staggered(program: str) -> Step:
    def begin(bed: Testbed, victims: Victims) -> None:
        for number, pod in enumerate(victims):
            if number:
                time.sleep(STAGGER_SECONDS)
            bed.signal(pod, program, "KILL")

    return begin


def _kill_ovn(bed: Testbed, victims: Victims) -> None:
    """Kill the members of both databases that have the victims' ordinals."""
    both = [*victims, *(_south(pod) for pod in victims)]
    _at_once(lambda pod: bed.signal(pod, PROGRAMS["ovn-nb"], "KILL"), both)


def _south(pod: str) -> str:
    """Return the member of the southbound database with the ordinal of a northbound one."""
    return pod.replace("-ovn-nb-", f"-{SOUTH}-")


def _freeze(program: str) -> Step:
    def begin(bed: Testbed, victims: Victims) -> None:
        _at_once(lambda pod: bed.signal(pod, program, "STOP"), victims)

    return begin


def _continue(program: str) -> Step:
    # 1 is the status of pkill where no process matches: an agent may have ended a frozen one.
    command = f"pkill --signal CONT --exact {program} || [ $? -eq 1 ]"

    def undo(bed: Testbed, victims: Victims) -> None:
        for pod in victims:
            _until_done(
                bed, f"{program} of {pod} continues", ("exec", pod, "--", "sh", "-c", command)
            )

    return undo


def _until_done(bed: Testbed, what: str, command: Sequence[str]) -> None:
    """Repeat a command until it succeeds: a pod that starts refuses it for a moment."""

    def check() -> tuple[bool, str]:
        try:
            bed.kubectl.run(*command)
        except LabError as error:
            return False, error.render()
        return True, ""

    bed.kubectl.wait(what, check, seconds=UNDO_SECONDS)


def _freeze_gate(bed: Testbed, victims: Victims) -> None:
    for pod in victims:
        node, process = bed.process(pod)
        bed.cluster.docker("exec", node, "kill", "-STOP", str(process))


def _continue_gate(bed: Testbed, victims: Victims) -> None:
    """Continue the gates of pods that still exist; kubelet ends one that was frozen for long."""
    for pod in set(victims).intersection(bed.cloud.members(ACTIVE_PASSIVE)):
        node, process = bed.process(pod)
        bed.cluster.docker("exec", node, "kill", "-CONT", str(process))


def _switch_over(bed: Testbed, _: Victims) -> None:
    lease = f"{bed.cloud.name}-{ACTIVE_PASSIVE}"
    bed.kubectl.run("annotate", "lease", lease, "stackroles.io/switchover=soak", "--overwrite")


def _delete_pods(bed: Testbed, victims: Victims) -> None:
    bed.kubectl.run("delete", "pod", *victims, "--force", "--grace-period=0")


def _lose_volume(bed: Testbed, victims: Victims) -> None:
    claims = [f"data-{pod}" for pod in victims]
    bed.kubectl.run("delete", "pvc", *claims, "--wait=false")
    _delete_pods(bed, victims)


def _lose_volumes_of_ovn(bed: Testbed, victims: Victims) -> None:
    """Lose the members of both databases that have the victims' ordinals."""
    _lose_volume(bed, [*victims, *(_south(pod) for pod in victims)])


def _restart_in_order(bed: Testbed, victims: Victims) -> None:
    """Delete the members of both databases in the order of the victims, as a person would."""
    for pod in victims:
        bed.kubectl.run("delete", "pod", pod, _south(pod), "--wait=false")


def in_network_of(bed: Testbed, pod: str) -> tuple[str, ...]:
    """Return the command that enters the network namespace of a pod, for docker."""
    node, process = bed.process(pod)
    return ("exec", node, "nsenter", "--target", str(process), "--net")


def part(role: str) -> Step:
    """Return what drops all that victims send to the other members; clients still reach them."""

    def begin(bed: Testbed, victims: Victims) -> None:
        members = bed.cloud.pods(role)
        for victim in victims:
            enter = in_network_of(bed, victim)
            for other in members:
                if other["metadata"]["name"] not in victims:
                    route = f"{other['status']['podIP']}/32"
                    bed.cluster.docker(*enter, "ip", "route", "add", "blackhole", route)

    return begin


def heal(role: str) -> Step:
    """Return what takes `part` back."""

    def undo(bed: Testbed, victims: Victims) -> None:
        for victim in set(victims).intersection(bed.cloud.members(role)):
            bed.cluster.docker(
                *in_network_of(bed, victim), "ip", "route", "flush", "type", "blackhole"
            )

    return undo


def _stop_nodes(bed: Testbed, victims: Victims) -> None:
    cut(bed.cluster, victims)


def _start_nodes(bed: Testbed, victims: Victims) -> None:
    restore(bed.cluster, victims)


_GALERA = ROLES[Group.GALERA]
_DATABASE, _BROKER = PROGRAMS["mariadb"], PROGRAMS["rabbitmq"]
_GALERA_KILL = Action(_kill(_DATABASE))
_BROKER_KILL = Action(_kill(_BROKER))
_OVN_KILL = Action(_kill_ovn)
_VOLUME = Action(_lose_volume, replaces=True)
_ACTIONS: Final = {
    (Group.GALERA_ALL, "kill all"): _GALERA_KILL,
    (Group.GALERA, "kill one"): _GALERA_KILL,
    (Group.GALERA, "kill writer"): _GALERA_KILL,
    (Group.GALERA, "freeze writer"): Action(_freeze(_DATABASE), 20, _continue(_DATABASE)),
    (Group.GALERA, "partition writer"): Action(part(_GALERA), 30, heal(_GALERA)),
    (Group.GALERA, "lose volume"): _VOLUME,
    (Group.GALERA, "kill all staggered"): Action(_kill_staggered(_DATABASE)),
    (Group.RABBITMQ, "kill one"): _BROKER_KILL,
    (Group.RABBITMQ, "kill two"): _BROKER_KILL,
    (Group.RABBITMQ, "kill all"): _BROKER_KILL,
    (Group.RABBITMQ, "freeze one"): Action(_freeze(_BROKER), 30, _continue(_BROKER)),
    (Group.RABBITMQ, "lose volume"): _VOLUME,
    (Group.OVN, "kill one"): _OVN_KILL,
    (Group.OVN, "kill two"): _OVN_KILL,
    (Group.OVN, "kill all"): _OVN_KILL,
    (Group.OVN, "lose volume"): Action(_lose_volumes_of_ovn, replaces=True),
    (Group.OVN, "restart all in another order"): Action(_restart_in_order, replaces=True),
    (Group.ACTIVE_PASSIVE, "delete active pod"): Action(_delete_pods, replaces=True),
    (Group.ACTIVE_PASSIVE, "freeze active gate"): Action(_freeze_gate, 20, _continue_gate),
    (Group.ACTIVE_PASSIVE, "planned switchover"): Action(_switch_over),
    (Group.NODE, "stop node"): Action(_stop_nodes, 60, _start_nodes),
}  # fmt: skip


def of(group: str, name: str) -> Action:
    """Return how a fault of a group is made.

    Raises:
        LabError: there is none of that name.
    """
    found = next((f for f in FAULTS if (f.group, f.name) == (group, name)), None)
    if found is None:
        raise LabError(f"no fault {name} of {group}")
    return action(found)


def action(fault: Fault) -> Action:
    """Return how a fault is made."""
    return _ACTIONS[fault.group, fault.name]
