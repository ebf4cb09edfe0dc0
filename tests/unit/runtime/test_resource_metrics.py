"""What our resources' statuses say, as metrics."""

from typing import Any

from stackroles.kube.cache import Cache
from stackroles.runtime import resource_metrics

ROLE = {"name": "placement", "model": "ActivePassive", "desired": 2, "ready": 1}
CONDITION = {"type": "Progressing", "status": "False", "reason": "OvnBlocked"}


def samples(status: dict[str, Any], kind: str = "CloudController") -> set[tuple[str, ...]]:
    """Return what one resource adds: name, values of labels in order, value."""
    cache = Cache()
    metadata = {"namespace": "ns", "name": "demo", "uid": "1", "resourceVersion": "1"}
    cache.upsert(
        {"apiVersion": "stackroles.io/v1", "kind": kind, "metadata": metadata, "status": status}
    )
    return {
        (sample.name, *sample.labels.values(), f"{sample.value:g}")
        for family in resource_metrics.families(cache)
        for sample in family.samples
    }


def test_a_condition_has_its_status_and_its_reason() -> None:
    place = ("CloudController", "ns", "demo", "Progressing")

    assert samples({"conditions": [CONDITION]}) == {
        ("stackroles_condition", *place, "0"),
        ("stackroles_condition_reason", *place, "OvnBlocked", "1"),
    }


def test_an_unknown_condition_is_below_zero() -> None:
    unknown = {**CONDITION, "status": "Unknown"}

    assert (
        "stackroles_condition",
        "CloudController",
        "ns",
        "demo",
        "Progressing",
        "-1",
    ) in samples({"conditions": [unknown]})


def test_members_of_a_role_are_counted_and_an_active_one_has_a_sample() -> None:
    role = ("ns", "demo", "placement")
    members = {
        ("stackroles_role_members", *role, "ActivePassive", "desired", "2"),
        ("stackroles_role_members", *role, "ActivePassive", "ready", "1"),
    }

    assert samples({"roles": [ROLE]}) == members
    assert samples({"roles": [{**ROLE, "active": "demo-placement-1"}]}) == {
        *members,
        ("stackroles_role_active", *role, "1"),
    }


def test_rows_of_the_last_housekeeping_are_by_service_and_mode() -> None:
    run = {"service": "nova", "mode": "Purge", "rows": 12}

    assert samples({"housekeeping": [run]}) == {
        ("stackroles_housekeeping_rows", "ns", "demo", "nova", "Purge", "12")
    }


def test_a_policy_that_ships_binary_logs_has_its_newest_recoverable_point() -> None:
    shipping = {"state": "Shipping", "lagSeconds": 3.5, "bytes": 900, "pieces": 4}
    window = {"since": "2026-01-01T00:00:00Z", "until": "2026-01-02T00:00:00Z"}
    status = {"pointInTime": shipping, "recoverable": window}

    assert samples(status, "BackupPolicy") == {
        ("stackroles_recoverable_until_timestamp_seconds", "ns", "demo", "1.76731e+09"),
        ("stackroles_binlog_lag_seconds", "ns", "demo", "3.5"),
        ("stackroles_binlog_stored_bytes", "ns", "demo", "900"),
        ("stackroles_binlog_pieces", "ns", "demo", "4"),
    }


def test_without_a_recoverable_point_the_newest_is_that_of_1970() -> None:
    assert samples({"pointInTime": {}}, "BackupPolicy") == {
        ("stackroles_recoverable_until_timestamp_seconds", "ns", "demo", "0")
    }
    assert samples({"recoverable": {}}, "BackupPolicy") == set()


def test_roles_of_other_kinds_and_an_empty_status_have_none() -> None:
    assert samples({"roles": [ROLE]}, kind="ComputeNode") == set()
    assert samples({}) == set()


def test_the_last_verification_of_a_level_has_its_result_time_duration_and_size() -> None:
    found = {
        "level": "Database",
        "result": "Damaged",
        "lastTime": "1970-01-01T01:00:00Z",
        "seconds": 12.5,
        "sizeBytes": 7,
    }
    place = ("ns", "demo", "Database")

    assert samples({"verifications": [found]}, kind="BackupPolicy") == {
        ("stackroles_verification_result", *place, "Damaged", "1"),
        ("stackroles_verification_last_time_seconds", *place, "3600"),
        ("stackroles_verification_duration_seconds", *place, "12.5"),
        ("stackroles_verification_size_bytes", *place, "7"),
    }


def test_a_level_that_was_not_verified_yet_has_no_sample() -> None:
    known = {"level": "Database", "waits": "a set", "running": "one"}

    assert samples({"verifications": [known]}, kind="BackupPolicy") == set()
