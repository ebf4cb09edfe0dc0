"""A restored copy takes the place of what was recorded, once, and its loss is a loss."""

from dataclasses import replace

import pytest

from stackroles.agents.galera.protocol import Mode
from stackroles.domains.database.decide import decide
from stackroles.domains.database.model import PersistedState, Verdict
from stackroles.domains.database.reconcile_state import StateUnreadable, dump_state, state_in
from stackroles.domains.database.restored import adopt
from stackroles.workloads.restoring import (
    RecordUnreadable,
    RestoredHistory,
    RestoreRecord,
    Stopped,
    dump_record,
)
from tests.unit.domains.database.test_decide import FORMED, U1, U2, at, empty

HISTORY = RestoredHistory(member="m-0", volume_id="vol-0", uuid=U2, seqno=1)
RECORD = RestoreRecord(name="back", uid="restore-1", stopped=Stopped.DATABASE, history=HISTORY)


def test_nothing_changes_before_data_is_in_place() -> None:
    assert adopt(FORMED, None) == FORMED
    assert adopt(FORMED, replace(RECORD, history=None)) == FORMED


def test_the_restored_history_is_the_only_one_and_the_term_goes_on() -> None:
    before = replace(FORMED, epoch=7, leader="one", consented="deadbeef")

    found = adopt(before, RECORD)

    assert found == PersistedState(
        uuid=U2,
        volumes={"m-0": "vol-0"},
        complete=True,
        epoch=7,
        leader="one",
        consented="deadbeef",
        restored="restore-1",
    )


def test_a_restore_is_adopted_once() -> None:
    served = replace(adopt(FORMED, RECORD), volumes={"m-0": "vol-0", "m-1": "vol-1"})

    assert adopt(served, RECORD) == served
    assert adopt(served, replace(RECORD, uid="restore-2")).volumes == {"m-0": "vol-0"}


def test_the_restored_member_forms_the_cluster_and_the_empty_ones_wait_for_it() -> None:
    members = [at(0, 1, U2), empty(1), empty(2)]

    outcome = decide(members, adopt(FORMED, RECORD), "leader")

    assert outcome.verdict is Verdict.STARTING
    assert {name: d.mode for name, d in outcome.decisions.items()} == {"m-0": Mode.BOOTSTRAP}
    assert outcome.decisions["m-0"].uuid == U2


def test_no_member_starts_on_what_was_there_before() -> None:
    members = [at(0, 1, U2), at(1, 900, U1), empty(2)]

    outcome = decide(members, adopt(FORMED, RECORD), "leader")

    assert outcome.verdict is Verdict.HISTORIES_DIFFER
    assert not outcome.decisions


def test_a_restored_volume_that_is_lost_makes_no_empty_database() -> None:
    members = [empty(0, volume_id="vol-new"), empty(1), empty(2)]

    outcome = decide(members, adopt(FORMED, RECORD), "leader")

    assert outcome.verdict is Verdict.VOLUME_LOST
    assert not outcome.decisions


def test_the_state_counts_what_a_restore_recorded() -> None:
    data = {"galera": dump_state(FORMED), "restore": dump_record(RECORD)}

    assert state_in(data).uuid == U2
    assert state_in({"galera": dump_state(FORMED)}) == FORMED


@pytest.mark.parametrize(
    ("data", "error"),
    [({"galera": "{"}, StateUnreadable), ({"restore": "{"}, RecordUnreadable)],
)
def test_what_cannot_be_read_starts_nothing(data: dict[str, str], error: type[Exception]) -> None:
    with pytest.raises(error, match="Put back what was there"):
        state_in(data)
