import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from stackroles.roles import registry
from stackroles.roles.container import (
    AGENT_COMMAND,
    AgentMount,
    Container,
    Security,
)
from stackroles.roles.definition import RoleDefinition
from stackroles.workloads.manifests.agents import (
    PACKAGE,
    agent_sources,
    agents_of,
    closure,
    config_map_data,
    config_map_items,
)

SOURCES = {
    "__init__.py": "",
    "galera/__init__.py": "",
    "galera/agent.py": "from stackroles.agents import node\n"
    "from stackroles.agents.galera.sql import x\n",
    "galera/decision.py": "",
    "galera/sql.py": "from stackroles.agents.galera import wire\n",
    "galera/wire.py": "import os\n",
    "node.py": "",
    "migration.py": "import stackroles.agents.backup.run\n",
    "backup/__init__.py": "",
    "backup/run.py": "",
}
GALERA = {
    "__init__.py",
    "galera/__init__.py",
    "galera/agent.py",
    "galera/sql.py",
    "galera/wire.py",
    "node.py",
}


RUNNING = [
    role
    for role in registry.ROLES
    if any(AgentMount() in container.mounts for container in role.containers)
]


def named(role: RoleDefinition) -> list[str]:
    arguments = {word for c in (*role.init, *role.containers) for word in c.command}
    return sorted(word for word in arguments if word.startswith(f"{PACKAGE}."))


def container(*command: str, mounted: bool = True) -> Container:
    return Container(
        name="c",
        command=command,
        security=Security(user=1),
        mounts=(AgentMount(),) if mounted else (),
    )


def test_pod_gets_what_its_command_names_and_what_that_imports() -> None:
    found = agents_of([container(*AGENT_COMMAND, "stackroles.agents.galera.agent")], SOURCES)
    assert set(found) == GALERA


def test_an_import_by_whole_name_is_followed_into_its_package() -> None:
    found = agents_of([container(*AGENT_COMMAND, "stackroles.agents.migration")], SOURCES)
    assert set(found) == {"__init__.py", "migration.py", "backup/__init__.py", "backup/run.py"}


def test_a_name_within_a_module_is_that_module() -> None:
    assert set(closure(["node.run"], SOURCES)) == {"__init__.py", "node.py"}


def test_keys_hold_no_slash_and_lead_back_to_the_paths() -> None:
    found = closure(["galera.agent"], SOURCES)
    data = config_map_data(found)

    assert all(re.fullmatch(r"[-._a-zA-Z0-9]+", key) for key in data)
    assert {item["path"]: data[item["key"]] for item in config_map_items(found)} == found


def test_a_changed_agent_changes_only_the_map_of_roles_that_run_it() -> None:
    sources = agent_sources()
    changed = {**sources, "galera/volume.py": sources["galera/volume.py"] + "\n# changed\n"}

    def rolled(before: Mapping[str, str], after: Mapping[str, str]) -> set[str]:
        return {
            role.name
            for role in registry.ROLES
            if agents_of((*role.init, *role.containers), before)
            != agents_of((*role.init, *role.containers), after)
        }

    assert rolled(sources, changed) == {"mariadb"}


def test_sources_are_those_of_the_package() -> None:
    assert {"__init__.py", "migration.py", "galera/agent.py"} <= agent_sources().keys()
    assert not [path for path in agent_sources() if "__pycache__" in path]


def test_pod_without_a_mount_gets_none() -> None:
    assert not agents_of([container("stackroles.agents.galera.agent", mounted=False)], SOURCES)


def test_pod_that_names_none_gets_all() -> None:
    assert agents_of([container("sh", "-c", "run")], SOURCES) == SOURCES


@pytest.mark.parametrize("role", RUNNING, ids=lambda role: role.name)
def test_every_agent_a_role_runs_is_there(role: RoleDefinition) -> None:
    found = agents_of([*role.init, *role.containers], agent_sources())
    files = {name.removeprefix(f"{PACKAGE}.").replace(".", "/") + ".py" for name in named(role)}

    assert files
    assert files <= set(found)
    assert len(found) < len(agent_sources())


@pytest.mark.parametrize("role", RUNNING, ids=lambda role: role.name)
def test_agents_import_from_what_is_mounted_alone(role: RoleDefinition, tmp_path: Path) -> None:
    found = agents_of([*role.init, *role.containers], agent_sources())
    data = config_map_data(found)
    for item in config_map_items(found):
        file = tmp_path / "stackroles" / "agents" / item["path"]
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(data[item["key"]])
    program = f"import sys; sys.path.insert(0, {str(tmp_path)!r}); import {', '.join(named(role))}"

    done = subprocess.run(
        (sys.executable, "-I", "-S", "-B", "-c", program), capture_output=True, check=False
    )

    assert done.returncode == 0, done.stderr.decode()
