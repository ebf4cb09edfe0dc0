"""Pods behind a gate: what it runs, how it is asked, and what it may do in the Kubernetes API."""

from typing import Any

import pytest

from stackroles.agents import wire
from stackroles.agents.gate.protocol import PORT, GateSettings, Standby
from stackroles.roles import registry
from stackroles.workloads.manifests.children import build_role
from stackroles.workloads.manifests.gate import SETTINGS, build_lease
from tests.support.clouds import cloud

Object = dict[str, Any]
BEHIND = [role for role in registry.CONTROLLER_ROLES if role.endpoint]
PASSIVE = {"clustering": {"model": "ActivePassive"}}


def children(role: str, **spec: Any) -> dict[tuple[str, str], Object]:
    made = build_role(cloud(roles={role: spec}), registry.role(role))
    return {(child["kind"], child["metadata"]["name"]): child for child in made}


def settings(role: str, **spec: Any) -> GateSettings:
    config = next(
        child
        for (kind, name), child in children(role, **spec).items()
        if kind == "ConfigMap" and f"demo-{role}-config" in name
    )
    return wire.loads(GateSettings, config["data"][SETTINGS.strip("/").replace("/", "_")])


def container(role: str, **spec: Any) -> Object:
    workload = list(children(role, **spec).values())[-1]
    found: Object = workload["spec"]["template"]["spec"]["containers"][0]
    return found


@pytest.mark.parametrize("role", BEHIND, ids=lambda role: role.name)
def test_a_role_behind_the_endpoint_has_a_gate_in_both_models(role: Any) -> None:
    active, passive = settings(role.name), settings(role.name, **PASSIVE)

    assert active.command == passive.command == role.containers[0].command
    assert active.health is not None
    assert active.health.port == role.containers[0].ports[0].number
    assert (active.claim, passive.claim is None) == (None, False)


def test_roles_that_nobody_calls_have_a_gate_only_when_they_take_turns() -> None:
    assert container("nova-conductor")["command"][0] == "nova-conductor"

    assert container("nova-conductor", **PASSIVE)["command"][-2:] == [
        "stackroles.agents.gate.agent",
        SETTINGS,
    ]
    assert settings("nova-conductor", **PASSIVE).health is None


def test_the_pod_lives_as_long_as_its_gate_may_need_to_stop() -> None:
    workload = list(children("glance", **PASSIVE).values())[-1]
    grace = workload["spec"]["template"]["spec"]["terminationGracePeriodSeconds"]

    assert grace >= settings("glance", **PASSIVE).longest_stop


def test_a_gate_is_asked_in_place_of_its_program() -> None:
    active, passive = container("placement"), container("placement", **PASSIVE)

    assert active["startupProbe"]["httpGet"] == {"path": "/ready", "port": PORT, "scheme": "HTTP"}
    # A standby that starts nothing would never be ready to start.
    assert passive["startupProbe"]["httpGet"]["path"] == "/status"
    assert active["readinessProbe"] == passive["readinessProbe"]


def test_failover_follows_the_duration_of_the_lease() -> None:
    claim = settings(
        "keystone",
        clustering={
            "model": "ActivePassive",
            "failover": {"leaseDurationSeconds": 40, "standby": "Cold"},
        },
    ).claim

    assert claim is not None
    assert (claim.duration_seconds, claim.renew_deadline_seconds, claim.standby) == (
        40,
        30.0,
        Standby.COLD,
    )
    assert claim.retry_seconds < claim.renew_deadline_seconds / 3


def test_a_gate_may_do_nothing_but_hold_its_own_lease() -> None:
    found = children("keystone", **PASSIVE)

    assert found["Role", "demo-keystone"]["rules"] == [
        {
            "apiGroups": ["coordination.k8s.io"],
            "resources": ["leases"],
            "verbs": ["get", "update"],
            "resourceNames": ["demo-keystone"],
        }
    ]
    subjects = found["RoleBinding", "demo-keystone"]["subjects"]
    assert subjects == [{"kind": "ServiceAccount", "name": "demo-keystone", "namespace": "ns"}]
    assert ("Role", "demo-keystone") not in children("keystone")


def test_the_account_of_a_role_goes_with_its_rights() -> None:
    """Left out, the account's name would stay in the field that the API server fills in."""
    for role, spec, account in (
        ("keystone", PASSIVE, "demo-keystone"),
        ("keystone", {}, "default"),
        ("nova-conductor", {}, "default"),
    ):
        workload = list(children(role, **spec).values())[-1]
        assert workload["spec"]["template"]["spec"]["serviceAccountName"] == account


def test_members_on_one_volume_share_the_first_members_claim_on_one_node() -> None:
    found = children("glance", **PASSIVE)
    pod = found["Deployment", "demo-glance"]["spec"]["template"]["spec"]

    claim = found["PersistentVolumeClaim", "data-demo-glance-0"]
    assert claim["spec"]["accessModes"] == ["ReadWriteOnce"]
    assert claim["metadata"]["ownerReferences"] == []
    assert {"name": "data", "persistentVolumeClaim": {"claimName": "data-demo-glance-0"}} in pod[
        "volumes"
    ]
    assert pod["affinity"].keys() == {"podAffinity"}


def test_members_on_a_volume_that_nodes_share_are_spread() -> None:
    found = children("glance", **PASSIVE, storage={"accessMode": "ReadWriteMany"})
    pod = found["Deployment", "demo-glance"]["spec"]["template"]["spec"]

    claim = found["PersistentVolumeClaim", "data-demo-glance-0"]
    assert claim["spec"]["accessModes"] == ["ReadWriteMany"]
    assert pod["affinity"].keys() == {"podAntiAffinity"}


def test_the_lease_says_nothing_that_its_holder_writes() -> None:
    lease = build_lease(cloud(), registry.role("keystone"))

    assert (lease["metadata"]["name"], lease["spec"]) == ("demo-keystone", {})
