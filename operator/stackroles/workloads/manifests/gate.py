"""Roles behind a gate: PID 1 of their pods is agents/gate, with the role's program as its child.

Every role behind the endpoint has one in both clustering models, so that a change of the model
changes nothing but the gate's settings. Of other roles only those whose members take turns do.
"""

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from stackroles.agents import wire
from stackroles.agents.gate import protocol
from stackroles.agents.gate.protocol import ClaimSettings, GateSettings, Health
from stackroles.agents.status_protocol import READY_PATH, STATUS_PATH
from stackroles.api.v1alpha1.common import OnApiLoss
from stackroles.config.owner import Owner
from stackroles.constants import ANNOTATION_CLUSTERING
from stackroles.roles.clustering import model_of, takes_turns, workload_of
from stackroles.roles.container import (
    AGENT_COMMAND,
    AGENT_PATH,
    START_SECONDS,
    AgentMount,
    Container,
    FieldEnv,
    PodRight,
    Port,
    Probe,
)
from stackroles.roles.definition import Files, OwnerT, RoleDefinition
from stackroles.workloads.manifests.metadata import Manifest, labels, metadata

SETTINGS: Final = "/etc/stackroles/gate.json"
# The proxies ask a member every two seconds: one that leaves goes on for this long.
_DRAIN_SECONDS: Final = 3.0
_LEASE_SECONDS: Final = 8
# Of the Lease's duration: when a member that cannot renew has stopped, and how often it renews.
_DEADLINE: Final = 0.75
_RETRY: Final = 0.1875


def behind_gate(owner: OwnerT, role: RoleDefinition[OwnerT]) -> RoleDefinition[OwnerT]:
    """Return a role as its pods run it: with a gate around its main container where it has one.

    Args:
        owner: the resource that the role belongs to.
        role: as it is defined.
    """
    turns = takes_turns(role, owner)
    if not (role.endpoint or turns):
        return role
    settings = _settings(owner, role)
    main, *others = role.containers
    right = PodRight(
        group="coordination.k8s.io",
        resources=("leases",),
        verbs=("get", "update"),
        names=(lease_of(owner, role),),
        because="the member that holds the Lease is the active one",
    )
    return replace(
        role,
        workload=workload_of(role, owner),
        update_strategy="RollingUpdate" if turns else role.update_strategy,
        files=_with_settings(role.files, settings),
        grace_period=math.ceil(settings.longest_stop),
        containers=(_around(main, turns=turns), *others),
        rights=(*role.rights, *((right,) if turns else ())),
    )


def gate_annotations(owner: Owner, role: RoleDefinition) -> Mapping[str, str]:
    """Return what a role's pods show of their gate, nothing without one."""
    if not (role.endpoint or takes_turns(role, owner)):
        return {}
    return {ANNOTATION_CLUSTERING: model_of(role, owner).value}


def lease_of(owner: Owner, role: RoleDefinition) -> str:
    """Return the name of the Lease that an ActivePassive role's members take turns by."""
    return owner.workload(role.name)


def build_lease(owner: Owner, role: RoleDefinition) -> Manifest:
    """Return the Lease of a role whose members take turns; who holds it is theirs to write."""
    return {
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": metadata(owner, lease_of(owner, role), labels(owner, role.name, role.service)),
        "spec": {},
    }


def _with_settings(files: Files[OwnerT] | None, settings: GateSettings) -> Files[OwnerT]:
    def rendered(owner: OwnerT) -> Mapping[str, str]:
        own = files(owner) if files else {}
        return {**own, SETTINGS: wire.dumps(settings, indent=1)}

    return rendered


def _settings(owner: Owner, role: RoleDefinition) -> GateSettings:
    main = role.containers[0]
    return GateSettings(
        command=main.command,
        health=Health(port=main.ports[0].number, path=role.health) if role.health else None,
        drain_seconds=_DRAIN_SECONDS if role.endpoint else 0.0,
        stop_seconds=float(role.grace_period),
        claim=_claim(owner, role) if takes_turns(role, owner) else None,
    )


def _claim(owner: Owner, role: RoleDefinition) -> ClaimSettings:
    failover = owner.settings(role.name).failover
    seconds = failover.lease_duration_seconds or _LEASE_SECONDS
    return ClaimSettings(
        lease=lease_of(owner, role),
        namespace=owner.namespace,
        standby=protocol.Standby(failover.standby or role.clustering.standby[0]),
        duration_seconds=seconds,
        renew_deadline_seconds=seconds * _DEADLINE,
        retry_seconds=seconds * _RETRY,
        on_api_loss=protocol.OnApiLoss(failover.on_api_loss or OnApiLoss.STOP),
    )


def _around(main: Container, *, turns: bool) -> Container:
    """Return a role's main container with the gate as PID 1, and asked instead of its program.

    A member that is ready may take its turn; who is active is the proxies' own check. Where members
    take turns the gate has started when it answers: a cold standby starts nothing else.
    """
    env = (AGENT_PATH, FieldEnv("POD_NAME", "metadata.name"), FieldEnv("POD_UID", "metadata.uid"))
    mounts = () if any(isinstance(m, AgentMount) for m in main.mounts) else (AgentMount(),)
    path = STATUS_PATH if turns else READY_PATH
    known = {variable.name for variable in main.env}
    return replace(
        main,
        command=(*AGENT_COMMAND, "stackroles.agents.gate.agent", SETTINGS),
        ports=(*main.ports, Port("gate", protocol.PORT)),
        startup=Probe(
            port=protocol.PORT,
            http_path=path,
            failures=START_SECONDS,
            period=1,
        ),
        readiness=Probe(port=protocol.PORT, http_path=READY_PATH, period=2),
        env=(*main.env, *(variable for variable in env if variable.name not in known)),
        mounts=(*main.mounts, *mounts),
    )
