"""memcached: tokens and keystone's lookups, kept for seconds."""

from stackroles.roles.common import CACHE_PORT
from stackroles.roles.definition import (
    Amount,
    Container,
    Port,
    Probe,
    RoleDefinition,
    Security,
    ServiceDefinition,
    Workload,
)

USER = 42457

# A StatefulSet: clients hash keys over one ordered list of names.
MEMCACHED = RoleDefinition(
    name="memcached",
    service="memcached",
    image="memcached",
    workload=Workload.STATEFUL_SET,
    headless=True,
    replicas=2,
    fs_group=USER,
    grace_period=10,
    containers=(
        Container(
            name="memcached",
            command=(
                *("memcached", "--listen=0.0.0.0", f"--port={CACHE_PORT}", "--udp-port=0"),
                *("--memory-limit=64", "--conn-limit=4096", "--threads=2"),
            ),
            security=Security(user=USER),
            ports=(Port("cache", CACHE_PORT),),
            startup=Probe(port=CACHE_PORT, period=1, failures=60),
            readiness=Probe(port=CACHE_PORT, period=10),
            # It holds nothing that a restart could lose for good.
            liveness=Probe(port=CACHE_PORT, period=20, timeout=10, failures=6),
            resources=Amount(cpu="10m", memory="16Mi", memory_limit="128Mi"),
        ),
    ),
    backup="nothing: it caches",
)

SERVICE = ServiceDefinition(name="memcached")
