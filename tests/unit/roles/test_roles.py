"""What holds for every role, and what each one's files say."""

import base64
import graphlib
import hashlib
import json
import re
from pathlib import Path
from urllib.parse import urlparse

import pytest

from stackroles.config.cloud import Cloud
from stackroles.domains.credentials import generate as credentials
from stackroles.roles import common, nova, ovn, rabbitmq, registry, resolvers
from stackroles.roles.container import Container, SecretEnv, SecretMount
from stackroles.roles.definition import (
    Files,
    RoleDefinition,
    Step,
    Workload,
)
from stackroles.workloads.manifests.gate import behind_gate
from tests.support.clouds import cloud

CASES = Path(__file__).parents[2] / "cases" / "roles"
ROLES = registry.CONTROLLER_ROLES
STEPS = registry.steps()
OSLO_ENV = re.compile(r"OS_([A-Z0-9_]+?)__([A-Z0-9_]+)")

# Options that come through the environment, as the programs declare them (2025.1).
OPTIONS = {
    ("DEFAULT", "transport_url"),
    ("DEFAULT", "worker_self_reference_url"),
    ("api_database", "connection"),
    ("database", "connection"),
    ("keystone_authtoken", "memcache_secret_key"),
    ("keystone_authtoken", "password"),
    ("neutron", "metadata_proxy_shared_secret"),
    ("neutron", "password"),
    ("nova", "password"),
    ("placement", "password"),
    ("placement_database", "connection"),
    ("s3", "s3_store_access_key"),
    ("s3", "s3_store_secret_key"),
    ("service_user", "password"),
}


def counting(size: int) -> bytes:
    return bytes(range(65, 65 + size))


def secrets(declared: Cloud) -> dict[str, dict[str, str]]:
    made = {
        s.name: credentials.service_secret(declared, s, {}, counting) for s in registry.SERVICES
    }
    return made | {"admin": credentials.admin_secret(declared, {}, counting)}


def variables() -> list[tuple[str, SecretEnv]]:
    """Every variable from a Secret, with the role or step it is for."""
    found = [
        (role.name, env) for role in ROLES for c in (*role.init, *role.containers) for env in c.env
    ]
    found += [
        (name, env) for name, (_, step) in STEPS.items() for task in step.tasks for env in task.env
    ]
    return [(name, env) for name, env in found if isinstance(env, SecretEnv)]


def renderers() -> dict[str, Files]:
    made = {role.name: role.files for role in ROLES}
    made |= {name.replace("/", "-"): step.files for name, (_, step) in STEPS.items()}
    return {name: files for name, files in made.items() if files}


@pytest.mark.parametrize("name", renderers())
def test_files_are_what_the_case_expects(name: str, request: pytest.FixtureRequest) -> None:
    files = renderers()[name](cloud())
    folder = CASES / name
    if request.config.getoption("--update-cases"):
        folder.mkdir(parents=True, exist_ok=True)
        for old in folder.iterdir():
            old.unlink()
        for path, text in files.items():
            (folder / Path(path).name).write_text(text, encoding="utf-8")
    expected = {path.name: path.read_text(encoding="utf-8") for path in folder.iterdir()}
    assert {Path(path).name: text for path, text in files.items()} == expected


@pytest.mark.parametrize("name", renderers())
def test_files_hold_no_secret(name: str) -> None:
    declared = cloud()
    text = "\n".join(renderers()[name](declared).values())
    for values in secrets(declared).values():
        for key, value in values.items():
            if key not in ("username", "clouds.yaml"):
                assert value not in text


def test_commands_hold_no_secret() -> None:
    commands = [" ".join(c.command) for role in ROLES for c in role.containers]
    commands += [" ".join(task.command) for _, step in STEPS.values() for task in step.tasks]
    assert not [c for c in commands if "password" in c.lower() or "://" in c]


def test_graph_has_every_name_and_no_circle() -> None:
    needs = {role.name: role.needs for role in ROLES}
    needs |= {name: step.needs for name, (_, step) in STEPS.items()}
    missing = {n for names in needs.values() for n in names} - needs.keys()
    assert not missing
    order = list(graphlib.TopologicalSorter(needs).static_order())
    assert order.index("mariadb/accounts") < order.index("nova/setup") < order.index("nova-api")
    assert order.index("keystone/setup") < order.index("keystone/catalogue")


@pytest.mark.parametrize(("name", "env"), variables(), ids=lambda v: getattr(v, "name", v))
def test_variable_comes_from_a_key_that_its_secret_has(name: str, env: SecretEnv) -> None:
    external = () if env.service == "admin" else registry.service(env.service).external
    assert env.key in (external if env.optional else secrets(cloud())[env.service])


@pytest.mark.parametrize(("name", "env"), variables(), ids=lambda v: getattr(v, "name", v))
def test_oslo_variable_names_an_option_that_exists(name: str, env: SecretEnv) -> None:
    if not env.name.startswith("OS_") or env.name == "OS_BOOTSTRAP_PASSWORD":
        return
    match = OSLO_ENV.fullmatch(env.name)
    assert match
    group = match[1] if match[1] == "DEFAULT" else match[1].lower()
    assert (group, match[2].lower()) in OPTIONS


def test_secret_volumes_exist() -> None:
    declared = cloud()
    suffixes = {f"{s.name}-credentials-in-use" for s in registry.SERVICES}
    suffixes |= {f"{s.name}-{ring}" for s in registry.SERVICES for ring in s.keyrings}
    suffixes.add(rabbitmq.DEFINITIONS)
    mounts = [
        m for role in ROLES for c in role.containers for m in c.mounts if isinstance(m, SecretMount)
    ]
    mounts += [
        m
        for _, step in STEPS.values()
        for task in step.tasks
        for m in task.mounts
        if isinstance(m, SecretMount)
    ]
    assert {m.suffix for m in mounts} <= suffixes
    assert all(m.mode & 0o007 == 0 for m in mounts)
    cookie = credentials.service_secret(declared, rabbitmq.SERVICE, {}, counting)
    assert "erlang-cookie" in cookie


@pytest.mark.parametrize("role", ROLES, ids=lambda r: r.name)
def test_role_keeps_the_policies(role: RoleDefinition) -> None:
    for container in role.containers:
        assert container.security.user != 0
        assert not container.security.privileged
        assert not container.security.writable_root
    assert (role.replicas == 1 or role.shares_data is not None) == bool(role.single_because)
    assert role.quorum == (role.name in ("mariadb", "rabbitmq", "ovn-nb", "ovn-sb"))
    assert not role.headless or role.workload is Workload.STATEFUL_SET


@pytest.mark.parametrize(
    "role", [*registry.CONTROLLER_ROLES, *registry.COMPUTE_ROLES], ids=lambda r: r.name
)
def test_no_variable_is_given_twice(role: RoleDefinition) -> None:
    """Server-side apply refuses a list with two items of one name."""
    for container in (*role.init, *role.containers):
        names = [variable.name for variable in container.env]
        assert sorted(names) == sorted(set(names))


@pytest.mark.parametrize("step", [s for _, s in STEPS.values()], ids=lambda s: s.name)
def test_step_says_what_to_do_when_it_fails(step: Step) -> None:
    assert step.advice
    assert step.security.user != 0


def startup_seconds(container: Container) -> int:
    assert container.startup
    return container.startup.period * container.startup.failures


@pytest.mark.parametrize("role", ROLES, ids=lambda r: r.name)
def test_start_is_noticed_at_once_and_may_take_a_minute(role: RoleDefinition) -> None:
    for container in behind_gate(cloud(), role).containers:
        assert container.startup
        assert container.startup.period <= 2
        assert startup_seconds(container) >= 60


def test_grace_outlasts_what_an_api_needs_to_finish_requests() -> None:
    for role in ROLES:
        ini = "".join((role.files(cloud()) if role.files else {}).values())
        if match := re.search(r"^worker-reload-mercy = (\d+)$", ini, re.MULTILINE):
            assert role.grace_period > int(match[1])


def test_options_of_a_user_win_and_go_where_they_belong() -> None:
    declared = cloud(
        config={
            "nova": {"DEFAULT": {"debug": "true"}, "scheduler": {"workers": 4}},
            "nova-api": {"uwsgi": {"processes": 3}},
        }
    )
    api = registry.role("nova-api").files
    scheduler = registry.role("nova-scheduler").files
    assert api
    assert scheduler
    files = api(declared)
    assert "processes = 3\n" in files["/etc/nova/uwsgi.ini"]
    assert "uwsgi" not in files["/etc/nova/nova.conf"]
    assert "debug = true\n" in files["/etc/nova/nova.conf"]
    assert "\nworkers = 4\n" in scheduler(declared)["/etc/nova/nova.conf"]


def test_only_the_role_that_is_configured_changes() -> None:
    before, after = cloud(), cloud(config={"nova-conductor": {"DEFAULT": {"debug": "true"}}})
    changed = [name for name, files in renderers().items() if files(before) != files(after)]
    assert changed == ["nova-conductor"]


@pytest.mark.parametrize("service", ["keystone", "glance", "placement", "nova", "neutron"])
def test_only_options_of_the_database_repeat_the_set_up(service: str) -> None:
    _, step = STEPS[f"{service}/setup"]
    assert step.files
    before = step.files(cloud())
    assert step.files(cloud(config={service: {"DEFAULT": {"debug": "true"}}})) == before
    assert step.files(cloud(config={service: {"database": {"max_retries": 3}}})) != before


def test_urls_escape_passwords_and_name_every_broker() -> None:
    declared = cloud()
    assert common.database_url(declared, "nova", "a/b", "nova_api") == (
        "mysql+pymysql://nova:a%2Fb@demo-haproxy.ns.svc:3306/nova_api"
    )
    url = common.transport_url(declared, "nova", "p:w")
    assert url.count("nova:p%3Aw@") == 3
    assert url.endswith("demo-rabbitmq-2.demo-rabbitmq.ns.svc:5672/nova")


def fill(template: str, url: str) -> str:
    """Fill a template as nova does (nova/objects/cell_mapping.py, CellMapping._format_url)."""
    default = urlparse(url)
    values: dict[str, str | int | None] = {
        "username": default.username,
        "password": default.password,
        "hostname": default.hostname,
        "port": default.port,
        "scheme": default.scheme,
        "path": default.path.lstrip("/"),
    }
    if "," in default.netloc:
        for number, broker in enumerate(default.netloc.split(","), start=1):
            account, host = broker.split("@", 1)
            keys = ("username", "password", "hostname", "port")
            parts = (*account.split(":", 1), *host.split(":", 1))
            values |= {f"{key}{number}": part for key, part in zip(keys, parts, strict=True)}
    return template.format(**values)


@pytest.mark.parametrize("brokers", [1, 3, 5])
def test_cell_template_gives_every_transport_url_back(brokers: int) -> None:
    declared = cloud(roles={"rabbitmq": {"clustering": {"replicas": brokers}}})
    url = common.transport_url(declared, "nova", "se/c@r:et")
    assert fill(nova.CELL_URL, url) == url


def test_the_table_of_cells_does_not_depend_on_the_number_of_brokers() -> None:
    one = cloud(roles={"rabbitmq": {"clustering": {"replicas": 1}}})
    assert nova.setup_files(one) == nova.setup_files(cloud())


def uses_broker(role: RoleDefinition) -> bool:
    return any(
        isinstance(env, SecretEnv) and env.key == "transport-url"
        for container in role.containers
        for env in container.env
    )


@pytest.mark.parametrize("role", ROLES, ids=lambda r: r.name)
def test_pods_that_use_the_broker_are_replaced_when_there_are_other_brokers(
    role: RoleDefinition,
) -> None:
    one = cloud(roles={"rabbitmq": {"clustering": {"replicas": 1}}})
    changes = role.files is not None and role.files(one) != role.files(cloud())
    assert changes == (uses_broker(role) or role.name == "rabbitmq")


@pytest.mark.parametrize(
    "role",
    [
        pytest.param(role, id=role.name)
        for role in registry.CONTROLLER_ROLES
        if registry.service(role.service).catalogue
    ],
)
def test_known_addresses_are_kept_in_every_python_service(role: RoleDefinition) -> None:
    assert role.files is not None
    assert "/usr/local/lib/sitecustomize.py" in role.files(cloud())
    for container in role.containers:
        assert set(resolvers.PYTHON) <= set(container.env)


def test_definitions_hold_each_account_with_its_own_virtual_host() -> None:
    document = json.loads(rabbitmq.definitions({"nova": "a", "neutron": "b"}))
    assert [u["name"] for u in document["users"]] == ["neutron", "nova"]
    assert all(p["user"] == p["vhost"] for p in document["permissions"])
    assert "guest" not in json.dumps(document)


def test_password_hash_is_rabbitmqs_and_stable() -> None:
    hashed = rabbitmq.password_hash("nova", "test12")
    salted = base64.b64decode(hashed)
    assert salted[4:] == hashlib.sha256(salted[:4] + b"test12").digest()
    assert hashed == rabbitmq.password_hash("nova", "test12")
    assert hashed != rabbitmq.password_hash("neutron", "test12")


def test_ovn_members_are_named_with_the_clusters_domain() -> None:
    assert ovn.south(cloud()).split(",")[2] == (
        "tcp:demo-ovn-sb-2.demo-ovn-sb.ns.svc.cluster.local:6642"
    )


def test_probe_of_a_connection_matches_established_ones_only() -> None:
    probe = common.tcp_established(5672, period=1, failures=1)
    pattern = probe.command[2]
    line = "   1: 0500A8C0:9C40 0600A8C0:1628 {} 00000000:00000000"
    assert re.search(pattern, line.format("01"))
    assert not re.search(pattern, line.format("06"))
    assert not re.search(pattern, "   0: 00000000:1628 00000000:0000 0A 00000000:00000000")
