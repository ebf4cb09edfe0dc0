"""What a Restore records, and which roles rest for it."""

from dataclasses import replace

import pytest

from stackroles.roles import registry
from stackroles.workloads.restoring import (
    RecordUnreadable,
    RestoredHistory,
    RestoreRecord,
    Stopped,
    dump_record,
    parse_record,
    safety_backup,
    stopped_roles,
)

RECORD = RestoreRecord(name="back", uid="u", done=("Preflight",))
HISTORY = RestoredHistory(member="m-0", volume_id="v", uuid="h", seqno=1)


@pytest.mark.parametrize(
    "record",
    [
        RECORD,
        replace(RECORD, stopped=Stopped.DATABASE, history=HISTORY),
        replace(RECORD, ended=True),
    ],
)
def test_a_record_reads_back(record: RestoreRecord) -> None:
    assert parse_record(dump_record(record)) == record


def test_no_record_is_none_and_one_that_cannot_be_read_is_an_error() -> None:
    assert parse_record(None) is None
    with pytest.raises(RecordUnreadable, match="Key restore"):
        parse_record('{"name": 1}')


def resting(stopped: Stopped) -> frozenset[str]:
    return stopped_roles(stopped, registry.CONTROLLER_ROLES, registry.SERVICES)


def test_who_writes_the_database_rests_and_who_says_so_does_not() -> None:
    services = resting(Stopped.SERVICES)

    assert resting(Stopped.NOTHING) == frozenset()
    assert {"keystone", "glance", "placement", "nova-api", "nova-conductor", "neutron-api",
            "neutron-maintenance", "memcached"} <= services  # fmt: skip
    assert not services & {"mariadb", "haproxy", "endpoint", "rabbitmq", "ovn-nb", "ovn-sb"}
    assert resting(Stopped.DATABASE) == services | {"mariadb"}


def test_the_safety_backup_is_named_by_its_restore_and_by_no_other_of_the_name() -> None:
    assert safety_backup(RECORD).startswith("back-before-")
    assert safety_backup(RECORD) != safety_backup(replace(RECORD, uid="v"))
    assert len(safety_backup(replace(RECORD, name="b" * 60))) <= 52
