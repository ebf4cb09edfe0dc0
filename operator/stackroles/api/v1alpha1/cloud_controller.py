"""CloudController: clusters of controller services that form one cloud."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field

from stackroles.api.v1alpha1.common import (
    ATOMIC,
    Children,
    ClusteringModel,
    Conditions,
    DeletionPolicy,
    Failover,
    Model,
    Name,
    Placement,
    Resources,
    Status,
    StatusPart,
    Storage,
    list_map,
)
from stackroles.api.v1alpha1.housekeeping import Housekeeping, ServiceHousekeeping
from stackroles.api.v1alpha1.options import ConfigSections


class Clustering(Model):
    """How a role is clustered."""

    model: ClusteringModel | None = Field(
        None, description="ActiveActive or ActivePassive; each role has its own default."
    )
    replicas: int | None = Field(None, ge=1, le=9, description="Members of the role.")
    failover: Failover = Field(
        default_factory=Failover, description="How an ActivePassive role fails over."
    )


class Recovery(Model):
    """A user's consent to go on without what only lost members held."""

    survivor: Name = Field(
        alias="from", description="Name of the pod whose data the role continues from."
    )
    incident: str = Field(
        pattern=r"^[0-9a-f]{8}$",
        description="The incident that is meant, as a condition names it; without effect on any "
        "other.",
    )


class ReplaceMember(Model):
    """A user's consent to give up the volume of a member that is gone for good."""

    member: Name = Field(description="Name of the pod that is rebuilt from the other members.")
    incident: str = Field(
        pattern=r"^[0-9a-f]{8}$",
        description="The incident that is meant, as a condition names it; without effect on any "
        "other.",
    )


class RoleSpec(Model):
    """What a user may declare for one role."""

    clustering: Clustering = Field(
        default_factory=Clustering, description="How the role is clustered."
    )
    placement: Placement = Field(default_factory=Placement, description="Where its pods may run.")
    resources: Resources = Field(
        default_factory=Resources, description="What its main container may use."
    )
    storage: Storage = Field(default_factory=Storage, description="The volume of each member.")
    image: str | None = Field(
        None,
        max_length=512,
        description="Image of this role and of its service's setup Jobs, in place of the "
        "operator's default.",
    )
    recovery: Recovery | None = Field(
        None,
        description="A majority of the members is lost for good: continue from this one, without "
        "what only the others held.",
    )
    replace_member: ReplaceMember | None = Field(
        None,
        description="A member is gone for good with the node of its volume, and others serve: "
        "delete its volume claim and its pod, so that it is rebuilt elsewhere.",
    )


class ImageSource(Model):
    """Where role images come from."""

    registry: str | None = Field(
        None, max_length=255, description="Registry and path; the operator's default when left out."
    )
    tag: str | None = Field(
        None, max_length=128, description="Tag; the operator's default when left out."
    )
    pull_secrets: tuple[Name, ...] = Field(
        (),
        max_length=8,
        description="Secrets for pulling.",
        json_schema_extra=ATOMIC,
    )


class CloudControllerSpec(Model):
    """A cloud's control plane; `{}` gives a working small one."""

    release: Literal["2025.1"] = Field("2025.1", description="OpenStack release.")
    region: str = Field(
        "RegionOne",
        min_length=1,
        max_length=255,
        pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$",
        description="Name of the region in the catalogue.",
    )
    roles: Annotated[
        dict[str, RoleSpec],
        Field(max_length=64, json_schema_extra={"x-stackroles-keys": "controller-roles"}),
    ] = Field(
        default_factory=dict, description="Roles by name, where they differ from their defaults."
    )
    config: Annotated[
        dict[str, ConfigSections],
        Field(max_length=32, json_schema_extra={"x-stackroles-keys": "controller-config"}),
    ] = Field(
        default_factory=dict,
        description="Options by role or service, section and option; a role's own win.",
    )
    credentials: Annotated[
        dict[str, Name],
        Field(max_length=32, json_schema_extra={"x-stackroles-keys": "credentials"}),
    ] = Field(
        default_factory=dict,
        description="Secrets of the user's with passwords and keys in place of generated ones, by "
        "service, or admin for the administrator's (key password). Keys database-password, "
        "broker-password and service-password, as the service needs them: all or none of them. "
        "Further keys are those of the Secret that the operator makes (erlang-cookie), keystone's "
        "keys as fernet-keys.0, credential-keys.0 and so on, and glance's s3-access-key and "
        "s3-secret-key. What a Secret does not hold is generated.",
    )
    images: ImageSource = Field(
        default_factory=ImageSource, description="Where role images come from."
    )
    storage_class_name: Name | None = Field(
        None, description="Storage class of all roles that do not name their own."
    )
    default_resources: Resources = Field(
        default_factory=Resources,
        description="What each container of the cloud may use, of members, of set-up and backup "
        "Jobs and of its pools, where nothing nearer says it. A namespace with a quota on CPU "
        "limits needs a limit here.",
    )
    job_resources: Resources = Field(
        default_factory=Resources,
        description="What each container of a set-up Job may use. A change runs no step again.",
    )
    housekeeping: Housekeeping | None = Field(
        None,
        description="What becomes of rows that services marked as deleted; left out, they stay.",
    )
    deletion_policy: DeletionPolicy = Field(
        DeletionPolicy.RETAIN, description="Whether volumes and Secrets go with the resource."
    )
    suspend: bool = Field(
        False, description="Stop acting on this resource; what runs keeps running."
    )


# A rule on change that stands on an optional field is not asked when the field comes or goes.
REGION_RULE = {
    "rule": "(has(self.region) ? self.region : 'RegionOne') == "
    "(has(oldSelf.region) ? oldSelf.region : 'RegionOne')",
    "message": "region cannot change: the catalogue and all records carry it",
}


class RoleStatus(StatusPart):
    """One role as observed."""

    name: str = Field(max_length=63, description="The role.")
    model: ClusteringModel = Field(description="How it is clustered.")
    desired: int = Field(ge=0, description="Members wanted.")
    ready: int = Field(ge=0, description="Members ready.")
    outdated: int = Field(0, ge=0, description="Members of an older template.")
    active: str | None = Field(
        None, max_length=253, description="The writer or active pod, where there is one."
    )
    message: str | None = Field(
        None, max_length=4096, description="What is waited for, or what a loss costs."
    )


class RoleRecovery(StatusPart):
    """A loss of members of a role, and how they came back."""

    role: str = Field(max_length=63, description="The role.")
    members: tuple[Annotated[str, Field(max_length=253)], ...] = Field(
        (),
        max_length=16,
        description="Pods that were not ready at some time of it, or acted by themselves.",
    )
    decisions: tuple[Annotated[str, Field(max_length=1024)], ...] = Field(
        (),
        max_length=8,
        description="What was decided for the role, and what members did by themselves, in order; "
        "empty where its pods just began again.",
    )
    served: bool = Field(True, description="Whether the role served all the while.")
    started_at: datetime = Field(
        description="When the loss was seen, or a member acted on it by itself."
    )
    completed_at: datetime | None = Field(
        None, description="When the role had all its members again; none while it lacks some."
    )
    duration_seconds: int | None = Field(
        None, ge=0, description="Seconds from the loss to all members again."
    )


class ServiceEndpoint(StatusPart):
    """Where a service answers."""

    service: str = Field(max_length=63, description="Service type as in the catalogue.")
    url: str = Field(max_length=512, description="Its address.")


class Phase(StatusPart):
    """A step of bring-up, with its times."""

    name: str = Field(max_length=63, description="The phase: a role or a bootstrap step.")
    started_at: datetime = Field(description="When it began.")
    completed_at: datetime | None = Field(None, description="When it was done.")


class CloudControllerStatus(Status):
    """What the operator saw and did."""

    observed_generation: int = Field(0, ge=0, description="The generation the status speaks of.")
    conditions: Conditions = Field((), description="Conditions of the cloud.")
    release: str | None = Field(None, max_length=32, description="The release that runs.")
    roles: tuple[RoleStatus, ...] = Field(
        (), max_length=256, description="Roles as observed.", json_schema_extra=list_map("name")
    )
    endpoints: tuple[ServiceEndpoint, ...] = Field(
        (),
        max_length=128,
        description="Where the APIs answer.",
        json_schema_extra=list_map("service"),
    )
    phases: tuple[Phase, ...] = Field(
        (),
        max_length=256,
        description="Phases of the bring-up.",
        json_schema_extra=list_map("name"),
    )
    time_to_ready_seconds: int | None = Field(
        None, ge=0, description="Seconds from creation to the first Ready."
    )
    writer: str | None = Field(None, max_length=253, description="The database's writer.")
    recoveries: tuple[RoleRecovery, ...] = Field(
        (),
        max_length=50,
        description="The last ten losses of members of each role, those under way and the newest "
        "first.",
        json_schema_extra=ATOMIC,
    )
    housekeeping: tuple[ServiceHousekeeping, ...] = Field(
        (),
        max_length=32,
        description="The last run of each service that keeps deleted rows.",
        json_schema_extra=list_map("service"),
    )
    children: Children = Field((), description="Children as last applied.")
