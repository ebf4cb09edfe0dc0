"""Each CEL rule: one object that it lets through, one that it refuses with its own message."""

from dataclasses import dataclass, field
from typing import Any

import pytest

from tests.apiserver.specs import all_rules, build, objects_path
from tests.support.apiclient import ApiClient

COMPUTE = "nova-compute"


@dataclass(frozen=True, kw_only=True)
class Case:
    """One rule of one kind.

    Attributes:
        message: what the refusal says; names the rule.
        good: spec fields that are accepted.
        bad: spec fields that are refused; an update of the good object where `update` says so.
    """

    kind: str
    message: str
    bad: dict[str, Any] = field(default_factory=dict)
    good: dict[str, Any] = field(default_factory=dict)
    update: bool = False
    bad_name: str = "sample2"


def placed(**selector: str) -> dict[str, Any]:
    return {"roles": {"nova-api": {"placement": {"nodeSelector": selector}}}}


def role(name: str, **clustering: Any) -> dict[str, Any]:
    return {"roles": {name: {"clustering": clustering}}}


def stored(name: str, mode: str, **clustering: Any) -> dict[str, Any]:
    return {"roles": {name: {"clustering": clustering, "storage": {"accessMode": mode}}}}


def replacement(name: str) -> dict[str, Any]:
    consent = {"member": f"demo-{name}-0", "incident": "0123abcd"}
    return {"roles": {name: {"replaceMember": consent}}}


def recovery(name: str, incident: str = "0123abcd") -> dict[str, Any]:
    return {"roles": {name: {"recovery": {"from": f"demo-{name}-0", "incident": incident}}}}


CASES = (
    *(
        Case(kind=kind, message=f"the name of a {kind}", bad_name=bad)
        for kind in ("CloudController", "ComputePool", "BackupPolicy", "Backup", "Restore")
        for bad in ("1st", "dotted.name", "x" * 64)
    ),
    Case(
        kind="CloudController",
        message="region cannot change",
        good={"region": "here"},
        bad={"region": "there"},
        update=True,
    ),
    Case(
        kind="CloudController", message="region cannot change", bad={"region": "there"}, update=True
    ),
    Case(
        kind="CloudController",
        message="unknown role;",
        good=role("mariadb", replicas=3),
        bad=role("mariadbs", replicas=3),
    ),
    *(
        Case(
            kind="CloudController",
            message="odd number of replicas",
            good=role(name, replicas=5),
            bad=role(name, replicas=4),
        )
        for name in ("mariadb", "rabbitmq", "ovn-nb", "ovn-sb")
    ),
    *(
        Case(
            kind="CloudController",
            message=f"{names} cannot be ActivePassive: ",
            good=role("keystone", model="ActivePassive"),
            bad=role(name, model="ActivePassive"),
        )
        for names, name in (
            ("nova-rpc-monitor", "nova-rpc-monitor"),
            *((name, name) for name in ("mariadb", "haproxy", "endpoint", "rabbitmq", "memcached")),
            ("ovn-nb and ovn-sb", "ovn-sb"),
        )
    ),
    *(
        Case(
            kind="CloudController",
            message=f"{name} cannot be ActiveActive: ",
            good=role(name, model="ActivePassive"),
            bad=role(name, model="ActiveActive"),
        )
        for name in ("ovn-northd", "neutron-maintenance")
    ),
    Case(
        kind="CloudController",
        message="failover is for roles with clustering.model ActivePassive",
        good=role("keystone", model="ActivePassive", failover={"leaseDurationSeconds": 20}),
        bad=role("keystone", failover={"leaseDurationSeconds": 20}),
    ),
    Case(
        kind="CloudController",
        message="a standby of these roles can only be Cold",
        good=role("nova-conductor", model="ActivePassive", failover={"standby": "Cold"}),
        bad=role("nova-conductor", model="ActivePassive", failover={"standby": "Hot"}),
    ),
    Case(
        kind="CloudController",
        message="accessMode is for roles with clustering.model ActivePassive",
        good=stored("glance", "ReadWriteMany", model="ActivePassive"),
        bad=stored("glance", "ReadWriteMany"),
    ),
    Case(
        kind="CloudController",
        message="onApiLoss Keep needs storage.accessMode ReadWriteOncePod",
        good=stored(
            "glance", "ReadWriteOncePod", model="ActivePassive", failover={"onApiLoss": "Keep"}
        ),
        bad=role("glance", model="ActivePassive", failover={"onApiLoss": "Keep"}),
    ),
    Case(
        kind="CloudController",
        message="a volume of accessMode ReadWriteOncePod admits one pod",
        good=stored("glance", "ReadWriteOncePod", model="ActivePassive", replicas=1),
        bad=stored("glance", "ReadWriteOncePod", model="ActivePassive", replicas=2),
    ),
    *(
        Case(
            kind="CloudController",
            message="is for these roles only: mariadb, rabbitmq, ovn-nb, ovn-sb",
            good=recovery(name),
            bad=recovery(other),
        )
        for name, other in (("mariadb", "memcached"), ("rabbitmq", "keystone"))
    ),
    Case(
        kind="CloudController",
        message="replaceMember is for roles that decide by majority",
        good=replacement("mariadb"),
        bad=replacement("keystone"),
    ),
    Case(
        kind="CloudController",
        message="should match '^[0-9a-f]{8}$'",
        good=recovery("ovn-nb"),
        bad=recovery("ovn-nb", incident="yes"),
    ),
    Case(
        kind="CloudController",
        message="unknown role or service with options;",
        good={"config": {"nova": {"DEFAULT": {"debug": "true"}}}},
        bad={"config": {"nove": {"DEFAULT": {"debug": "true"}}}},
    ),
    Case(
        kind="CloudController",
        message="unknown role or service with options;",
        good={"config": {"haproxy": {"global": {"maxconn": 100}}}},
        bad={"config": {"ovn": {"global": {"maxconn": 100}}}},
    ),
    *(
        Case(
            kind="CloudController",
            message=f"{names} takes only the section {', '.join(sections)}",
            good={"config": {name: {section: {"x": 1} for section in sections}}},
            bad={"config": {name: {"other": {"x": 1}}}},
        )
        for names, name, sections in (
            ("rabbitmq", "rabbitmq", ("rabbitmq",)),
            ("memcached", "memcached", ("memcached",)),
            ("haproxy, endpoint", "haproxy", ("global", "defaults")),
            ("haproxy, endpoint", "endpoint", ("global", "defaults")),
            (
                "mariadb",
                "mariadb",
                ("mysqld", "mariadbd", "mariadb", "server", "galera", "mariadb-backup", "sst"),
            ),
        )
    ),
    Case(
        kind="CloudController",
        message="takes no section uwsgi",
        good={"config": {"nova": {"uwsgi": {"processes": 2}}}},
        bad={"config": {"nova-conductor": {"uwsgi": {"processes": 2}}}},
    ),
    Case(
        kind="ComputePool",
        message="takes no section uwsgi",
        bad={"config": {"nova-compute": {"uwsgi": {"processes": 2}}}},
    ),
    *(
        Case(
            kind=kind,
            message="passwords and keys are no options",
            good={"config": {name: {"libvirt": {"inject_password": "true"}}}},
            bad={"config": {name: {"DEFAULT": {option: "x"}}}},
        )
        for kind, name in (("CloudController", "nova"), ("ComputePool", "nova-compute"))
        for option in (
            "transport_url",
            "connection",
            "s3_store_secret_key",
            "admin_password",
            "fixed_key",
        )
    ),
    Case(
        kind="CloudController",
        message="unknown service with credentials;",
        good={"credentials": {"nova": "mine", "mariadb": "mine", "admin": "mine"}},
        bad={"credentials": {"nova-api": "mine"}},
    ),
    Case(
        kind="CloudController",
        message="unknown service with credentials;",
        good={"credentials": {"rabbitmq": "mine"}},
        bad={"credentials": {"memcached": "mine"}},
    ),
    Case(
        kind="CloudController",
        message="unknown key; known are: cpu, memory",
        good={"roles": {"glance": {"resources": {"requests": {"cpu": "1"}, "limits": {}}}}},
        bad={"roles": {"glance": {"resources": {"requests": {"gpu": "1"}, "limits": {}}}}},
    ),
    Case(
        kind="CloudController",
        message="unknown key; known are: cpu, memory",
        good={"roles": {"glance": {"resources": {"limits": {"memory": "1Gi"}}}}},
        bad={"roles": {"glance": {"resources": {"limits": {"disk": "1Gi"}}}}},
    ),
    *(
        Case(kind=kind, message=message, good=select(**good), bad=select(**bad))
        for kind, select in (
            ("CloudController", placed),
            ("ComputePool", lambda **selector: {"nodeSelector": selector}),
        )
        for message, good, bad in (
            ("each key must match", {"example.org/A_b.c-d": "1"}, {"a b": "1"}),
            ("each key must match", {"x" * 63: "1"}, {"x" * 64: "1"}),
            (
                "at most 317 characters",
                {f"{'a' * 253}/{'b' * 63}": ""},
                {f"{'a' * 254}/{'b' * 63}": ""},
            ),
        )
    ),
    Case(
        kind="ComputePool",
        message="controller cannot change",
        bad={"controller": "other"},
        update=True,
    ),
    Case(
        kind="ComputePool",
        message="must not be called nova",
        good={"availabilityZone": "az1"},
        bad={"availabilityZone": "nova"},
    ),
    Case(
        kind="ComputePool",
        message="unknown compute role;",
        good={"roles": {COMPUTE: {"image": "mine"}}},
        bad={"roles": {"keystone": {"image": "mine"}}},
    ),
    Case(
        kind="ComputePool",
        message="unknown compute role or service with options;",
        good={"config": {COMPUTE: {"libvirt": {"cpu_mode": "none"}}}},
        bad={"config": {"keystone": {"DEFAULT": {"debug": "true"}}}},
    ),
    Case(
        kind="ComputePool",
        message="unknown key; known are: cpu, memory",
        good={"roles": {COMPUTE: {"resources": {"requests": {"cpu": "1"}}}}},
        bad={"roles": {COMPUTE: {"resources": {"requests": {"gpu": "1"}}}}},
    ),
    *(
        Case(
            kind=kind,
            message="at most 64 characters",
            good={"config": {role_name: {"x" * 64: {"y" * 64: "1"}}}},
            bad={"config": {role_name: bad}},
        )
        for kind, role_name in (("CloudController", "nova"), ("ComputePool", COMPUTE))
        for bad in ({"x" * 65: {"y": "1"}}, {"x": {"y" * 65: "1"}})
    ),
    Case(
        kind="ComputeNode",
        message="membership cannot change",
        bad={"pool": "other"},
        update=True,
    ),
    *(
        Case(
            kind="CloudController",
            message="unknown key; known are: cpu, memory",
            good={field: {"limits": {"cpu": "1"}}},
            bad={field: {"limits": {"gpu": "1"}}},
        )
        for field in ("defaultResources", "jobResources")
    ),
    Case(
        kind="BackupPolicy",
        message="unknown key; known are: cpu, memory",
        good={"resources": {"limits": {"cpu": "1"}}},
        bad={"resources": {"limits": {"gpu": "1"}}},
    ),
    *(
        Case(
            kind="BackupPolicy", message="never due", good={"schedule": good}, bad={"schedule": bad}
        )
        for good, bad in (
            ("0 3 29 2 *", "0 3 30 2 *"),
            ("0 0 31 2 mon", "0 0 31 2 *"),
            ("0 0 30 4,6,9,11 *", "0 0 31 4,6,9,11 *"),
            ("0 0 31 Apr-Jun *", "0 0 31 Apr-Jun/2 *"),
            ("0 0 28-31 feb *", "0 0 30-31,31/2 feb,02 mon,*"),
        )
    ),
    Case(
        kind="BackupPolicy",
        message="never due",
        good={"schedule": "0 0 31 1 *"},
        bad={"schedule": "0 0 31 2 *"},
        update=True,
    ),
    Case(
        kind="BackupPolicy",
        message="controller cannot change",
        bad={"controller": "other"},
        update=True,
    ),
    *(
        Case(
            kind="BackupPolicy",
            message="exactly one of volume and s3",
            good={
                "repository": {
                    "s3": {
                        "endpoint": "https://s3.example",
                        "bucket": "sets",
                        "credentialsSecret": "s3",
                    }
                }
            },
            bad={"repository": repository},
        )
        for repository in (
            {},
            {
                "volume": {},
                "s3": {
                    "endpoint": "https://s3.example",
                    "bucket": "sets",
                    "credentialsSecret": "s3",
                },
            },
        )
    ),
    Case(kind="Backup", message="a Backup cannot change", bad={"policy": "other"}, update=True),
    Case(
        kind="Restore",
        message="name exactly one of backup and recoverySet",
        bad={"recoverySet": {"policy": "daily", "name": "first"}},
    ),
    Case(
        kind="Restore",
        message="name exactly one of volume and s3",
        bad={"recoverySet": {"policy": "daily", "encryptionSecret": "key", "repository": {}}},
    ),
    Case(
        kind="Restore",
        message="recoverySet.repository and recoverySet.encryptionSecret come together",
        bad={"recoverySet": {"policy": "daily", "repository": {"volume": {}}}},
    ),
    Case(
        kind="BackupPolicy",
        message="name the claim of a copy's volume: the operator makes none for it",
        bad={"copies": [{"name": "far", "repository": {"volume": {}}}]},
    ),
    Case(
        kind="CloudController",
        message="never due",
        good={"housekeeping": {"schedule": "0 0 29 2 *"}},
        bad={"housekeeping": {"schedule": "0 0 30 2 *"}},
    ),
    Case(
        kind="Restore",
        message="what is restored cannot change",
        good={"overwrite": "cloud"},
        bad={"backup": "other"},
        update=True,
    ),
    Case(
        kind="Restore",
        message="what is restored cannot change",
        good={"pointInTime": "2026-11-28T14:05:00Z"},
        bad={"pointInTime": "2026-11-28T14:06:00Z"},
        update=True,
    ),
)


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.kind}: {case.message}")
def test_a_rule_lets_good_objects_through_and_refuses_bad_ones(
    admin: ApiClient, namespace: str, case: Case
) -> None:
    path = objects_path(case.kind, namespace)

    admin.create(path, build(case.kind, **case.good)).must()
    if case.update:
        answer = admin.apply(f"{path}/sample", build(case.kind, **case.bad))
    else:
        bad = build(case.kind, name=case.bad_name, **case.bad)
        answer = admin.create(path, bad, dryRun="All")

    assert answer.status == 422, answer.body
    assert case.message in answer.message


def test_each_rule_has_a_case() -> None:
    uncovered = {
        f"{kind}{path}: {message}"
        for kind, path, message in all_rules()
        if not any(case.kind == kind and case.message in message for case in CASES)
    }

    assert uncovered == set()


def test_an_update_of_another_field_passes_the_rules_on_change(
    admin: ApiClient, namespace: str
) -> None:
    path = objects_path("CloudController", namespace)
    admin.create(path, build("CloudController", region="here")).must()

    changed = build("CloudController", region="here", suspend=True)
    assert admin.apply(f"{path}/sample", changed).must()["spec"]["suspend"] is True


def test_a_default_may_be_written_out_and_left_out_again(admin: ApiClient, namespace: str) -> None:
    path = objects_path("CloudController", namespace)
    admin.create(path, build("CloudController")).must()

    written = admin.merge(f"{path}/sample", {"spec": {"region": "RegionOne"}}).must()
    left_out = admin.merge(f"{path}/sample", {"spec": {"region": None}}).must()

    assert (written["spec"], left_out["spec"]) == ({"region": "RegionOne"}, {})


def test_what_cannot_change_cannot_be_left_out_either(admin: ApiClient, namespace: str) -> None:
    path = objects_path("CloudController", namespace)
    admin.create(path, build("CloudController", region="here")).must()

    answer = admin.merge(f"{path}/sample", {"spec": {"region": None}})

    assert answer.status == 422
    assert "region cannot change" in answer.message
