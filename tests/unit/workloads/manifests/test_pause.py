"""Which child of a role tells the endpoint to refuse its requests."""

import copy

import pytest

from stackroles.agents.endpoint.protocol import PAUSED_LABEL
from stackroles.config.cloud import Cloud
from stackroles.roles import registry
from stackroles.roles.definition import RoleDefinition
from stackroles.roles.endpoint import members_service
from stackroles.workloads.manifests.children import build_role, pause
from tests.support.clouds import cloud
from tests.support.longest import longest_cloud


@pytest.mark.parametrize("declared", [cloud(), longest_cloud()], ids=["usual", "longest"])
@pytest.mark.parametrize("role", registry.CONTROLLER_ROLES, ids=lambda role: role.name)
def test_only_the_list_of_members_says_so(declared: Cloud, role: RoleDefinition) -> None:
    built = build_role(declared, role)
    before = copy.deepcopy(built)

    paused = pause(built, "night")

    assert built == before, "the given ones stay"
    changed = [new for old, new in zip(built, paused, strict=True) if old != new]
    expected = [("Service", members_service(declared, role.name))] if role.endpoint else []
    assert [(child["kind"], child["metadata"]["name"]) for child in changed] == expected
    for child in changed:
        assert child["metadata"]["labels"].pop(PAUSED_LABEL) == "night"
        assert child in built, "nothing else differs"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("night-2.x", "night-2.x"),
        ("n" * 63, "n" * 63),
        ("n" * 64, "n" * 63),
        ("n" * 61 + "-.n", "n" * 61),
    ],
)
def test_the_value_is_one_that_a_label_takes(name: str, value: str) -> None:
    role = registry.role("keystone")
    labels = [
        child["metadata"].get("labels", {}) for child in pause(build_role(cloud(), role), name)
    ]

    assert [found[PAUSED_LABEL] for found in labels if PAUSED_LABEL in found] == [value]
