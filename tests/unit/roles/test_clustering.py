"""Which clustering a role may have, and how many members follow."""

from typing import Any

import pytest

from stackroles.api.v1alpha1.common import ClusteringModel
from stackroles.errors import SpecInvalid
from stackroles.roles import registry
from stackroles.roles.clustering import model_of, shares_claim, takes_turns, workload_of
from stackroles.roles.definition import Workload
from tests.support.clouds import cloud

PASSIVE = {"model": "ActivePassive"}


def spec(role: str, clustering: dict[str, Any], **others: Any) -> dict[str, Any]:
    return {"roles": {role: {"clustering": clustering, **others}}}


@pytest.mark.parametrize(
    ("role", "clustering", "others", "message"),
    [
        ("mariadb", PASSIVE, {}, "mariadb can only be ActiveActive, since Galera replicates"),
        ("ovn-northd", {"model": "ActiveActive"}, {}, "ovn-northd can only be ActivePassive"),
        ("keystone", {"failover": {"standby": "Hot"}}, {}, "takes clustering.model ActivePassive"),
        (
            "glance",
            PASSIVE | {"failover": {"standby": "Hot"}},
            {},
            "a standby of glance can only be Cold",
        ),
        ("keystone", PASSIVE | {"failover": {"onApiLoss": "Keep"}}, {}, "Set Stop, or storage."),
        ("glance", {}, {"storage": {"accessMode": "ReadWriteMany"}}, "storage.accessMode is set"),
        (
            "glance",
            PASSIVE | {"replicas": 2},
            {"storage": {"accessMode": "ReadWriteOncePod"}},
            "the others could not start. Set 1",
        ),
        ("glance", {"replicas": 2}, {}, "or clustering.model ActivePassive"),
        ("mariadb", {"replicas": 4}, {}, "Set 3 or 5"),
    ],
)
def test_what_cannot_be_is_refused_with_what_to_do(
    role: str, clustering: dict[str, Any], others: dict[str, Any], message: str
) -> None:
    with pytest.raises(SpecInvalid, match=rf"spec\.roles\.{role}\..*") as refused:
        cloud(**spec(role, clustering, **others))

    assert message in str(refused.value)


@pytest.mark.parametrize(
    ("role", "clustering", "others", "replicas"),
    [
        ("keystone", {}, {}, 2),
        ("keystone", PASSIVE, {}, 2),
        ("keystone", PASSIVE | {"replicas": 3}, {}, 3),
        ("glance", {}, {}, 1),
        ("glance", PASSIVE, {}, 2),
        ("glance", PASSIVE, {"storage": {"accessMode": "ReadWriteOncePod"}}, 1),
        ("neutron-periodic", {}, {}, 1),
        ("neutron-periodic", PASSIVE, {}, 2),
        ("ovn-northd", PASSIVE, {}, 2),
    ],
)
def test_members_of_a_role_follow_its_model(
    role: str, clustering: dict[str, Any], others: dict[str, Any], replicas: int
) -> None:
    declared = cloud(**spec(role, clustering, **others))

    assert declared.members_of(role) == replicas


def test_only_roles_with_a_gate_take_turns() -> None:
    passive = {
        role.name: {"clustering": PASSIVE}
        for role in registry.CONTROLLER_ROLES
        if ClusteringModel.ACTIVE_PASSIVE in role.clustering.models
    }
    declared = cloud(roles=passive)

    turns = {role.name for role in registry.CONTROLLER_ROLES if takes_turns(role, declared)}

    assert turns == passive.keys() - {"ovn-northd", "neutron-maintenance"}
    assert not any(takes_turns(role, cloud()) for role in registry.CONTROLLER_ROLES)


def test_members_that_share_a_volume_are_no_stateful_set() -> None:
    glance, declared = registry.role("glance"), cloud(**spec("glance", PASSIVE))

    assert (shares_claim(glance, declared), workload_of(glance, declared)) == (
        True,
        Workload.DEPLOYMENT,
    )
    assert workload_of(glance, cloud()) is Workload.STATEFUL_SET


@pytest.mark.parametrize("role", registry.CONTROLLER_ROLES, ids=lambda role: role.name)
def test_every_role_says_why_it_has_its_models(role: Any) -> None:
    assert role.clustering.models
    assert len(role.clustering.because) > 20
    assert model_of(role, cloud()) is role.clustering.models[0]
    decided = bool(role.clustering.standby or role.clustering.exclusion)
    assert decided or ClusteringModel.ACTIVE_PASSIVE not in role.clustering.models
