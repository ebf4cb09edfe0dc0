"""memcached: tokens and keystone's lookups, kept for seconds."""

from collections.abc import Mapping
from shlex import quote

from stackroles.api.v1alpha1.common import ClusteringModel
from stackroles.config.cloud import Cloud
from stackroles.config.layers import Key, Value, merge
from stackroles.roles.allowed_sections import AllowedSections
from stackroles.roles.common import CACHE_PORT
from stackroles.roles.container import (
    Container,
    FileMount,
    Port,
    Probe,
    ResourceDefaults,
    Security,
)
from stackroles.roles.definition import ClusteringChoice, OpenStackService, RoleDefinition, Workload
from stackroles.roles.topology import DEFAULT

NAME = DEFAULT.cache.role
USER = 42457
_START = "/etc/stackroles/memcached.sh"
_RESOURCES = ResourceDefaults(cpu="10m", memory="16Mi", memory_limit="128Mi")
# memcached.c of 1.6.38, as `memcached --help` lists them.
_SHORT: Mapping[str, str] = {
    "p": "port", "U": "udp-port", "s": "unix-socket", "a": "unix-mask", "A": "enable-shutdown",
    "l": "listen", "r": "enable-coredumps", "u": "user", "m": "memory-limit",
    "M": "disable-evictions", "c": "conn-limit", "k": "lock-memory", "v": "verbose",
    "P": "pidfile", "f": "slab-growth-factor", "n": "slab-min-size", "L": "enable-largepages",
    "t": "threads", "R": "max-reqs-per-event", "C": "disable-cas", "b": "listen-backlog",
    "B": "protocol", "I": "max-item-size", "S": "enable-sasl", "F": "disable-flush-all",
    "X": "disable-dumping", "W": "disable-watch", "Y": "auth-file", "e": "memory-file",
    "Z": "enable-ssl", "o": "extended", "N": "napi_ids",
}  # fmt: skip


def _long(name: str) -> str:
    return _SHORT.get(name, name.replace("_", "-"))


def spelling(section: str, name: str) -> Key:
    """Return the key of an option, which has a short and a long name."""
    return section, _long(name)


def _argument(name: str, value: Value) -> str:
    """Return an argument; an option without a value is a switch, and -D has no long name."""
    long = _long(name)
    if len(long) == 1:
        return quote(f"-{long}{value}")
    return quote(f"--{long}={value}" if value != "" else f"--{long}")


def files(cloud: Cloud) -> Mapping[str, str]:
    """Return the start script: it takes its options as arguments only; the user's win."""
    options: dict[str, str | int] = {
        "listen": "0.0.0.0",  # noqa: S104 - the pod's own network
        "port": CACHE_PORT,
        "udp-port": 0,
        # Of items; connections, buffers and the hash table come on top.
        "memory-limit": _RESOURCES.memory_mebibytes(cloud.settings(NAME).resources) // 2,
        "conn-limit": 4096,
        "threads": 2,
    }
    merged = merge({NAME: options}, cloud.options(NAME, NAME), same=spelling)
    arguments = [_argument(name, value) for name, value in merged[NAME].items()]
    return {_START: " \\\n  ".join(["exec memcached", *arguments]) + "\n"}


# A StatefulSet: clients hash keys over one ordered list of names.
MEMCACHED: RoleDefinition[Cloud] = RoleDefinition(
    name=NAME,
    service=NAME,
    image=NAME,
    workload=Workload.STATEFUL_SET,
    headless=True,
    replicas=2,
    clustering=ClusteringChoice(
        models=(ClusteringModel.ACTIVE_ACTIVE,),
        because="clients spread their keys over all members",
    ),
    fs_group=USER,
    grace_period=10,
    files=files,
    options=AllowedSections((NAME,)),
    spelling=spelling,
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
            resources=_RESOURCES,
        ),
    ),
    backup="nothing: it caches",
)

SERVICE = OpenStackService(name=NAME)
