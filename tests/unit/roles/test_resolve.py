from typing import Any

import pytest

from stackroles.errors import SpecInvalid
from stackroles.roles import registry
from tests.support.clouds import cloud


def test_empty_spec_has_every_default() -> None:
    declared = cloud()
    own = {role.name: role.replicas for role in registry.CONTROLLER_ROLES}
    assert declared.replicas == own | {"glance": 1}
    assert declared.image("keystone") == "registry.test/stackroles/keystone:1"
    assert declared.host("keystone") == "demo-keystone.ns.svc"


def test_said_replicas_win() -> None:
    declared = cloud(roles={"keystone": {"clustering": {"replicas": 4}}})
    assert declared.replicas["keystone"] == 4
    assert declared.replicas["placement"] == registry.role("placement").replicas


def test_options_of_a_role_win_over_its_services() -> None:
    declared = cloud(
        config={
            "nova": {"DEFAULT": {"debug": "true", "workers": 1}},
            "nova-api": {"DEFAULT": {"debug": "false"}},
        }
    )
    assert declared.options("nova-api", "nova")["DEFAULT"] == {"debug": "false", "workers": 1}
    assert declared.options("nova-conductor", "nova")["DEFAULT"]["debug"] == "true"


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ({"roles": {"mariadb": {"clustering": {"replicas": 2}}}}, "spec.roles.mariadb"),
        ({"roles": {"mariadb": {"clustering": {"replicas": 0}}}}, "replicas"),
        ({"roles": {"horizon": {}}}, "horizon"),
        ({"config": {"horizon": {"DEFAULT": {"a": "b"}}}}, "horizon"),
        ({"credentials": {"horizon": "secret"}}, "horizon"),
        ({"config": {"nova": {"DEFAULT": {"a": ["b"]}}}}, "spec.config.nova.DEFAULT.a"),
        ({"roles": {"mariadb": {"clustering": {"model": "ActivePassive"}}}}, "ActivePassive"),
        ({"release": "1999.1"}, "spec.release"),
    ],
)
def test_what_no_cloud_can_be_is_refused_with_its_place(
    spec: dict[str, Any], expected: str
) -> None:
    with pytest.raises(SpecInvalid) as caught:
        cloud(**spec)
    assert caught.value.reason == "SpecInvalid"
    assert expected in caught.value.message
