"""memcached: tokens and keystone's lookups, kept for seconds."""

from collections.abc import Mapping
from shlex import quote

from stackroles.config.cloud import Cloud
from stackroles.roles.allowed_sections import Sections
from stackroles.roles.common import CACHE_PORT
from stackroles.roles.container import (
    Amount,
    Container,
    FileMount,
    Port,
    Probe,
    Security,
)
from stackroles.roles.definition import RoleDefinition, ServiceDefinition, Workload

NAME = "memcached"
USER = 42457
_START = "/etc/stackroles/memcached.sh"


def files(cloud: Cloud) -> Mapping[str, str]:
    """Return the start script: it takes its options as arguments only; the user's win."""
    options: dict[str, str | int] = {
        "listen": "0.0.0.0",  # noqa: S104 - the pod's own network
        "port": CACHE_PORT,
        "udp-port": 0,
        "memory-limit": 64,
        "conn-limit": 4096,
        "threads": 2,
    }
    options |= cloud.options(NAME, NAME).get(NAME, {})
    arguments = [quote(f"--{name}={value}") for name, value in options.items()]
    return {_START: " \\\n  ".join(["exec memcached", *arguments]) + "\n"}


# A StatefulSet: clients hash keys over one ordered list of names.
MEMCACHED = RoleDefinition(
    name=NAME,
    service=NAME,
    image=NAME,
    workload=Workload.STATEFUL_SET,
    headless=True,
    replicas=2,
    fs_group=USER,
    grace_period=10,
    files=files,
    options=Sections((NAME,)),
    containers=(
        Container(
            name=NAME,
            command=("sh", "-eu", _START),
            security=Security(user=USER),
            ports=(Port("cache", CACHE_PORT),),
            startup=Probe(port=CACHE_PORT, period=1, failures=60),
            readiness=Probe(port=CACHE_PORT, period=10),
            # It holds nothing that a restart could lose for good.
            liveness=Probe(port=CACHE_PORT, period=20, timeout=10, failures=6),
            mounts=(FileMount(),),
            resources=Amount(cpu="10m", memory="16Mi", memory_limit="128Mi"),
        ),
    ),
    backup="nothing: it caches",
)

SERVICE = ServiceDefinition(name=NAME)
