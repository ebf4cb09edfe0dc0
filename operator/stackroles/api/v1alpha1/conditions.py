"""Condition types and reasons, each reason bound to the one type and status it goes with."""

from enum import StrEnum
from typing import Literal, Self

Status = Literal["True", "False", "Unknown"]


class ConditionType(StrEnum):
    """What a condition is about.

    `Ready` sums the others up. `Reconciling` and `Stalled` are kstatus': what generic tools read.

    Attributes:
        good: the status while nothing is wrong; None where either may be, as while work goes on.
    """

    good: Status | None

    def __new__(cls, value: str, good: Status | None) -> Self:
        """Bind a type to its good status."""
        member = str.__new__(cls, value)
        member._value_ = value
        member.good = good
        return member

    RECONCILED = "Reconciled", "True"
    AVAILABLE = "Available", "True"
    PROGRESSING = "Progressing", None
    READY = "Ready", "True"
    RECONCILING = "Reconciling", None
    STALLED = "Stalled", "False"
    QUORUM_AT_RISK = "QuorumAtRisk", "False"
    COMPLETE = "Complete", "True"
    LAST_BACKUP_SUCCEEDED = "LastBackupSucceeded", "True"
    VERIFIED = "Verified", "True"
    COPIED = "Copied", "True"
    POINT_IN_TIME_READY = "PointInTimeReady", "True"
    GUESTS_FAILING = "GuestsFailing", "False"
    LIBVIRT_CURRENT = "LibvirtCurrent", "True"
    NETWORK_FOLLOWS = "NetworkFollows", "True"
    MESSAGING_DEGRADED = "MessagingDegraded", "False"
    DATABASE_DEGRADED = "DatabaseDegraded", "False"
    HOUSEKEEPING_FAILING = "HousekeepingFailing", "False"


class Reason(StrEnum):
    """Why a condition has its status: one word for programs, stable.

    Attributes:
        type: the condition type it belongs to.
        status: the status it stands for.
    """

    type: ConditionType
    status: Status

    def __new__(cls, value: str, kind: ConditionType, status: Status) -> Self:
        """Bind a reason to its condition."""
        member = str.__new__(cls, value)
        member._value_ = value
        member.type = kind
        member.status = status
        return member

    # The spec was accepted and all that follows from it was applied, or why not.
    APPLIED = "Applied", ConditionType.RECONCILED, "True"
    SPEC_INVALID = "SpecInvalid", ConditionType.RECONCILED, "False"
    IPV4_REQUIRED = "IPv4Required", ConditionType.RECONCILED, "False"
    OPTION_WITHOUT_EFFECT = "OptionWithoutEffect", ConditionType.RECONCILED, "False"
    APPLY_FAILED = "ApplyFailed", ConditionType.RECONCILED, "False"
    IMMUTABLE_FIELD_CHANGED = "ImmutableFieldChanged", ConditionType.RECONCILED, "False"
    VOLUME_NOT_RESIZED = "VolumeNotResized", ConditionType.RECONCILED, "False"
    CREDENTIALS_MISSING = "CredentialsMissing", ConditionType.RECONCILED, "False"
    CREDENTIALS_INVALID = "CredentialsInvalid", ConditionType.RECONCILED, "False"
    CREDENTIALS_REFUSED = "CredentialsRefused", ConditionType.RECONCILED, "False"
    CREDENTIALS_CHANGED = "CredentialsChanged", ConditionType.RECONCILED, "False"
    SUSPENDED = "Suspended", ConditionType.RECONCILED, "False"
    DELETION_BLOCKED = "DeletionBlocked", ConditionType.RECONCILED, "False"
    DELETING = "Deleting", ConditionType.RECONCILED, "False"

    # Enough members serve.
    ROLES_SERVE = "MinimumReplicasAvailable", ConditionType.AVAILABLE, "True"
    ROLES_UNAVAILABLE = "ReplicasUnavailable", ConditionType.AVAILABLE, "False"
    SERVICES_FAILING = "ServicesFailing", ConditionType.AVAILABLE, "False"
    SERVICES_UNKNOWN = "ServicesUnknown", ConditionType.AVAILABLE, "Unknown"

    # Whether roles that decide by majority can lose one more member.
    MEMBERS_TO_SPARE = "MembersToSpare", ConditionType.QUORUM_AT_RISK, "False"
    NO_MEMBER_TO_SPARE = "NoMemberToSpare", ConditionType.QUORUM_AT_RISK, "True"

    # A bring-up or a roll moves, has ended, or is held up by something a person must change.
    BRINGING_UP = "BringingUp", ConditionType.PROGRESSING, "True"
    ROLLING_OUT = "RollingOut", ConditionType.PROGRESSING, "True"
    RECOVERING = "Recovering", ConditionType.PROGRESSING, "True"
    RESTORING = "Restoring", ConditionType.PROGRESSING, "True"
    ROLLOUT_COMPLETE = "RolloutComplete", ConditionType.PROGRESSING, "False"
    STEP_FAILED = "StepFailed", ConditionType.PROGRESSING, "False"
    IMAGE_PULL_FAILED = "ImagePullFailed", ConditionType.PROGRESSING, "False"
    CRASHING = "Crashing", ConditionType.PROGRESSING, "False"
    CONTAINER_CONFIG_INVALID = "ContainerConfigInvalid", ConditionType.PROGRESSING, "False"
    UNSCHEDULABLE = "Unschedulable", ConditionType.PROGRESSING, "False"
    STORAGE_CLASS_MISSING = "StorageClassMissing", ConditionType.PROGRESSING, "False"
    VOLUME_PENDING = "VolumePending", ConditionType.PROGRESSING, "False"
    PODS_REFUSED = "PodsRefused", ConditionType.PROGRESSING, "False"
    NOT_BECOMING_READY = "NotBecomingReady", ConditionType.PROGRESSING, "False"
    DATABASE_BLOCKED = "DatabaseBlocked", ConditionType.PROGRESSING, "False"
    MESSAGING_BLOCKED = "MessagingBlocked", ConditionType.PROGRESSING, "False"
    OVN_BLOCKED = "OvnBlocked", ConditionType.PROGRESSING, "False"
    MEMBER_LOST = "MemberLost", ConditionType.PROGRESSING, "False"

    # Database members serve, and lack something.
    DATABASE_SOUND = "DatabaseSound", ConditionType.DATABASE_DEGRADED, "False"
    DATABASE_VOLUME_FILLING = "DatabaseVolumeFilling", ConditionType.DATABASE_DEGRADED, "True"
    CONNECTIONS_USED_UP = "ConnectionsUsedUp", ConditionType.DATABASE_DEGRADED, "True"
    REPLICATION_PAUSED = "ReplicationPaused", ConditionType.DATABASE_DEGRADED, "True"
    DATABASE_UNKNOWN = "DatabaseUnknown", ConditionType.DATABASE_DEGRADED, "Unknown"

    # Deleted rows are counted or removed, or why not.
    HOUSEKEEPING_SOUND = "HousekeepingSound", ConditionType.HOUSEKEEPING_FAILING, "False"
    HOUSEKEEPING_FAILED = "HousekeepingFailed", ConditionType.HOUSEKEEPING_FAILING, "True"
    REPORT_REQUIRED = "ReportRequired", ConditionType.HOUSEKEEPING_FAILING, "True"

    # Brokers serve, and they or their queues lack something.
    BROKERS_SOUND = "BrokersSound", ConditionType.MESSAGING_DEGRADED, "False"
    BROKER_ALARM = "BrokerAlarm", ConditionType.MESSAGING_DEGRADED, "True"
    BROKERS_PARTED = "BrokersParted", ConditionType.MESSAGING_DEGRADED, "True"
    BROKER_VOLUME_FILLING = "BrokerVolumeFilling", ConditionType.MESSAGING_DEGRADED, "True"
    QUEUES_WITHOUT_MAJORITY = "QueuesWithoutMajority", ConditionType.MESSAGING_DEGRADED, "True"
    QUEUES_TOO_SMALL = "QueuesTooSmall", ConditionType.MESSAGING_DEGRADED, "True"
    RPC_UNANSWERED = "RpcUnanswered", ConditionType.MESSAGING_DEGRADED, "True"
    BROKERS_UNKNOWN = "BrokersUnknown", ConditionType.MESSAGING_DEGRADED, "Unknown"

    # What a resource refers to is not there yet, or not usable.
    CONTROLLER_MISSING = "ControllerMissing", ConditionType.RECONCILED, "False"
    POLICY_MISSING = "PolicyMissing", ConditionType.RECONCILED, "False"
    ENCRYPTION_SECRET_MISSING = "EncryptionSecretMissing", ConditionType.RECONCILED, "False"
    ENCRYPTION_SECRET_INVALID = "EncryptionSecretInvalid", ConditionType.RECONCILED, "False"
    REPOSITORY_SECRET_MISSING = "RepositorySecretMissing", ConditionType.RECONCILED, "False"
    REPOSITORY_SECRET_INVALID = "RepositorySecretInvalid", ConditionType.RECONCILED, "False"
    SCHEDULE_NEVER_DUE = "ScheduleNeverDue", ConditionType.RECONCILED, "False"
    REPOSITORY_NOT_RESIZED = "RepositoryNotResized", ConditionType.RECONCILED, "False"

    # Nodes that a pool selects, and whether they serve guests.
    NODE_RIGHTS_MISSING = "NodeRightsMissing", ConditionType.RECONCILED, "False"
    NODE_CLAIMED = "NodeClaimed", ConditionType.RECONCILED, "False"
    NODES_SERVE = "NodesServe", ConditionType.AVAILABLE, "True"
    NO_NODES = "NoNodes", ConditionType.AVAILABLE, "False"
    NODES_UNAVAILABLE = "NodesUnavailable", ConditionType.AVAILABLE, "False"
    NODES_UNKNOWN = "NodesUnknown", ConditionType.AVAILABLE, "Unknown"
    PROBE_GUEST_FAILED = "ProbeGuestFailed", ConditionType.AVAILABLE, "False"
    WAITING_FOR_CONTROLLER = "WaitingForController", ConditionType.PROGRESSING, "True"
    ENROLLING = "Enrolling", ConditionType.PROGRESSING, "True"
    LEAVING = "Leaving", ConditionType.PROGRESSING, "True"
    ZONE_REFUSED = "ZoneRefused", ConditionType.PROGRESSING, "False"

    # Whether guests of a node fail: their builds, or by ending or pausing without anybody's wish.
    GUESTS_RUN = "GuestsRun", ConditionType.GUESTS_FAILING, "False"
    BUILDS_FAIL = "BuildsFail", ConditionType.GUESTS_FAILING, "True"
    GUESTS_DIFFER = "GuestsDiffer", ConditionType.GUESTS_FAILING, "True"
    GUESTS_UNKNOWN = "GuestsUnknown", ConditionType.GUESTS_FAILING, "Unknown"

    # Whether changes of networks reach a node: its ovn-controller is connected to OVN's database.
    NETWORK_FOLLOWED = "ControllerConnected", ConditionType.NETWORK_FOLLOWS, "True"
    NETWORK_STALE = "ControllerDisconnected", ConditionType.NETWORK_FOLLOWS, "False"
    NETWORK_UNKNOWN = "ControllerUnknown", ConditionType.NETWORK_FOLLOWS, "Unknown"

    # libvirt is replaced by a person: while it is away no guest starts or stops.
    LIBVIRT_UPDATED = "LibvirtUpdated", ConditionType.LIBVIRT_CURRENT, "True"
    LIBVIRT_OUTDATED = "LibvirtOutdated", ConditionType.LIBVIRT_CURRENT, "False"

    # One run of a backup: it counts only once it was read back.
    BACKUP_VERIFIED = "BackupVerified", ConditionType.COMPLETE, "True"
    BACKUP_WAITING = "WaitingForSource", ConditionType.COMPLETE, "False"
    BACKUP_QUEUED = "WaitingForTurn", ConditionType.COMPLETE, "False"
    BACKUP_RUNNING = "BackupRunning", ConditionType.COMPLETE, "False"
    BACKUP_FAILED = "BackupFailed", ConditionType.COMPLETE, "False"
    WRONG_ENCRYPTION_KEY = "WrongEncryptionKey", ConditionType.COMPLETE, "False"
    REPOSITORY_FULL = "RepositoryFull", ConditionType.COMPLETE, "False"
    REPOSITORY_STALLED = "RepositoryStalled", ConditionType.COMPLETE, "False"
    REPOSITORY_LOCKED = "RepositoryLocked", ConditionType.COMPLETE, "False"
    BACKUP_EXPIRED = "BackupExpired", ConditionType.COMPLETE, "False"

    # A restore: nothing is stopped before it has all that it needs, and the user's consent.
    RESTORE_BACKUP_MISSING = "BackupMissing", ConditionType.RECONCILED, "False"
    RESTORED = "Restored", ConditionType.COMPLETE, "True"
    RESTORE_CHECKED = "DryRunCompleted", ConditionType.COMPLETE, "False"
    RESTORE_BLOCKED = "PreflightFailed", ConditionType.COMPLETE, "False"
    RESTORE_CONSENT = "ConsentRequired", ConditionType.COMPLETE, "False"
    RESTORE_QUEUED = "AnotherRestoreRuns", ConditionType.COMPLETE, "False"
    RESTORE_RUNNING = "RestoreRunning", ConditionType.COMPLETE, "False"
    RESTORE_FAILED = "RestoreFailed", ConditionType.COMPLETE, "False"

    LAST_BACKUP_VERIFIED = "LastBackupVerified", ConditionType.LAST_BACKUP_SUCCEEDED, "True"
    LAST_BACKUP_FAILED = "LastBackupFailed", ConditionType.LAST_BACKUP_SUCCEEDED, "False"
    BACKUP_OVERDUE = "BackupOverdue", ConditionType.LAST_BACKUP_SUCCEEDED, "False"
    NO_BACKUP_YET = "NoBackupYet", ConditionType.LAST_BACKUP_SUCCEEDED, "Unknown"

    SET_COPIED = "SetCopied", ConditionType.COPIED, "True"
    COPY_FAILED = "CopyFailed", ConditionType.COPIED, "False"
    NOT_COPIED_YET = "NotCopiedYet", ConditionType.COPIED, "Unknown"

    # Verifications of stored sets: one that could not be made says nothing of its set.
    SET_VERIFIED = "SetVerified", ConditionType.VERIFIED, "True"
    SET_DAMAGED = "SetDamaged", ConditionType.VERIFIED, "False"
    VERIFICATION_FAILED = "VerificationFailed", ConditionType.VERIFIED, "False"
    VERIFICATION_OVERDUE = "VerificationOverdue", ConditionType.VERIFIED, "False"
    NO_VERIFICATION_YET = "NoVerificationYet", ConditionType.VERIFIED, "Unknown"

    # Binary logs are shipped, and follow a verified set without a gap.
    WINDOW_OPEN = "WindowOpen", ConditionType.POINT_IN_TIME_READY, "True"
    BINLOG_GAP = "Gap", ConditionType.POINT_IN_TIME_READY, "False"
    SHIPPING_WAITS = "ShippingWaits", ConditionType.POINT_IN_TIME_READY, "False"
    NO_SET = "NoSet", ConditionType.POINT_IN_TIME_READY, "False"
    SHIPPER_MISSING = "ShipperMissing", ConditionType.POINT_IN_TIME_READY, "False"
    SHIPPING_STARTS = "ShippingStarts", ConditionType.POINT_IN_TIME_READY, "Unknown"

    AS_DESIRED = "AsDesired", ConditionType.READY, "True"

    WORKING = "Working", ConditionType.RECONCILING, "True"
    SETTLED = "Settled", ConditionType.RECONCILING, "False"
    NEEDS_ATTENTION = "NeedsAttention", ConditionType.STALLED, "True"
    HEALTHY = "Healthy", ConditionType.STALLED, "False"


def type_of(value: str) -> ConditionType | None:
    """Return the condition type of a value, None for one that this version does not know."""
    return next((kind for kind in ConditionType if kind.value == value), None)


def reason_of(value: str) -> Reason | None:
    """Return the reason of a value, None for one that this version of the operator does not know.

    A status may have been written by another version.
    """
    return next((reason for reason in Reason if reason.value == value), None)
