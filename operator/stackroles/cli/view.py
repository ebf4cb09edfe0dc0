"""What is shown of a cloud, from its resources and pods; pure, and the form of `-o json`."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from stackroles.api.v1alpha1.common import ClusteringModel
from stackroles.api.v1alpha1.conditions import ConditionType, type_of
from stackroles.cli.recovery import RestoreUnderWay, under_way
from stackroles.constants import LABEL_NAME
from stackroles.roles import mariadb, registry
from stackroles.workloads.pod import is_ready

Object = dict[str, Any]

# Their meaning is in the others, or they tell nothing by themselves.
_SUMMARIES: Final = frozenset({ConditionType.READY.value, "Reconciling", "Stalled"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Trouble:
    """A condition that needs attention.

    Attributes:
        condition: its type.
        reason: its reason.
        message: what is wrong, where, and what to do.
        since: when it began, RFC 3339.
    """

    condition: str
    reason: str
    message: str
    since: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MemberView:
    """One member of a role.

    Attributes:
        pod: its pod.
        node: the pod's node, empty while it has none.
        ready: whether it is ready.
        part: `writer`, `active`, `standby`, or empty where all members are alike.
        restarts: of its containers.
    """

    pod: str
    node: str
    ready: bool
    part: str
    restarts: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RoleView:
    """One role.

    Attributes:
        name: the role.
        service: the service it belongs to.
        model: how it is clustered.
        desired: members wanted.
        ready: members ready.
        message: what is waited for, or what a loss costs; empty for nothing.
        members: its members, by name.
    """

    name: str
    service: str
    model: str
    desired: int
    ready: int
    message: str
    members: Sequence[MemberView]


@dataclass(frozen=True, slots=True, kw_only=True)
class RecoveryView:
    """A loss of members of a role, and how they came back.

    Attributes:
        role: the role.
        members: pods that were not ready at some time of it.
        decisions: what was decided for the role, in order.
        served: whether the role served all the while.
        started: when the loss was seen, RFC 3339.
        seconds: from the loss to all members again; None while some are lacking.
    """

    role: str
    members: Sequence[str]
    decisions: Sequence[str]
    served: bool
    started: str
    seconds: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class DependentView:
    """A ComputePool or BackupPolicy of the cloud.

    Attributes:
        kind: its kind.
        name: its name.
        ready: status of its condition Ready.
        summary: what there is of it, as a phrase.
        troubles: its conditions that need attention.
    """

    kind: str
    name: str
    ready: str
    summary: str
    troubles: Sequence[Trouble]


@dataclass(frozen=True, slots=True, kw_only=True)
class CloudView:
    """A cloud.

    Attributes:
        name: the CloudController.
        namespace: its namespace.
        ready: status of its condition Ready.
        reason: the reason of it.
        message: the message of it.
        release: the release that runs, empty before there is one.
        troubles: its conditions that need attention.
        roles: its roles, in the order of a bring-up.
        recoveries: its last losses of members, those under way and the newest first.
        dependents: its pools and policies.
        restores: its Restores that are under way.
        unreadable: what could not be read, a sentence each.
    """

    name: str
    namespace: str
    ready: str
    reason: str
    message: str
    release: str
    troubles: Sequence[Trouble]
    roles: Sequence[RoleView]
    recoveries: Sequence[RecoveryView]
    dependents: Sequence[DependentView]
    restores: Sequence[RestoreUnderWay]
    unreadable: Sequence[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What was read of a cloud, as the API serves it.

    Attributes:
        cloud: the CloudController.
        pods: the cloud's pods.
        pools: all ComputePools of the namespace.
        policies: all BackupPolicies of the namespace.
        restores: all Restores of the namespace.
        unreadable: what could not be read, a sentence each.
    """

    cloud: Object
    pods: Sequence[Object] = ()
    pools: Sequence[Object] = ()
    policies: Sequence[Object] = ()
    restores: Sequence[Object] = ()
    unreadable: Sequence[str] = ()


def view_of(found: Found) -> CloudView:
    """Return what is shown of a cloud."""
    metadata, status = found.cloud["metadata"], found.cloud.get("status") or {}
    ready = _condition(status, ConditionType.READY.value)
    pods: dict[str, list[Object]] = {}
    for pod in found.pods:
        pods.setdefault(pod["metadata"].get("labels", {}).get(LABEL_NAME, ""), []).append(pod)
    roles = [_role(role, pods.get(role["name"], ())) for role in status.get("roles") or ()]
    own = [*_own(found.pools, metadata["name"]), *_own(found.policies, metadata["name"])]
    return CloudView(
        name=metadata["name"],
        namespace=metadata.get("namespace", ""),
        ready=ready.get("status", "Unknown"),
        reason=ready.get("reason", "NotReconciled"),
        message=ready.get("message", "The operator has not reported yet."),
        release=status.get("release") or "",
        troubles=troubles_of(status),
        roles=roles,
        recoveries=[_recovery(record) for record in status.get("recoveries") or ()],
        dependents=[_dependent(resource) for resource in own],
        restores=under_way(found.restores, metadata["name"]),
        unreadable=found.unreadable,
    )


def troubles_of(status: Mapping[str, Any]) -> list[Trouble]:
    """Return the conditions of a status that are not as they should be, each message once."""
    found: dict[str, Trouble] = {}
    for condition in status.get("conditions") or ():
        kind = type_of(condition["type"])
        well = kind is None or kind.good is None or condition["status"] == kind.good
        if well or condition["type"] in _SUMMARIES:
            continue
        trouble = Trouble(
            condition=condition["type"],
            reason=condition.get("reason", ""),
            message=condition.get("message", ""),
            since=condition.get("lastTransitionTime", ""),
        )
        found.setdefault(trouble.message, trouble)
    return list(found.values())


def _condition(status: Mapping[str, Any], kind: str) -> Mapping[str, Any]:
    return next((c for c in status.get("conditions") or () if c["type"] == kind), {})


def _own(resources: Iterable[Object], cloud: str) -> list[Object]:
    return [found for found in resources if found.get("spec", {}).get("controller") == cloud]


def _role(status: Mapping[str, Any], pods: Iterable[Object]) -> RoleView:
    service = {role.name: role.service for role in registry.CONTROLLER_ROLES}
    name, active = status["name"], status.get("active")
    return RoleView(
        name=name,
        service=service.get(name, ""),
        model=status.get("model", ""),
        desired=status.get("desired", 0),
        ready=status.get("ready", 0),
        message=status.get("message") or "",
        members=sorted(
            (_member(pod, _part(status, pod, active)) for pod in pods),
            key=lambda member: member.pod,
        ),
    )


def _recovery(record: Mapping[str, Any]) -> RecoveryView:
    return RecoveryView(
        role=record["role"],
        members=record.get("members") or (),
        decisions=record.get("decisions") or (),
        served=record.get("served", True),
        started=record["startedAt"],
        seconds=record.get("durationSeconds"),
    )


def _part(status: Mapping[str, Any], pod: Object, active: str | None) -> str:
    writes = status["name"] == mariadb.NAME
    if not writes and status.get("model") != ClusteringModel.ACTIVE_PASSIVE.value:
        return ""
    if pod["metadata"]["name"] == active:
        return "writer" if writes else "active"
    return "standby"


def _member(pod: Object, part: str) -> MemberView:
    containers = pod.get("status", {}).get("containerStatuses") or ()
    return MemberView(
        pod=pod["metadata"]["name"],
        node=pod.get("spec", {}).get("nodeName", ""),
        ready=is_ready(pod),
        part=part,
        restarts=sum(container.get("restartCount", 0) for container in containers),
    )


def _dependent(resource: Object) -> DependentView:
    status = resource.get("status") or {}
    if resource["kind"] == "ComputePool":
        nodes, serving = status.get("nodes", 0), status.get("ready", 0)
        summary = f"{serving} of {nodes} nodes serve, {status.get('instances', 0)} instances"
    else:
        last = status.get("lastSuccessfulTime")
        summary = f"last verified backup {last}" if last else "no verified backup yet"
    return DependentView(
        kind=resource["kind"],
        name=resource["metadata"]["name"],
        ready=_condition(status, ConditionType.READY.value).get("status", "Unknown"),
        summary=summary,
        troubles=troubles_of(status),
    )
