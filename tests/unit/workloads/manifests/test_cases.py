"""Golden cases: a CloudController in, its children out.

`pytest tests/unit/workloads/manifests --update-cases` writes what is made now: review the diff.
Content of configuration is left out here: tests/cases/roles holds it.
"""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from stackroles.constants import ANNOTATION_CONFIG_HASH
from stackroles.roles import registry
from stackroles.workloads.manifests.children import build_roles, build_step, unique
from tests.support.clouds import cloud

Object = dict[str, Any]
CASES = sorted((Path(__file__).parents[3] / "cases" / "cloud_controller").iterdir())
_HASH = re.compile(r"-[0-9a-f]{8}(?=$|,)")


# An annotation of the input: which roles are shown, all without it.
SHOWN = "case/roles"


def children(resource: Object) -> list[Object]:
    declared = cloud(resource)
    shown = resource["metadata"].get("annotations", {}).get(SHOWN, "").split()
    if shown:
        made = build_roles(declared, [registry.role(name) for name in shown])
        return [_without_hashes(item) for item in made]
    made = build_roles(declared, registry.CONTROLLER_ROLES)
    for service in registry.SERVICES:
        for step in service.steps:
            if step.tasks:
                made += build_step(declared, service, step)
    return [_without_hashes(item) for item in unique(made)]


def _without_hashes(value: Any, key: str = "") -> Any:
    """Return a manifest without what follows from the content of configuration."""
    if isinstance(value, dict):
        if value.get("kind") == "ConfigMap":
            value = {**value, "data": dict.fromkeys(value["data"], "...")}
        return {name: _without_hashes(item, name) for name, item in value.items()}
    if isinstance(value, list):
        return [_without_hashes(item) for item in value]
    if key == ANNOTATION_CONFIG_HASH:
        return "HASH"
    return _HASH.sub("-HASH", value) if isinstance(value, str) else value


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_children_are_as_expected(case: Path, request: pytest.FixtureRequest) -> None:
    resource = yaml.safe_load((case / "input.yaml").read_text())
    made = children(resource)
    expected = case / "expected.yaml"
    if request.config.getoption("--update-cases"):
        expected.write_text(yaml.safe_dump_all(made, sort_keys=True, width=100))
    assert made == list(yaml.safe_load_all(expected.read_text()))
