"""How a role stands: its workload and pods, observed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from stackroles import naming
from stackroles.roles.definition import RoleDefinition, Workload
from stackroles.workloads.conditions import Finding
from stackroles.workloads.pod import first_finding, is_ready
from stackroles.workloads.rejected_pods import rejected
from stackroles.workloads.rolling import outdated

Object = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class RoleState:
    """One role as observed.

    Attributes:
        name: the role.
        present: whether its workload exists.
        desired: members wanted.
        ready: members that are ready.
        updated: members of the current template.
        lacking: pods that are not ready, and names of members that have none.
        outdated: members of an older template, one at least while the present one is not known.
        surplus: members beyond those wanted: of an older template, until their successors serve.
        current: whether its controller has seen the current template.
        problem: what holds it up and does not go away by itself.
        done: whether those that need it may start.
        available: whether it serves: a majority of a quorum role, one member of another.
    """

    name: str
    present: bool
    desired: int
    ready: int = 0
    updated: int = 0
    lacking: tuple[str, ...] = ()
    outdated: int = 0
    surplus: int = 0
    current: bool = False
    problem: Finding | None = None
    done: bool = False
    available: bool = False

    @property
    def complete(self) -> bool:
        """Whether all members run the current template and are ready, and none else is left.

        While one is, a ready member may be an old one that stands in for a new one.
        """
        return (
            self.present
            and self.current
            and self.updated >= self.desired
            and self.ready >= self.desired
            and not self.surplus
        )

    @property
    def rolling(self) -> bool:
        """Whether members of an older template are being replaced."""
        return self.present and (
            not self.current or self.updated < self.desired or self.surplus > 0
        )


def observe_role(
    role: RoleDefinition,
    desired: int,
    workload: Object | None,
    pods: Sequence[Object],
    now: datetime,
) -> RoleState:
    """Return how a role stands.

    Args:
        role: the role.
        desired: members it shall have; for a DaemonSet the workload's own count is taken.
        workload: its workload, None where it does not exist.
        pods: its pods.
        now: the time of the observation.
    """
    if workload is None:
        return RoleState(name=role.name, present=False, desired=desired)
    status = workload.get("status", {})
    surplus = 0
    if role.workload is Workload.DAEMON_SET:
        desired = status.get("desiredNumberScheduled", 0)
        ready, updated = status.get("numberReady", 0), status.get("updatedNumberScheduled", 0)
    else:
        ready, updated = status.get("readyReplicas", 0), status.get("updatedReplicas", 0)
        surplus = max(0, status.get("replicas", 0) - desired)
    generation = workload["metadata"].get("generation", 0)
    current = status.get("observedGeneration", 0) >= generation
    needed = role.minimum_ready if role.minimum_ready is not None else desired
    majority = desired // 2 + 1 if role.quorum else 1
    return RoleState(
        name=role.name,
        present=True,
        desired=desired,
        ready=ready,
        updated=updated,
        lacking=_lacking(role, desired, workload, pods),
        outdated=_outdated(role, workload, pods) if current else 1,
        surplus=surplus,
        current=current,
        problem=first_finding(pods, now) or _rejected(workload),
        done=current and ready >= min(needed, desired) and desired > 0,
        available=ready >= majority,
    )


def _outdated(role: RoleDefinition, workload: Object, pods: Sequence[Object]) -> int:
    """Return how many members are of an older template than the one its controller has seen.

    A StatefulSet counts a terminating pod among its replicas and not among those of the present
    template (computeReplicaStatus of Kubernetes), so that its counts show a roll where there is
    none: its pods are looked at.
    """
    status = workload.get("status", {})
    if role.workload is not Workload.STATEFUL_SET:
        return max(0, int(status.get("replicas", 0)) - int(status.get("updatedReplicas", 0)))
    # What it restarts itself it has not ended yet, though the last pod may be gone for a moment.
    rolls = role.update_strategy != "OnDelete" and (
        status.get("currentRevision") != status.get("updateRevision")
    )
    return max(len(outdated(workload, pods)), int(rolls))


def _lacking(
    role: RoleDefinition, desired: int, workload: Object, pods: Sequence[Object]
) -> tuple[str, ...]:
    """Return the pods that are not ready, and those that a StatefulSet has yet to make."""
    ready = {pod["metadata"]["name"]: is_ready(pod) for pod in pods}
    names = set(ready)
    if role.workload is Workload.STATEFUL_SET:
        names |= {naming.pod(workload["metadata"]["name"], number) for number in range(desired)}
    return tuple(sorted(name for name in names if not ready.get(name)))


def _rejected(workload: Object) -> Finding | None:
    """Return why pods could not even be created, where the workload says so."""
    for condition in workload.get("status", {}).get("conditions") or ():
        if condition.get("type") == "ReplicaFailure" and condition.get("status") == "True":
            return rejected(workload["metadata"]["name"], str(condition.get("message", "")))
    return None
