"""What a user may get wrong and the schema can know, refused at once as kubectl would show it."""

from typing import Any

import pytest

from tests.apiserver.specs import MINIMAL, build, objects_path
from tests.support.apiclient import ApiClient

CRON_GOOD = (
    "0 3 * * *",
    "*/15 0-6,18-23 1,15 jan-jun mon-fri",
    "5 4 * * 0",
    "0 0 31 12 *",
    "@daily",
    "@hourly",
)
CRON_BAD = (
    "",
    "daily",
    "@everyday",
    "0 3 * *",
    "0 3 * * * *",
    "60 3 * * *",
    "0 24 * * *",
    "0 3 32 * *",
    "0 3 * 13 *",
    "0 3 * * 7",
    "0 3 * foo *",
    "0 3 * * foo",
    "*/0 3 * * *",
    "0 3 * * * # nightly",
    "a b c d e",
)


@pytest.mark.parametrize("kind", MINIMAL)
def test_the_smallest_object_of_each_kind_is_accepted(
    admin: ApiClient, namespace: str, kind: str
) -> None:
    stored = admin.create(objects_path(kind, namespace), build(kind)).must()

    assert stored["spec"] == MINIMAL[kind]


@pytest.mark.parametrize("kind", MINIMAL)
def test_an_unknown_field_is_refused(admin: ApiClient, namespace: str, kind: str) -> None:
    answer = admin.create(objects_path(kind, namespace), build(kind, replicsa=3))

    assert answer.status == 400
    assert 'unknown field "spec.replicsa"' in answer.message


# A Restore names one of two sources, which is a rule.
@pytest.mark.parametrize("kind", sorted(set(MINIMAL) - {"CloudController", "Restore"}))
def test_a_missing_required_field_is_refused_by_name(
    admin: ApiClient, namespace: str, kind: str
) -> None:
    for name in MINIMAL[kind]:
        body = build(kind)
        del body["spec"][name]
        answer = admin.create(objects_path(kind, namespace), body)

        assert answer.status == 422
        assert f"spec.{name}: Required value" in answer.message


@pytest.mark.parametrize(
    ("kind", "changes", "place"),
    [
        ("CloudController", {"suspend": "yes"}, "spec.suspend"),
        ("CloudController", {"release": "2024.1"}, "spec.release"),
        ("CloudController", {"deletionPolicy": "Maybe"}, "spec.deletionPolicy"),
        ("CloudController", {"housekeeping": {}}, "spec.housekeeping.schedule"),
        (
            "CloudController",
            {"housekeeping": {"schedule": "often"}},
            "spec.housekeeping.schedule",
        ),
        (
            "CloudController",
            {"housekeeping": {"schedule": "@daily", "olderThanDays": 0}},
            "spec.housekeeping.olderThanDays",
        ),
        (
            "CloudController",
            {"housekeeping": {"schedule": "@daily", "mode": "Delete"}},
            "spec.housekeeping.mode",
        ),
        ("CloudController", {"region": "with space"}, "spec.region"),
        ("CloudController", {"storageClassName": "Not_A_Name"}, "spec.storageClassName"),
        (
            "CloudController",
            {"roles": {"mariadb": {"clustering": {"replicas": "three"}}}},
            "spec.roles.mariadb.clustering.replicas",
        ),
        (
            "CloudController",
            {"roles": {"mariadb": {"clustering": {"replicas": 0}}}},
            "spec.roles.mariadb.clustering.replicas",
        ),
        (
            "CloudController",
            {"roles": {"mariadb": {"clustering": {"replicas": -1}}}},
            "spec.roles.mariadb.clustering.replicas",
        ),
        (
            "CloudController",
            {"roles": {"mariadb": {"storage": {"size": "plenty"}}}},
            "spec.roles.mariadb.storage.size",
        ),
        ("CloudController", {"roles": ["mariadb"]}, "spec.roles"),
        ("CloudController", {"config": {"nova": {"DEFAULT": "debug"}}}, "spec.config.nova.DEFAULT"),
        (
            "CloudController",
            {"config": {"nova": {"DEFAULT": {"debug": True}}}},
            "spec.config.nova.DEFAULT.debug",
        ),
        (
            "CloudController",
            {"config": {"nova": {"DEFAULT": {"list": ["a"]}}}},
            "spec.config.nova.DEFAULT.list",
        ),
        (
            "CloudController",
            {"config": {"nova": {"DEFAULT": {"debug": "true\n[database]"}}}},
            "spec.config.nova.DEFAULT.debug",
        ),
        ("ComputePool", {"nodeSelector": {}}, "spec.nodeSelector"),
        ("ComputePool", {"nodeSelector": {"a b": "c"}}, "spec.nodeSelector"),
        ("ComputePool", {"nodeSelector": {"": "c"}}, "spec.nodeSelector"),
        ("ComputePool", {"nodeSelector": {"a": "c d"}}, "spec.nodeSelector.a"),
        (
            "CloudController",
            {"roles": {"nova-api": {"placement": {"nodeSelector": {"a/b/c": "d"}}}}},
            "spec.roles[nova-api].placement.nodeSelector",
        ),
        (
            "CloudController",
            {"roles": {"nova-api": {"placement": {"nodeSelector": {"a": "-"}}}}},
            "spec.roles.nova-api.placement.nodeSelector.a",
        ),
        ("ComputePool", {"virtType": "xen"}, "spec.virtType"),
        ("ComputePool", {"network": {"interface": "a/b"}}, "spec.network.interface"),
        ("BackupPolicy", {"keepLast": 0}, "spec.keepLast"),
        ("BackupPolicy", {"keepHourly": 337}, "spec.keepHourly"),
        ("BackupPolicy", {"keepDaily": -1}, "spec.keepDaily"),
        ("BackupPolicy", {"keepWeekly": 105}, "spec.keepWeekly"),
        ("BackupPolicy", {"keepMonthly": 121}, "spec.keepMonthly"),
        ("BackupPolicy", {"keepYearly": 51}, "spec.keepYearly"),
        ("BackupPolicy", {"keepWithinDays": 3661}, "spec.keepWithinDays"),
        ("BackupPolicy", {"deadlineSeconds": 5}, "spec.deadlineSeconds"),
        (
            "BackupPolicy",
            {"copies": [{"name": "far", "repository": {"volume": {}}}]},
            "spec.copies[0].repository",
        ),
        (
            "BackupPolicy",
            {"degradedPatienceSeconds": 86401},
            "spec.degradedPatienceSeconds",
        ),
        (
            "BackupPolicy",
            {"repository": {"volume": {}, "bandwidth": {"uploadMebibytes": 0}}},
            "spec.repository.bandwidth.uploadMebibytes",
        ),
        (
            "BackupPolicy",
            {"pointInTime": {"intervalSeconds": 4}},
            "spec.pointInTime.intervalSeconds",
        ),
        ("Restore", {"pointInTime": "yesterday"}, "spec.pointInTime"),
        (
            "BackupPolicy",
            {"verification": [{"level": "Cloud", "schedule": "@daily"}]},
            "spec.verification[0].level",
        ),
        (
            "BackupPolicy",
            {"verification": [{"level": "Database", "schedule": "daily"}]},
            "spec.verification[0].schedule",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_value_of_the_wrong_shape_is_refused_by_its_place(
    admin: ApiClient, namespace: str, kind: str, changes: dict[str, Any], place: str
) -> None:
    answer = admin.create(objects_path(kind, namespace), build(kind, **changes))

    assert answer.status == 422, answer.body
    assert place in answer.message


@pytest.mark.parametrize("schedule", CRON_GOOD)
def test_a_cron_line_is_accepted(admin: ApiClient, namespace: str, schedule: str) -> None:
    policy = build("BackupPolicy", schedule=schedule)

    admin.create(objects_path("BackupPolicy", namespace), policy).must()


@pytest.mark.parametrize("schedule", CRON_BAD)
def test_a_bad_cron_line_is_refused(admin: ApiClient, namespace: str, schedule: str) -> None:
    policy = build("BackupPolicy", schedule=schedule)
    answer = admin.create(objects_path("BackupPolicy", namespace), policy)

    assert answer.status == 422
    assert "spec.schedule" in answer.message


@pytest.mark.parametrize("schedule", CRON_GOOD)
def test_what_is_accepted_is_a_schedule_to_kubernetes(
    admin: ApiClient, namespace: str, schedule: str
) -> None:
    container = {"name": "c", "image": "i"}
    cron_job = {
        "apiVersion": "batch/v1",
        "kind": "CronJob",
        "metadata": {"name": "sample"},
        "spec": {
            "schedule": schedule,
            "jobTemplate": {
                "spec": {
                    "template": {"spec": {"restartPolicy": "Never", "containers": [container]}}
                }
            },
        },
    }
    admin.create(f"/apis/batch/v1/namespaces/{namespace}/cronjobs", cron_job).must()
