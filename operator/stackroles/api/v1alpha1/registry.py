"""The kinds, in the order in which they are installed."""

from dataclasses import dataclass, field
from typing import Any

from stackroles.api.v1alpha1.backup import IMMUTABLE, BackupSpec, BackupStatus
from stackroles.api.v1alpha1.backup_policy import BackupPolicySpec
from stackroles.api.v1alpha1.backup_policy_status import BackupPolicyStatus
from stackroles.api.v1alpha1.cloud_controller import (
    REGION_RULE,
    CloudControllerSpec,
    CloudControllerStatus,
)
from stackroles.api.v1alpha1.common import Model, Status
from stackroles.api.v1alpha1.compute import (
    ComputeNodeSpec,
    ComputeNodeStatus,
    ComputePoolSpec,
    ComputePoolStatus,
)
from stackroles.api.v1alpha1.restore import SOURCE_RULES, RestoreSpec, RestoreStatus


@dataclass(frozen=True, slots=True)
class Column:
    """A printer column: what `kubectl get` shows."""

    name: str
    path: str
    type: str = "string"
    priority: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ResourceDefinition:
    """One kind: its names, its models and what `kubectl get` shows of it.

    Attributes:
        spec_rules: CEL rules of the whole spec.
        name_limit: characters an object's name may have where children such as Services carry the
            name; None where nothing does.
    """

    kind: str
    plural: str
    short: str
    description: str
    spec: type[Model]
    status: type[Status]
    columns: tuple[Column, ...]
    spec_rules: tuple[dict[str, Any], ...] = field(default=())
    spec_required: bool = True
    name_limit: int | None = None

    @property
    def singular(self) -> str:
        """The kind's name in lower case."""
        return self.kind.lower()


_READY = (
    Column("Ready", ".status.conditions[?(@.type=='Ready')].status"),
    Column("Reason", ".status.conditions[?(@.type=='Ready')].reason"),
)
_AGE = Column("Age", ".metadata.creationTimestamp", "date")

RESOURCES: tuple[ResourceDefinition, ...] = (
    ResourceDefinition(
        kind="CloudController",
        plural="cloudcontrollers",
        short="cctl",
        description="Clusters of controller services that form one cloud.",
        spec=CloudControllerSpec,
        status=CloudControllerStatus,
        name_limit=40,
        spec_rules=(REGION_RULE,),
        columns=(
            *_READY,
            Column("Release", ".status.release"),
            Column("Writer", ".status.writer", priority=1),
            Column("Seconds", ".status.timeToReadySeconds", "integer", 1),
            _AGE,
        ),
    ),
    ResourceDefinition(
        kind="ComputePool",
        plural="computepools",
        short="cpool",
        description="Compute nodes of one kind, chosen by label.",
        spec=ComputePoolSpec,
        status=ComputePoolStatus,
        name_limit=40,
        columns=(
            *_READY,
            Column("Nodes", ".status.nodes", "integer"),
            Column("Serving", ".status.ready", "integer"),
            Column("Instances", ".status.instances", "integer"),
            _AGE,
        ),
    ),
    ResourceDefinition(
        kind="ComputeNode",
        plural="computenodes",
        short="cnode",
        description="One compute node of a pool; made by the operator, never kept in Git.",
        spec=ComputeNodeSpec,
        status=ComputeNodeStatus,
        columns=(
            *_READY,
            Column("Pool", ".spec.pool"),
            Column("State", ".status.state"),
            Column("Service", ".status.serviceState"),
            Column("Instances", ".status.instances", "integer"),
            Column("Virt", ".status.virtType", priority=1),
            _AGE,
        ),
        spec_rules=(
            {"rule": "self == oldSelf", "message": "a ComputeNode's membership cannot change"},
        ),
    ),
    ResourceDefinition(
        kind="BackupPolicy",
        plural="backuppolicies",
        short="bpol",
        description="What is backed up when, and where to.",
        spec=BackupPolicySpec,
        status=BackupPolicyStatus,
        name_limit=40,
        columns=(
            *_READY,
            Column("Schedule", ".spec.schedule"),
            Column("Last", ".status.lastSuccessfulBackup"),
            Column("When", ".status.lastSuccessfulTime", "date"),
            Column("Recoverable", ".status.recoverable.until", "date"),
            _AGE,
        ),
    ),
    ResourceDefinition(
        kind="Backup",
        plural="backups",
        short="bkp",
        description="One recovery set of a cloud.",
        spec=BackupSpec,
        status=BackupStatus,
        name_limit=63,
        columns=(
            *_READY,
            Column("Policy", ".spec.policy"),
            Column("Part", ".status.progress.part"),
            Column("Copied", ".status.progress.bytes", "integer"),
            Column("Bytes/s", ".status.progress.bytesPerSecond", "integer"),
            Column("Verified", ".status.verified", "boolean"),
            Column("Bytes", ".status.sizeBytes", "integer"),
            Column("Seconds", ".status.durationSeconds", "integer"),
            Column("Snapshot", ".status.snapshot", priority=1),
            _AGE,
        ),
        spec_rules=tuple(IMMUTABLE),
    ),
    ResourceDefinition(
        kind="Restore",
        plural="restores",
        short="rst",
        description="A recovery set that takes the place of what a cloud has.",
        spec=RestoreSpec,
        status=RestoreStatus,
        name_limit=40,
        columns=(
            *_READY,
            Column("Set", ".status.recoverySet"),
            Column("Phase", ".status.phase"),
            Column("Recovery point", ".status.recoveryPoint", "date"),
            Column("Seconds", ".status.recoverySeconds", "integer"),
            Column("Safety", ".status.safetyBackup", priority=1),
            _AGE,
        ),
        spec_rules=SOURCE_RULES,
    ),
)
