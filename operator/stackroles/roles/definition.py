"""What a role is: data that builders turn into manifests.

A role is one workload (nova-conductor, mariadb). A service groups the roles that share accounts and
set-up steps (nova). Bring-up is a graph over the names of roles ("mariadb") and steps
("nova/setup"): a node starts when all that it needs is done.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Generic

from typing_extensions import TypeVar

from stackroles.api.v1alpha1.cloud_controller import CloudControllerSpec
from stackroles.api.v1alpha1.common import ClusteringModel, Standby
from stackroles.api.v1alpha1.housekeeping import HousekeepingMode
from stackroles.config.cloud import Cloud
from stackroles.config.layers import Key, Spelling, dashes
from stackroles.config.owner import Owner
from stackroles.roles.allowed_sections import NOTHING, AllowedSections
from stackroles.roles.container import (
    Container,
    Mount,
    PodRight,
    ResourceDefaults,
    Security,
    Variable,
)

OwnerT = TypeVar("OwnerT", bound=Owner, default=Any)
Files = Callable[[OwnerT], Mapping[str, str]]
"""Renders path -> content from the resource that has the role: a Cloud or a Pool."""


class Workload(StrEnum):
    """The kind that runs a role's pods."""

    STATEFUL_SET = "StatefulSet"
    DEPLOYMENT = "Deployment"
    DAEMON_SET = "DaemonSet"


@dataclass(frozen=True, slots=True, kw_only=True)
class DataVolume:
    """The volume claim of each member of a StatefulSet."""

    size: str
    claim: str = "data"


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusteringChoice:
    """Which clustering models a role can have; docs/clustering-models.md is made of it.

    Attributes:
        models: the models, the default first.
        because: why these and no others, as the end of a sentence.
        standby: what members that are not active may run, the default first, where the operator's
            gate decides who is active; empty where the program itself does.
        exclusion: what else keeps two members from being active, besides the gate; empty for
            nothing.
    """

    models: tuple[ClusteringModel, ...]
    because: str
    standby: tuple[Standby, ...] = ()
    exclusion: str = ""


ONE_EACH = ClusteringChoice(
    models=(ClusteringModel.ACTIVE_ACTIVE,), because="one runs on each compute node"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class RoleDefinition(Generic[OwnerT]):
    """One role: everything builders need to run it.

    Attributes:
        name: the role, as in `spec.roles`.
        service: the service whose accounts, steps and configuration it shares.
        image: short name of its image.
        replicas: members by default.
        clustering: which models it can have, and why.
        endpoint: whether clients reach its published ports through the endpoint role.
        health: path of its first published port that answers 200 to 399 when it serves; empty for
            one that is judged by its own probes.
        rights: what its pods may do in the Kubernetes API.
        quorum: a quorum role: its number of members must be odd, and where there are to be fewer
            they leave their cluster one by one, by their agents (agents/leaving_protocol.py).
        survivor_lacks: what is lost when this role continues from one member, which takes a user's
            consent (`spec.roles.<role>.recovery`); empty where it cannot.
        minimum_ready: members that satisfy those who need this role; None means all.
        needs: roles and steps that must be done before it is first started.
        files: renders path -> content from the cloud or the pool.
        options: sections of `spec.config` it takes; others are refused.
        spelling: which spellings of an option are one to its program.
        reserved: options that have no effect, since the operator sets them behind the user's, by
            their key; with what to do instead. Those of the environment count by themselves.
        parallel: start and stop all members at once (StatefulSet).
        grace_period: seconds from SIGTERM to SIGKILL.
        shared_budget: name of the disruption budget that its members share with those of other
            roles, as long as they have no volumes; each role without one has its own.
        max_unavailable: of its own disruption budget.
        keep_unready_because: why a member that is not ready may not be evicted while too few are;
            empty when it may.
        update_strategy: "RollingUpdate" or "OnDelete" (then the operator or a person decides).
        data_plane: whether guests' traffic stops while a node's pod is replaced; it rolls
            "OnDelete", and the operator replaces one node's pods at a time.
        single_because: why it has one member by default, and what its loss costs.
        shares_data: whether members would share their data under a spec; a role that asks this has
            `replicas` members when they do and one when they do not. None: it keeps none.
        backup: what a backup of this role contains.
        headless: its Service gives every member a name and publishes unready ones.
        open_because: who reaches its published ports from outside the cloud's pods; empty when
            nobody does. Programs in a node's own network count: no selector matches them.
    """

    name: str
    service: str
    image: str
    workload: Workload
    containers: tuple[Container, ...]
    replicas: int = 2
    clustering: ClusteringChoice = ONE_EACH
    endpoint: bool = False
    health: str = ""
    rights: tuple[PodRight, ...] = ()
    quorum: bool = False
    survivor_lacks: str = ""
    minimum_ready: int | None = None
    needs: tuple[str, ...] = ()
    files: Files[OwnerT] | None = None
    options: AllowedSections = NOTHING
    spelling: Spelling = dashes
    reserved: Mapping[Key, str] = field(default_factory=dict)
    init: tuple[Container, ...] = ()
    volume: DataVolume | None = None
    parallel: bool = True
    headless: bool = False
    grace_period: int = 30
    shared_budget: str = ""
    max_unavailable: int = 1
    keep_unready_because: str = ""
    update_strategy: str = "RollingUpdate"
    host_network: bool = False
    data_plane: bool = False
    host_pid: bool = False
    share_processes: bool = False
    fs_group: int | None = None
    single_because: str = ""
    shares_data: Callable[[CloudControllerSpec], bool] | None = None
    open_because: str = ""
    backup: str = "nothing: it is made again from the resources"


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """One command of a step; tasks of a step run one after the other in one Job."""

    name: str
    command: tuple[str, ...]
    env: tuple[Variable, ...] = ()
    mounts: tuple[Mount, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Step(Generic[OwnerT]):
    """One-shot work of a service, as a Job named by the hash of its inputs.

    Attributes:
        name: within the service; the graph knows it as "<service>/<name>".
        tasks: commands in order; each must be safe to run again. Empty: the operator does it itself
            through the OpenStack APIs.
        files: rendered files that the tasks mount through FileMount.
        needs: roles and steps that must be done first.
        deadline: seconds that one attempt may take.
        retries: attempts after the first.
        advice: what a person does when it fails, added to the condition's message.
        guards: a role whose members are replaced only once this step has passed with their new
            template. It is done only where there are members to replace; the role rolls "OnDelete".
    """

    name: str
    tasks: tuple[Task, ...]
    image: str
    security: Security
    files: Files[OwnerT] | None = None
    needs: tuple[str, ...] = ()
    deadline: int = 600
    retries: int = 6
    resources: ResourceDefaults = field(
        default_factory=lambda: ResourceDefaults(cpu="50m", memory="128Mi")
    )
    advice: str = ""
    guards: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Catalogue:
    """A service in keystone's catalogue.

    Attributes:
        type: its type, by which clients find it.
        name: its name.
        role: the role that serves it.
        port: where that role listens.
        path: of the API's root.
        listing: path and query, below `path`, of a list that is short, needs a token and reads the
            service's database: what the operator asks to learn whether the service serves. Empty
            for keystone, which is asked for the token.
    """

    type: str
    name: str
    role: str
    port: int
    path: str = ""
    listing: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class DatabaseUrl:
    """A database URL a service needs, kept in its credentials Secret under `key`."""

    key: str
    database: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenStackService:
    """What the roles of a service share.

    Its Secret `<cloud>-<name>-credentials` holds `database-password`, `broker-password`,
    `transport-url` and `service-password` as it needs them, one URL per connection, and a random
    value for each of `secrets`; roles/common.py has the forms of the URLs.

    Attributes:
        name: the service; also its user in the database, at the broker and in keystone.
        databases: databases that its user owns.
        connections: URLs to them.
        broker: whether it has an account and a virtual host of its own name at the broker.
        identity: whether it has a user in keystone.
        secrets: names of random values.
        keyrings: Secrets `<cloud>-<name>-<keyring>` with two fernet keys, named "0" and "1".
        external: values of somebody else's (an object store's), which only a user can bring.
        external_for: whether a spec asks for them.
        after_restore: steps by which what others hold agrees with its databases again, once these
            were restored. They are not among those of a bring-up.
        housekeeping: steps that count and that remove its deleted rows, by what a run does; empty
            where it keeps none, or removes them itself. They are no steps of a bring-up either.
    """

    name: str
    databases: tuple[str, ...] = ()
    connections: tuple[DatabaseUrl, ...] = ()
    broker: bool = False
    catalogue: Catalogue | None = None
    identity: bool = False
    secrets: tuple[str, ...] = ()
    keyrings: tuple[str, ...] = ()
    external: tuple[str, ...] = ()
    external_for: Callable[[CloudControllerSpec], bool] | None = None
    steps: tuple[Step[Cloud], ...] = ()
    after_restore: tuple[Step[Cloud], ...] = ()
    housekeeping: Mapping[HousekeepingMode, Step[Cloud]] = field(default_factory=dict)

    @property
    def has_credentials(self) -> bool:
        """Whether it has passwords or keys, which a user may bring."""
        own = (self.databases, self.broker, self.identity, self.secrets, self.keyrings)
        return any(own) or bool(self.external)
