import pytest

from stackroles.roles import registry
from stackroles.roles.container import (
    AGENT_COMMAND,
    AgentMount,
    Container,
    Security,
)
from stackroles.workloads.manifests.agents import agent_sources, agents_of

SOURCES = {
    "__init__.py": "",
    "galera.py": "from stackroles.agents import node\nfrom stackroles.agents.sql import x\n",
    "sql.py": "import stackroles.agents.wire\n",
    "wire.py": "import os\n",
    "node.py": "",
    "ovsdb.py": "",
}


def container(*command: str, mounted: bool = True) -> Container:
    return Container(
        name="c",
        command=command,
        security=Security(user=1),
        mounts=(AgentMount(),) if mounted else (),
    )


def test_pod_gets_what_its_command_names_and_what_that_imports() -> None:
    found = agents_of([container(*AGENT_COMMAND, "stackroles.agents.galera.agent")], SOURCES)
    assert set(found) == {"__init__.py", "galera.py", "sql.py", "wire.py", "node.py"}


def test_pod_without_a_mount_gets_none() -> None:
    assert not agents_of([container("stackroles.agents.galera.agent", mounted=False)], SOURCES)


def test_pod_that_names_none_gets_all() -> None:
    assert agents_of([container("sh", "-c", "run")], SOURCES) == SOURCES


@pytest.mark.parametrize(
    "role",
    [r for r in registry.CONTROLLER_ROLES if any(AgentMount() in c.mounts for c in r.containers)],
    ids=lambda role: role.name,
)
def test_every_agent_a_role_runs_is_there(role) -> None:  # type: ignore[no-untyped-def]
    found = agents_of([*role.init, *role.containers], agent_sources())
    named = {
        word.rpartition(".")[2] + ".py"
        for c in role.containers
        for word in c.command
        if word.startswith("stackroles.agents.")
    }
    assert named
    assert named <= set(found)
    assert len(found) < len(agent_sources())
