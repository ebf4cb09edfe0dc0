"""What a pass over a Restore works on; data only."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from stackroles.api.v1alpha1.restore import RestoreSpec, RestoreStatus
from stackroles.config.cloud import Cloud
from stackroles.domains.restore.build import COMPONENT
from stackroles.domains.restore.former import FormerCloud
from stackroles.errors import NotReady
from stackroles.workloads.recovery_set.pod import RunParent
from stackroles.workloads.recovery_set.repository import RepositoryAccess
from stackroles.workloads.restoring import RestoreRecord

Object = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Where the set that is restored comes from.

    Attributes:
        name: the recovery set, by the name of its Backup; empty for the policy's newest one.
        copied_at: when it was begun; None where only the set itself knows.
        policy_name: its policy.
        access: how its repository is used.
    """

    name: str
    copied_at: datetime | None
    policy_name: str
    access: RepositoryAccess


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """What a Restore is about.

    Attributes:
        controller: the CloudController; as the set has it where it does not exist.
        cloud: the same, resolved.
        found: the set; None where it is not needed any more, or is not to be had.
        former: what the set has of a cloud that does not exist; None where it does.
    """

    controller: Object
    cloud: Cloud
    found: Source | None = None
    former: FormerCloud | None = None

    @property
    def source(self) -> Source:
        """Where the set comes from.

        Raises:
            NotReady: it is not to be had.
        """
        if self.found is None:
            raise NotReady("The recovery set is not to be had")
        return self.found


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """One pass over one Restore that has begun.

    Attributes:
        resource: the Restore.
        spec: what it asks for.
        subject: what it is about.
        record: how far it is.
        status: its status so far.
        now: the time of the pass.
    """

    resource: Object
    spec: RestoreSpec
    subject: Subject
    record: RestoreRecord
    status: RestoreStatus
    now: datetime

    @property
    def cloud(self) -> Cloud:
        """The cloud that is restored."""
        return self.subject.cloud

    @property
    def parent(self) -> RunParent:
        """The Restore as the parent of its children."""
        return RunParent.of(self.resource, self.cloud.name, COMPONENT)
