"""A user's option wins in every spelling that its program takes, or it is refused."""

import re
from collections.abc import Mapping
from typing import Any

import pytest

from stackroles.agents.galera.settings import MemberSettings
from stackroles.config import oslo
from stackroles.errors import SpecInvalid
from stackroles.roles import mariadb, registry
from stackroles.roles.resolve import options_without_effect
from tests.support.clouds import cloud

SERVER_GROUP = re.compile(r"mysqld|mariadbd|mariadb|server|galera")


def rendered(role: str, options: Mapping[str, Any], **spec: Any) -> str:
    files = registry.role(role).files
    assert files
    return "\n".join(files(cloud(config={role: options}, **spec)).values())


def server_variables(text: str) -> dict[str, str]:
    """Read an options file as MariaDB 11.8 does: the last of one variable counts.

    Each rule was tried with the server: groups, "-" for "_", `loose`, switches, expire_logs_days.
    """
    found: dict[str, str] = {}
    group = ""
    for line in text.splitlines():
        if line.startswith("["):
            group = line[1:-1]
        elif line and SERVER_GROUP.fullmatch(group):
            name, _, value = (part.strip() for part in line.partition("="))
            name = name.replace("-", "_").removeprefix("loose_")
            if name == "expire_logs_days":
                name, value = "binlog_expire_logs_seconds", str(int(value) * 86400)
            if name == "skip_log_bin":
                name, value = "log_bin", "OFF"
            found[name] = value
    return found


@pytest.mark.parametrize(
    ("options", "variable", "value"),
    [
        ({"mysqld": {"max_connections": 2000}}, "max_connections", "2000"),
        ({"mysqld": {"max-connections": 2000}}, "max_connections", "2000"),
        ({"mysqld": {"loose-max-connections": 2000}}, "max_connections", "2000"),
        ({"mariadb": {"innodb_buffer_pool_size": "1G"}}, "innodb_buffer_pool_size", "1G"),
        ({"mariadbd": {"innodb-buffer-pool-size": "1G"}}, "innodb_buffer_pool_size", "1G"),
        ({"server": {"max_connections": 2000}}, "max_connections", "2000"),
        ({"galera": {"wsrep-slave-threads": 8}}, "wsrep_slave_threads", "8"),
        ({"mysqld": {"expire_logs_days": 1}}, "binlog_expire_logs_seconds", "86400"),
        ({"mysqld": {"skip-log-bin": 1}}, "log_bin", "OFF"),
    ],
)
def test_the_servers_variable_has_the_users_value(
    options: dict[str, Any], variable: str, value: str
) -> None:
    text = rendered("mariadb", options)

    assert server_variables(text)[variable] == value
    assert len(re.findall(rf"^{variable} = ", text, re.MULTILINE)) <= 1


@pytest.mark.parametrize("section", ["mysqld", "galera"])
@pytest.mark.parametrize("name", ["wsrep_provider_options", "wsrep-provider-options"])
def test_provider_options_are_merged_in_either_spelling(section: str, name: str) -> None:
    text = rendered("mariadb", {section: {name: "gcache.size=256M"}})

    line = server_variables(text)["wsrep_provider_options"]
    assert "gcache.size=256M" in line
    assert "pc.recovery=FALSE" in line
    assert len(re.findall("provider.options", text)) == 1


@pytest.mark.parametrize(
    ("role", "options", "expected"),
    [
        ("mariadb", {"mysqld": {"max_connections": 1, "max-connections": 2}}, "max-connections"),
        ("mariadb", {"mysqld": {"port": 1}, "mariadb": {"port": 2}}, "port in mysqld"),
        ("mariadb", {"mariadb-11.8": {"max_connections": 1}}, "takes only"),
        ("mariadb", {"mysqld_safe": {"nice": 1}}, "takes only"),
        ("memcached", {"memcached": {"m": 1, "memory-limit": 2}}, "m in memcached"),
        ("nova", {"DEFAULT": {"use-x": 1, "use_x": 2}}, "use_x in DEFAULT"),
    ],
)  # fmt: skip
def test_what_is_written_twice_or_read_by_nobody_is_refused(
    role: str, options: dict[str, Any], expected: str
) -> None:
    with pytest.raises(SpecInvalid, match=expected):
        cloud(config={role: options})


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("vm_memory_high_watermark.relative", "0.6"),
        ("vm_memory_high_watermark.absolute", "700MiB"),
    ],
)
def test_the_broker_has_one_watermark(option: str, value: str) -> None:
    text = rendered("rabbitmq", {"rabbitmq": {option: value}})

    assert re.findall(r"^vm_memory_high_watermark.*$", text, re.MULTILINE) == [
        f"{option} = {value}"
    ]


def test_the_broker_has_one_disk_limit() -> None:
    text = rendered("rabbitmq", {"rabbitmq": {"disk_free_limit.relative": "1.5"}})

    assert re.findall(r"^disk_free.*$", text, re.MULTILINE) == ["disk_free_limit.relative = 1.5"]


@pytest.mark.parametrize(
    ("options", "line", "gone"),
    [
        ({"global": {"maxconn": 100}}, "maxconn 100", "maxconn 8000"),
        ({"global": {"maxconn 100": ""}}, "maxconn 100", "maxconn 8000"),
        ({"defaults": {"timeout  connect": "5s"}}, "timeout  connect 5s", "timeout connect 2s"),
        ({"defaults": {"timeout connect 5s": ""}}, "timeout connect 5s", "timeout connect 2s"),
        ({"defaults": {"no option clitcpka": ""}}, "no option clitcpka", "  option clitcpka"),
        ({"defaults": {"option redispatch": 3}}, "option redispatch 3", "option redispatch 1"),
    ],
)
def test_the_proxys_keyword_is_the_users(options: dict[str, Any], line: str, gone: str) -> None:
    lines = rendered("haproxy", options).splitlines()

    assert f"  {line}" in lines
    assert not any(found in (gone, f"  {gone}") for found in lines)


def test_a_keyword_that_is_written_otherwise_comes_after_ours() -> None:
    text = rendered("haproxy", {"defaults": {"timeout": "connect 5s"}})

    assert text.index("  timeout connect 5s\n") > text.index("  timeout connect 2s\n")


@pytest.mark.parametrize(
    ("name", "value", "argument"),
    [
        ("m", 256, "--memory-limit=256"),
        ("memory_limit", 256, "--memory-limit=256"),
        ("memory-limit", 256, "--memory-limit=256"),
        ("disable-cas", "", "--disable-cas"),
        ("C", "", "--disable-cas"),
        ("D", ":", "-D:"),
    ],
)
def test_the_cache_takes_short_and_long_names(name: str, value: str | int, argument: str) -> None:
    arguments = rendered("memcached", {"memcached": {name: value}}).split()

    assert argument in arguments
    assert sum(found.startswith("--memory") for found in arguments) == 1


def limited(role: str, limit: str) -> dict[str, Any]:
    return {"roles": {role: {"resources": {"limits": {"memory": limit}}}}}


@pytest.mark.parametrize(
    ("role", "limit", "line"),
    [
        ("rabbitmq", "1Gi", "total_memory_available_override_value = 1024MiB"),
        ("rabbitmq", "4Gi", "total_memory_available_override_value = 4096MiB"),
        ("memcached", "128Mi", "--memory-limit=64"),
        ("memcached", "1Gi", "--memory-limit=512"),
        ("mariadb", "2Gi", "innodb_buffer_pool_size = 128M"),
        ("mariadb", "8Gi", "innodb_buffer_pool_size = 3200M"),
        ("mariadb", "512Mi", "innodb_buffer_pool_size = 32M"),
    ],
)
def test_memory_follows_the_limit(role: str, limit: str, line: str) -> None:
    assert line in rendered(role, {}, **limited(role, limit))


def test_memory_that_is_set_does_not_follow_the_limit() -> None:
    options = {"mysqld": {"innodb-buffer-pool-size": "1G"}}
    text = rendered("mariadb", options, **limited("mariadb", "8Gi"))

    assert server_variables(text)["innodb_buffer_pool_size"] == "1G"


def test_the_buffer_pool_grows_with_the_limit_and_leaves_room() -> None:
    sizes = [mariadb.buffer_pool_mebibytes(limit) for limit in range(256, 32768, 256)]

    assert sizes == sorted(sizes)
    assert all(
        0 < size <= limit / 2 for size, limit in zip(sizes, range(256, 32768, 256), strict=True)
    )


@pytest.mark.parametrize(
    ("name", "section", "option", "cure"),
    [
        ("glance", "DEFAULT", "worker_self_reference_url", "http://$(POD_IP):9292"),
        ("glance", "DEFAULT", "worker-self-reference-url", "remove it"),
        ("mariadb", "mysqld", "wsrep_node_name", "set by its agent"),
        ("mariadb", "galera", "loose-wsrep-node-address", "set by its agent"),
        ("mariadb", "mariadb", "gtid_domain_id", "set by its agent"),
        ("haproxy", "defaults", "balance", "fixed"),
        ("haproxy", "defaults", "option httpchk GET", "fixed"),
        ("haproxy", "defaults", "option", "fixed"),
    ],
)
def test_an_option_without_effect_is_named_with_the_cure(
    name: str, section: str, option: str, cure: str
) -> None:
    config = cloud(config={name: {section: {option: "httpchk"}}}).spec.config
    [found] = options_without_effect(config, registry.CONTROLLER_ROLES)
    assert f"spec.config.{name}.{section}.{option} has no effect on {name}" in found
    assert cure in found


@pytest.mark.parametrize(
    ("name", "section", "option", "cure"),
    [
        ("nova-compute", "DEFAULT", "my_ip", "status.hostIP of its pod"),
        ("nova", "DEFAULT", "host", "spec.nodeName of its pod"),
        ("nova", "VNC", "server-proxyclient-address", "status.hostIP of its pod"),
        ("nova-compute", "LIBVIRT", "virt_type", "spec.virtType of the ComputePool"),
        ("neutron", "DEFAULT", "host", "spec.nodeName of its pod"),
    ],
)
def test_an_option_without_effect_on_a_node_is_named_with_the_cure(
    name: str, section: str, option: str, cure: str
) -> None:
    [found] = options_without_effect({name: {section: {option: "x"}}}, registry.COMPUTE_ROLES)
    assert cure in found


def test_what_is_reserved_on_nodes_is_free_on_controllers() -> None:
    assert "my_ip = 10.0.0.1" in rendered("nova-api", {"DEFAULT": {"my_ip": "10.0.0.1"}})


def test_options_of_the_command_line_are_reserved() -> None:
    settings = MemberSettings(member="m", pod_uid="u", address="a", ordinal=0, peers=())
    given = {option.partition("=")[0].removeprefix("--") for option in settings.options()}
    reserved = {name.replace("_", "-") for _, name in registry.role("mariadb").reserved}
    assert reserved == given - {"defaults-file"}


def test_groups_in_another_case_are_one_group() -> None:
    text = oslo.render({"libvirt": {"a": 1}}, {"LIBVIRT": {"cpu_mode": "none"}})
    assert text == "[libvirt]\na = 1\ncpu_mode = none\n"


@pytest.mark.parametrize(
    ("role", "section", "option", "value"),
    [
        ("mariadb", "mysqld", "loose-wsrep-sst-auth", "root:hunter2"),
        ("mariadb", "galera", "loose_wsrep_sst-auth", "root:hunter2"),
        ("haproxy", "defaults", "stats", "auth admin:hunter2"),
        ("haproxy", "defaults", "stats auth", "admin:hunter2"),
    ],
)
def test_a_secret_is_refused_in_every_spelling_of_its_program(
    role: str, section: str, option: str, value: str
) -> None:
    with pytest.raises(SpecInvalid, match=re.escape("spec.credentials")) as caught:
        cloud(config={role: {section: {option: value}}})
    assert "hunter2" not in caught.value.message


def test_a_value_that_is_the_name_of_a_secret_is_none() -> None:
    assert "auth_type = password" in rendered("nova-api", {"neutron": {"auth_type": "password"}})
