"""Singletons are named in one place."""

import re
from pathlib import Path

import stackroles
from stackroles.roles import registry
from stackroles.roles.topology import DEFAULT, RoleInstance

SOURCES = Path(stackroles.__file__).parent
# Where a name is a program's, an image's or a configuration section's, not an instance's address.
OTHERS = {
    "roles/topology.py": {"mariadb", "haproxy", "rabbitmq", "memcached", "cell1"},
    "roles/definition.py": {"mariadb"},
    "roles/mariadb.py": {"mariadb"},
    "roles/haproxy.py": {"haproxy"},
    "roles/memcached.py": {"memcached"},
    "roles/rabbitmq.py": {"rabbitmq"},
    "domains/backup/reconcile_inputs.py": {"mariadb"},
}
NAMED = re.compile(r"""["'](mariadb|haproxy|rabbitmq|memcached|cell1)(?:/\w+)?["']""")


def test_default_instances_are_roles_that_exist() -> None:
    used = (DEFAULT.database, DEFAULT.proxy, DEFAULT.broker, DEFAULT.cache)
    assert {instance.name for instance in used} <= {r.name for r in registry.CONTROLLER_ROLES}


def test_an_instance_of_a_cell_has_a_name_of_its_own() -> None:
    assert RoleInstance("mariadb", "cell2").name == "mariadb-cell2"
    assert RoleInstance("mariadb").name == "mariadb"


def test_nobody_else_names_an_instance() -> None:
    found = {}
    for path in sorted(SOURCES.rglob("*.py")):
        name = path.relative_to(SOURCES).as_posix()
        if name.startswith("agents/"):
            continue
        names = set(NAMED.findall(path.read_text())) - OTHERS.get(name, set())
        if names:
            found[name] = names
    assert found == {}
