"""The CRDs of the kinds there are."""

import json
from typing import Any

import pytest

from stackroles.codegen.crd import MAX_BYTES
from stackroles.codegen.map_keys import clustering_rules, role_key_sets
from stackroles.codegen.outputs import all_crds
from stackroles.codegen.text import dump_yaml
from stackroles.roles import registry

CRDS = all_crds()


def each_crd(function: Any) -> Any:
    return pytest.mark.parametrize("crd", CRDS, ids=lambda crd: crd["spec"]["names"]["kind"])(
        function
    )


def version(crd: dict[str, Any]) -> dict[str, Any]:
    return dict(crd["spec"]["versions"][0])


@each_crd
def test_each_crd_is_small_enough_for_a_client_side_apply(crd: dict[str, Any]) -> None:
    assert len(dump_yaml(crd).encode()) < MAX_BYTES


@each_crd
def test_each_kind_has_status_columns_a_short_name_and_the_category(crd: dict[str, Any]) -> None:
    names = crd["spec"]["names"]
    columns = [column["name"] for column in version(crd)["additionalPrinterColumns"]]

    assert version(crd)["subresources"] == {"status": {}}
    assert names["categories"] == ["openstack"]
    assert len(names["shortNames"]) == 1
    assert columns[0] == "Ready"
    assert columns[-1] == "Age"


@each_crd
def test_conditions_are_a_map_by_type(crd: dict[str, Any]) -> None:
    schema = version(crd)["schema"]["openAPIV3Schema"]
    conditions = schema["properties"]["status"]["properties"]["conditions"]

    assert conditions["x-kubernetes-list-type"] == "map"
    assert conditions["x-kubernetes-list-map-keys"] == ["type"]


@each_crd
def test_no_defaults_are_left_to_the_api_server(crd: dict[str, Any]) -> None:
    assert '"default"' not in json.dumps(crd)


def test_short_names_are_unique() -> None:
    names = [name for crd in CRDS for name in crd["spec"]["names"]["shortNames"]]

    assert len(names) == len(set(names))


def test_the_same_kinds_give_the_same_text() -> None:
    assert [dump_yaml(crd) for crd in all_crds()] == [dump_yaml(crd) for crd in CRDS]


def test_key_sets_hold_what_the_registry_holds() -> None:
    sets = role_key_sets()

    assert sets["controller-roles"].names == tuple(r.name for r in registry.CONTROLLER_ROLES)
    named = set(sets["controller-config"].names)
    assert named >= {role.name for role in registry.CONTROLLER_ROLES if not role.options.nothing}
    assert named >= {"nova", "neutron"}
    assert not named & {role.name for role in registry.CONTROLLER_ROLES if role.options.nothing}
    assert all(key_set.names for key_set in sets.values())


def test_quorum_roles_are_in_the_rule_on_odd_numbers() -> None:
    rules = clustering_rules(registry.CONTROLLER_ROLES)
    quorum = [role.name for role in registry.CONTROLLER_ROLES if role.quorum]

    assert "mariadb" in quorum
    assert all(repr(name) in rules[0]["rule"] for name in quorum)


def test_only_roles_that_a_survivor_can_continue_take_a_consent() -> None:
    rules = clustering_rules(registry.CONTROLLER_ROLES)
    [rule] = [rule for rule in rules if "recovery" in rule["rule"]]

    surviving = [role.name for role in registry.CONTROLLER_ROLES if role.survivor_lacks]
    assert rule["message"].endswith(", ".join(surviving))
    assert "memcached" not in rule["rule"]
