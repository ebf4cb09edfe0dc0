"""What a Restore has done to a cloud, and which of its roles rest meanwhile; pure.

The record is kept in the cloud's state ConfigMap, since others depend on it: the services, whose
pods it stops, and the database, which takes over the history that was restored.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Final

from stackroles import naming
from stackroles.agents import wire
from stackroles.agents.wire import OPTIONAL
from stackroles.errors import OperatorError
from stackroles.roles.definition import OpenStackService, RoleDefinition
from stackroles.roles.topology import DEFAULT

KEY: Final = "restore"


class RecordUnreadable(OperatorError):  # noqa: N818 - named for what it says
    """The record is not what this operator writes: what is stopped, and what was restored?"""


class Stopped(StrEnum):
    """What of a cloud a Restore has stopped."""

    NOTHING = "Nothing"
    # Whatever writes the database, and what caches for it.
    SERVICES = "Services"
    # The database as well.
    DATABASE = "Database"


@dataclass(frozen=True, slots=True, kw_only=True)
class RestoredHistory:
    """The data that a database goes on with.

    Attributes:
        member: the member whose volume has it.
        volume_id: that volume.
        uuid, seqno: where it stands: a history that begins with the restored copy.
    """

    member: str
    volume_id: str
    uuid: str
    seqno: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RestoreRecord:
    """How far a Restore is.

    Attributes:
        name: the Restore.
        uid: its identity.
        stopped: what it has stopped.
        done: its phases that are done.
        ended: whether it has ended, either way.
        history: what the database goes on with; None before its data is there.
        made: whether it has made the cloud, whose database holds nothing before that.
    """

    name: str
    uid: str
    stopped: Stopped = Stopped.NOTHING
    done: tuple[str, ...] = ()
    ended: bool = False
    history: RestoredHistory | None = field(default=None, metadata=OPTIONAL)
    made: bool = field(default=False, metadata=OPTIONAL)


def released(record: RestoreRecord) -> RestoreRecord:
    """Return the record of a Restore that is given up: the cloud goes on with what it had.

    One that the Restore has made had nothing: its database rests until another Restore has brought
    its data, since an empty one would be taken for the truth by the nodes' agents.
    """
    rests = record.made and record.history is None
    return replace(record, stopped=record.stopped if rests else Stopped.NOTHING, ended=True)


def safety_backup(record: RestoreRecord) -> str:
    """Return the name of the Backup of what a Restore overwrites.

    It outlives its Restore: that of another one of the name is of another time.
    """
    return naming.child(record.name, "before", naming.digest(record.uid, 8))


def parse_record(text: str | None) -> RestoreRecord | None:
    """Return the record, None where there is none.

    Raises:
        RecordUnreadable: it is there and cannot be read.
    """
    if text is None:
        return None
    try:
        return wire.loads(RestoreRecord, text)
    except wire.WireError as error:
        raise RecordUnreadable(
            f"Key {KEY} of the cloud's state ConfigMap cannot be read: {error}. Put back what was "
            "there, from a backup."
        ) from error


def dump_record(record: RestoreRecord) -> str:
    """Return a record as it is kept."""
    return wire.dumps(record, sort_keys=True)


def stopped_roles(
    stopped: Stopped,
    roles: Iterable[RoleDefinition],
    services: Iterable[OpenStackService],
) -> frozenset[str]:
    """Return the roles that have no members meanwhile.

    Those of services with databases, and the cache: what it holds of the former database would
    outlive that. The proxies and the endpoint stay, to say what is under way.
    """
    if stopped is Stopped.NOTHING:
        return frozenset()
    writers = {service.name for service in services if service.databases}
    found = {role.name for role in roles if role.service in writers} | {DEFAULT.cache.name}
    if stopped is Stopped.DATABASE:
        found.add(DEFAULT.database.name)
    return frozenset(found)
