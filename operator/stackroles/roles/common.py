"""What roles share: oslo sections, the forms of URLs, probes and passwords.

Passwords never appear here: they come through `OS_<GROUP>__<OPTION>`, which oslo.config reads
before its files (oslo_config/sources/_environment.py).
"""

from urllib.parse import quote

from stackroles.api.v1alpha1.common import ClusteringModel, Standby
from stackroles.config.cloud import Cloud
from stackroles.config.layers import Layer, Sections, merge
from stackroles.roles.allowed_sections import UWSGI
from stackroles.roles.container import (
    Probe,
    ScratchMount,
    SecretEnv,
)
from stackroles.roles.definition import ClusteringChoice
from stackroles.roles.topology import DEFAULT

DATABASE_PORT = 3306
BROKER_PORT = 5672
CACHE_PORT = 11211
BROKERS = "/etc/stackroles/brokers"
IDENTITY_PORT = 5000
SERVICES_BUDGET = "services"
"""The disruption budget of the services of OpenStack.

Each takes seconds of CPU to load; a drain that moved all those of a node at once left the others of
two cores no time to answer.
"""
# A cache that is back is used again after so long; until then every process tries it so often.
_CACHE_DEAD_SECONDS = 30

EITHER = (ClusteringModel.ACTIVE_ACTIVE, ClusteringModel.ACTIVE_PASSIVE)
STATELESS = ClusteringChoice(
    models=EITHER,
    because="members keep no state of their own: all may serve, or one at a time",
    standby=(Standby.HOT, Standby.COLD),
)
"""Of an API whose members share nothing but the database and the broker."""
WORKERS = ClusteringChoice(
    models=EITHER,
    because="the broker spreads calls over all members that run, so that a standby cannot run",
    standby=(Standby.COLD,),
)
"""Of processes that take calls from the broker."""

NO_RPC_LIVENESS = (
    "the process ends when it cannot go on; one that waits for the database or the broker is not "
    "helped by a restart"
)


def database_url(cloud: Cloud, user: str, password: str, database: str) -> str:
    """Return the URL of a database through the proxy.

    The port is explicit because nova fills templates of cell URLs from this one.
    """
    host = cloud.endpoint(DEFAULT.proxy.name, DATABASE_PORT).address
    return f"mysql+pymysql://{user}:{quote(password, safe='')}@{host}/{database}"


def transport_url(cloud: Cloud, user: str, password: str) -> str:
    """Return oslo.messaging's URL of all brokers; the virtual host has the user's name."""
    account = f"{user}:{quote(password, safe='')}"
    brokers = ",".join(
        f"{account}@{host}:{BROKER_PORT}" for host in cloud.members(DEFAULT.broker.name)
    )
    return f"rabbit://{brokers}/{user}"


def broker_files(cloud: Cloud) -> dict[str, str]:
    """Return a file that names the brokers.

    A process takes their URL from its environment when it starts, and nothing of its pod changes
    with the Secret. With this among its files a pod is replaced when there are other brokers.
    """
    return {BROKERS: "".join(f"{host}\n" for host in cloud.members(DEFAULT.broker.name))}


def identity_url(cloud: Cloud) -> str:
    """Return keystone's URL inside the cluster."""
    return cloud.endpoint("keystone", IDENTITY_PORT).url()


def logging() -> Sections:
    """Return options that log to the container's standard error."""
    return {"DEFAULT": {"use_stderr": True}}


def database(section: str = "database") -> Sections:
    """Return options of a database whose URL comes through the environment.

    Connections are renewed before the proxy closes idle ones; at its start a service waits for the
    database for ever (the default gives up after 10 tries). A proxy whose node is gone answers
    nothing at all: without time-outs a worker waits a quarter of an hour for the kernel to give up.
    """
    return {
        section: {
            "connection_parameters": "connect_timeout=3&read_timeout=30&write_timeout=30",
            "connection_recycle_time": 280,
            "max_retries": -1,
            "retry_interval": 1,
            "max_pool_size": 5,
            "max_overflow": 20,
        }
    }


def messaging(process: str) -> Sections:
    """Return options of RPC over quorum queues.

    Args:
        process: name under which this process's reply queues are known.
    """
    return {
        "oslo_messaging_rabbit": {
            "rabbit_quorum_queue": True,
            "rabbit_transient_quorum_queue": True,
            # Stable queue names need a stable process name; under uWSGI it would be "uwsgi".
            "use_queue_manager": True,
            "processname": process,
            "rabbit_stream_fanout": False,
            "heartbeat_timeout_threshold": 60,
            "heartbeat_rate": 3,
            "kombu_reconnect_delay": "0.5",
        },
        # Notifications nobody consumes fill their queue for ever.
        "oslo_messaging_notifications": {"driver": "noop"},
    }


def cache_servers(cloud: Cloud) -> list[str]:
    """Return the ordered cache servers: every client must hash over the same list."""
    return [f"{host}:{CACHE_PORT}" for host in cloud.members(DEFAULT.cache.name)]


def cache(cloud: Cloud) -> Sections:
    """Return options of oslo.cache.

    Not pymemcache: through dogpile it has no time-out, and a server whose node is gone held
    keystone's worker in connect() for two minutes, and every API behind it.
    """
    return {
        "cache": {
            "enabled": True,
            "backend": "oslo_cache.memcache_pool",
            "memcache_servers": cache_servers(cloud),
            "memcache_dead_retry": _CACHE_DEAD_SECONDS,
            # A flush that is answered late leaves its answer in the connection, and from then on
            # every key has the value of the one before (memcache.py 1.60, _Host._get_socket):
            # keystone took one user's record for another's, seen on nodes under load.
            "memcache_pool_flush_on_reconnect": False,
        }
    }


def account(cloud: Cloud, user: str) -> dict[str, str]:
    """Return keystoneauth's options of a service's user, without its password."""
    return {
        "auth_url": f"{identity_url(cloud)}/v3",
        "auth_type": "password",
        "project_domain_id": "default",
        "user_domain_id": "default",
        "project_name": "service",
        "username": user,
    }


def client(cloud: Cloud, user: str) -> dict[str, str]:
    """Return options of a client of another service, over its internal address."""
    return {
        **account(cloud, user),
        "region_name": cloud.spec.region,
        "valid_interfaces": "internal",
    }


def authtoken(cloud: Cloud, user: str, service_type: str) -> Sections:
    """Return options of an API that checks tokens, and of what stands before it."""
    return {
        "keystone_authtoken": {
            **account(cloud, user),
            "www_authenticate_uri": f"{identity_url(cloud)}/v3",
            "region_name": cloud.spec.region,
            "interface": "internal",
            "service_type": service_type,
            "service_token_roles": "service",
            "service_token_roles_required": True,
            "memcached_servers": cache_servers(cloud),
            "memcache_security_strategy": "ENCRYPT",
            "memcache_pool_socket_timeout": 1,
            "memcache_pool_dead_retry": _CACHE_DEAD_SECONDS,
        },
        "oslo_middleware": {"enable_proxy_headers_parsing": True},
    }


def oslo_options(options: Layer) -> Layer:
    """Return the user's options without those of the WSGI server."""
    return options.only(lambda section: section != UWSGI)


def setup_options(cloud: Cloud, service: str, *databases: str) -> Layer:
    """Return options of a service's set-up, to lay over those of its roles.

    Of the user's they are those of its databases: set-up is done again when its files change, which
    a change of any other option is no reason for. A database that does not answer ends an attempt
    with the driver's error; a role would wait for it without one. A change of a large table may
    take longer than a role waits for an answer.

    Args:
        cloud: the cloud.
        service: the service.
        databases: the sections of its databases.
    """
    own: dict[str, str | int] = {"max_retries": 30, "connection_parameters": "connect_timeout=10"}
    user = cloud.options(service, service).only(lambda section: section.endswith("database"))
    return merge(dict.fromkeys(databases, own), user)


def scratch(*paths: str) -> tuple[ScratchMount, ...]:
    """Return places to write, each its own emptyDir; /tmp comes by itself."""
    return tuple(ScratchMount(path.strip("/").replace("/", "-"), path) for path in paths)


def tcp_established(port: int, *, period: int, failures: int) -> Probe:
    """Return a probe that the pod holds a connection to a port, for servers that listen nowhere.

    /proc/net/tcp has "remote-address:port state" in hexadecimal; state 01 is established. Reading
    it costs a hundredth of starting a Python client.
    """
    pattern = f":{port:04X} 01 "
    return Probe(
        command=("grep", "-q", pattern, "/proc/net/tcp", "/proc/net/tcp6"),
        period=period,
        timeout=5,
        failures=failures,
    )


def passwords(service: str, *groups: str) -> tuple[SecretEnv, ...]:
    """Return the password of a service's user in keystone, for each of the groups."""
    return tuple(
        SecretEnv(f"OS_{group.upper()}__PASSWORD", service, "service-password") for group in groups
    )


def token_cache_key(service: str) -> SecretEnv:
    """Return the key by which cached tokens are encrypted."""
    return SecretEnv("OS_KEYSTONE_AUTHTOKEN__MEMCACHE_SECRET_KEY", service, "token-cache-key")


def token_env(service: str) -> tuple[SecretEnv, ...]:
    """Return what an API needs to check tokens: its user's password, the key of its cache."""
    return (*passwords(service, "keystone_authtoken"), token_cache_key(service))
