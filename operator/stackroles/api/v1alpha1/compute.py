"""ComputePool and ComputeNode: fleets of compute nodes, and one node of them."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated

from pydantic import Field

from stackroles.api.v1alpha1.common import (
    ATOMIC,
    Children,
    Conditions,
    LabelMap,
    Model,
    Name,
    Resources,
    Status,
    StatusPart,
)
from stackroles.api.v1alpha1.options import ConfigSections

Interface = Annotated[str, Field(min_length=1, max_length=15, pattern=r"^[A-Za-z0-9_.@-]+$")]


class VirtType(StrEnum):
    """What runs guests."""

    AUTO = "Auto"
    KVM = "kvm"
    QEMU = "qemu"


class PoolNetwork(Model):
    """How the pool's nodes reach each other and the outside."""

    interface: Interface | None = Field(
        None,
        description="The node's interface for tunnels and the provider network; it becomes a port "
        "of the bridge br-ex and its address moves there. Left out: no provider network, tunnels "
        "over the node's address.",
    )
    physical_network: str = Field(
        "physnet1",
        min_length=1,
        max_length=63,
        description="neutron's name of the provider network.",
    )
    gateway: bool = Field(True, description="Whether the nodes may carry router gateways.")


class PoolRoleSpec(Model):
    """What a user may declare for one compute role."""

    resources: Resources = Field(
        default_factory=Resources, description="What its main container may use."
    )
    sidecar_resources: Resources = Field(
        default_factory=Resources,
        description="What each other container of its pods may use, init containers included.",
    )
    image: str | None = Field(None, max_length=512, description="Image, in place of the default.")


class ComputePoolSpec(Model):
    """Compute nodes of one kind."""

    controller: Name = Field(
        description="The CloudController this pool belongs to, in the same namespace.",
        json_schema_extra={
            "x-kubernetes-validations": [
                {
                    "rule": "self == oldSelf",
                    "message": "controller cannot change: make a new pool and move the nodes",
                }
            ]
        },
    )
    node_selector: Annotated[LabelMap, Field(min_length=1)] = Field(
        description="Labels by which nodes are chosen."
    )
    virt_type: VirtType = Field(
        VirtType.AUTO,
        description="What runs guests. A probe guest must have run with it on the node before the "
        "node takes any: Auto tries KVM, and QEMU where KVM fails; kvm and qemu try only that.",
    )
    network: PoolNetwork = Field(
        default_factory=PoolNetwork, description="Tunnels and provider network."
    )
    availability_zone: str | None = Field(
        None,
        min_length=1,
        max_length=255,
        pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$",
        description="Availability zone of the pool's hosts; a host goes to another, or to none, "
        "when it has no guests.",
        json_schema_extra={
            "x-kubernetes-validations": [
                {
                    "rule": "self != 'nova'",
                    "message": "an availability zone must not be called nova",
                }
            ]
        },
    )
    roles: Annotated[
        dict[str, PoolRoleSpec],
        Field(max_length=16, json_schema_extra={"x-stackroles-keys": "compute-roles"}),
    ] = Field(
        default_factory=dict, description="Compute roles, where they differ from their defaults."
    )
    default_resources: Resources = Field(
        default_factory=Resources,
        description="What each container of the pool may use where its role does not say it; the "
        "CloudController's own default when left out.",
    )
    config: Annotated[
        dict[str, ConfigSections],
        Field(max_length=16, json_schema_extra={"x-stackroles-keys": "compute-config"}),
    ] = Field(default_factory=dict, description="Options by role, section and option.")
    build_failure_threshold: int = Field(
        3,
        ge=0,
        le=100,
        description="Builds of instances in a row that fail on a host for a reason of its own, "
        "after which its service is disabled until a probe guest has run there; 0 for never. At "
        "most half of the pool's hosts are disabled so at a time.",
    )
    suspend: bool = Field(
        False, description="Stop acting on this resource; what runs keeps running."
    )


class InstanceStates(StatusPart):
    """How many instances are in which state."""

    running: int = Field(0, ge=0, description="Running.")
    paused: int = Field(0, ge=0, description="Paused, by a user or by itself.")
    shut_off: int = Field(0, ge=0, description="Shut off.")
    crashed: int = Field(0, ge=0, description="Ended by a fault; to nova: in ERROR.")
    other: int = Field(0, ge=0, description="Any other, such as one that is being built.")


class ComputePoolStatus(Status):
    """What the operator saw and did."""

    observed_generation: int = Field(0, ge=0, description="The generation the status speaks of.")
    conditions: Conditions = Field((), description="Conditions of the pool.")
    nodes: int = Field(0, ge=0, description="Nodes selected.")
    ready: int = Field(0, ge=0, description="Nodes that serve guests.")
    vcpus: int = Field(0, ge=0, description="Virtual CPUs of the ready nodes.")
    memory_mib: int = Field(0, ge=0, description="Memory of the ready nodes, MiB.")
    instances: int = Field(0, ge=0, description="Instances on the pool's nodes.")
    unhealthy: tuple[str, ...] = Field(
        (),
        max_length=50,
        description="Nodes that do not serve.",
        json_schema_extra=ATOMIC,
    )
    availability_zone: str | None = Field(
        None, max_length=255, description="Zone that hosts were put into; kept until they left it."
    )
    children: Children = Field((), description="Children as last applied.")


class ComputeNodeSpec(Model):
    """One node's membership; made by the operator."""

    pool: Name = Field(description="The ComputePool.")
    node_name: Name = Field(description="The Kubernetes node.")


class ComputeNodeStatus(Status):
    """One compute node as observed."""

    observed_generation: int = Field(0, ge=0, description="The generation the status speaks of.")
    conditions: Conditions = Field((), description="Conditions of the node.")
    state: str = Field(
        "Enrolling", max_length=32, description="Enrolling, Ready, Unavailable or Leaving."
    )
    service_state: str | None = Field(
        None, max_length=32, description="nova's view: up or down, enabled or disabled."
    )
    virt_type: str | None = Field(None, max_length=16, description="kvm or qemu.")
    virt_proven: bool | None = Field(None, description="Whether a probe guest ran with it.")
    virt_reason: str | None = Field(
        None,
        max_length=1024,
        description="How the probe guest ran, and why something better did not, in the "
        "hypervisor's own message.",
    )
    cpu_mode: str | None = Field(
        None, max_length=32, description="nova's cpu_mode that the probe guest ran with."
    )
    machine_type: str | None = Field(
        None, max_length=64, description="Machine type that the probe guest ran with."
    )
    probed_at: str | None = Field(None, max_length=40, description="When the probe guest ran.")
    probe_request: str | None = Field(
        None,
        max_length=253,
        description="The annotation stackroles.io/probe, or the operator's own request, that this "
        "probe answers.",
    )
    compute_id: str | None = Field(None, max_length=64, description="nova's identity of the host.")
    host_uuid: str | None = Field(
        None, max_length=64, description="libvirt's identity of the host."
    )
    vcpus: int = Field(0, ge=0, description="Virtual CPUs.")
    memory_mib: int = Field(0, ge=0, description="Memory, MiB.")
    instances: int = Field(0, ge=0, description="Instances on the node, as nova counts them.")
    nova_states: InstanceStates = Field(
        default_factory=InstanceStates, description="Their states as nova knows them."
    )
    libvirt_states: InstanceStates | None = Field(
        None, description="Their states as libvirt knows them; left out while it is not known."
    )
    differences: tuple[str, ...] = Field(
        (),
        max_length=20,
        description="Instances about which nova and libvirt differ.",
        json_schema_extra=ATOMIC,
    )
    build_failures: int = Field(
        0, ge=0, description="Builds that failed here since the last one that succeeded."
    )
    builds_counted_from: datetime | None = Field(
        None, description="When a probe guest last answered failed builds; later ones count."
    )
    guest_probe: str | None = Field(
        None, max_length=63, description="The probe that was asked for when the host was disabled."
    )
    outdated: tuple[str, ...] = Field(
        (),
        max_length=16,
        description="Roles whose pod here has a former template.",
        json_schema_extra=ATOMIC,
    )
    children: Children = Field((), description="Children as last applied.")
