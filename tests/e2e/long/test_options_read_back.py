"""Database, broker, proxy and cache run with every default and every override of their options."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from tests.support.cloud import Cloud

ROLL_SECONDS = 420
MEBI = 1024 * 1024
UNITS = {"K": 1024, "M": MEBI, "G": 1024 * MEBI}
# Options of the server that are no variables of the same name.
NO_VARIABLE = {"skip_log_bin", "wsrep_provider_options"}
OVERRIDES: Mapping[str, Any] = {
    "mariadb": {
        "mariadb": {"max-connections": 900},
        "galera": {"innodb_buffer_pool_size": "96M", "wsrep-provider-options": "gcache.size=64M"},
    },
    "rabbitmq": {
        "rabbitmq": {
            "vm_memory_high_watermark.relative": "0.4",
            "disk_free_limit.relative": "0.001",
        }
    },
    "haproxy": {"global": {"maxconn 4000": ""}},
    "memcached": {"memcached": {"m": 48, "disable-cas": ""}},
}


@pytest.fixture(scope="module", autouse=True)
def restored(cloud: Cloud) -> Iterator[None]:
    """Leave the cloud with the configuration it had."""
    before = cloud.resource()["spec"].get("config")
    yield
    if cloud.resource()["spec"].get("config") != before:
        configure(cloud, before)


def configure(cloud: Cloud, config: Mapping[str, Any] | None) -> None:
    """Set the cloud's configuration, and wait until all serves with it."""
    patch: list[dict[str, Any]] = [{"op": "add", "path": "/spec/config", "value": config}]
    if config is None:
        patch = [{"op": "remove", "path": "/spec/config"}]
    cloud.kubectl.run(
        "patch", "cloudcontroller", cloud.name, "--type=json", f"--patch={json.dumps(patch)}"
    )
    cloud.wait_ready(ROLL_SECONDS)


def plain(value: str) -> str:
    """Return a value as the server shows it: bytes for sizes, ON and OFF for switches."""
    if value[-1:] in UNITS and value[:-1].isdigit():
        return str(int(value[:-1]) * UNITS[value[-1]])
    return {"1": "ON", "0": "OFF"}.get(value, value).lower()


def written(cloud: Cloud) -> dict[str, str]:
    """Return the options in the database's file, the last of each."""
    found: dict[str, str] = {}
    for line in cloud.exec("demo-mariadb-0", "cat", "/etc/stackroles/my.cnf").splitlines():
        name, equals, value = (part.strip() for part in line.partition("="))
        if equals:
            found[name.replace("-", "_")] = value
    return found


def variables(cloud: Cloud) -> dict[str, str]:
    """Return the database's variables."""
    lines = cloud.sql("demo-mariadb-0", "SHOW VARIABLES").splitlines()
    return {name: value for name, _, value in (line.partition("\t") for line in lines)}


def watermark(cloud: Cloud) -> int:
    """Return above how many bytes a broker stops its publishers."""
    text = cloud.exec("demo-rabbitmq-0", "rabbitmqctl", "--quiet", "status", "--formatter", "json")
    return int(json.loads(text)["vm_memory_high_watermark_limit"])


def maxconn(cloud: Cloud) -> int:
    """Return how many connections a proxy takes."""
    program = (
        "import socket; s = socket.socket(socket.AF_UNIX); s.connect('/run/haproxy/admin.sock'); "
        r"s.sendall(b'show info\n'); print(s.makefile().read())"
    )
    text = cloud.exec("demo-haproxy-0", "python3", "-c", program)
    return int(next(line for line in text.splitlines() if line.startswith("Maxconn:")).split()[1])


def cache_settings(cloud: Cloud) -> dict[str, str]:
    """Return the cache's settings, as it tells them."""
    program = (
        "import socket; s = socket.create_connection(('127.0.0.1', 11211)); "
        r"s.sendall(b'stats settings\r\nquit\r\n'); print(s.makefile().read())"
    )
    text = cloud.exec("demo-memcached-0", "python3", "-c", program)
    rows = (line.split() for line in text.splitlines())
    return {row[1]: row[2] for row in rows if len(row) == 3}


def test_the_database_runs_with_every_option_of_its_file(cloud: Cloud) -> None:
    shown = variables(cloud)
    wanted = {n: v for n, v in written(cloud).items() if n not in NO_VARIABLE and n in shown}

    assert len(wanted) > 25
    differs = {
        name: (value, shown[name])
        for name, value in wanted.items()
        if name not in ("log_bin", "wsrep_sst_auth")
        and plain(shown[name]) != plain(value)
        and shown[name].rstrip("/") != value
    }
    assert not differs


def test_memory_is_what_follows_from_the_limits(cloud: Cloud) -> None:
    assert watermark(cloud) == 512 * MEBI
    assert maxconn(cloud) == 8000
    settings = cache_settings(cloud)
    assert int(settings["maxbytes"]) == 64 * MEBI
    assert (settings["maxconns"], settings["num_threads"]) == ("4096", "2")


def test_every_override_counts(cloud: Cloud) -> None:
    config = dict(cloud.resource()["spec"].get("config", {}))
    configure(cloud, {**config, **OVERRIDES})

    shown = variables(cloud)
    assert shown["max_connections"] == "900"
    assert shown["innodb_buffer_pool_size"] == str(96 * MEBI)
    assert "gcache.size = 64M" in shown["wsrep_provider_options"]
    assert "pc.recovery = false" in shown["wsrep_provider_options"].lower()
    assert watermark(cloud) == int(1024 * MEBI * 0.4)
    assert maxconn(cloud) == 4000
    settings = cache_settings(cloud)
    assert int(settings["maxbytes"]) == 48 * MEBI
    assert settings["cas_enabled"] == "no"
