"""A restored copy takes the place of all that was recorded of a cluster; pure."""

from stackroles.domains.database.model import PersistedState
from stackroles.workloads.restoring import RestoreRecord


def adopt(persisted: PersistedState, record: RestoreRecord | None) -> PersistedState:
    """Return the state of a cluster that goes on with what a Restore put in place, if one did.

    Its history is on record from here on, and so is the volume that holds it: were that lost before
    a member was started on it, the loss would be noticed, and no empty database made. What the
    members held before is given up, by the consent in the Restore.

    Args:
        persisted: what is recorded of the cluster.
        record: what a Restore has done, None where there was none.
    """
    history = record.history if record else None
    if record is None or history is None or persisted.restored == record.uid:
        return persisted
    return PersistedState(
        uuid=history.uuid,
        volumes={history.member: history.volume_id},
        # A copy may be large: the others get it without stopping the only member that serves.
        complete=True,
        epoch=persisted.epoch,
        leader=persisted.leader,
        consented=persisted.consented,
        restored=record.uid,
    )
