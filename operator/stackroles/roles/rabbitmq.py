"""RabbitMQ: three brokers with quorum queues, one account and virtual host a service."""

import base64
import hashlib
import json
from collections.abc import Mapping
from typing import Any

from stackroles.agents import wire
from stackroles.agents.broker.protocol import PORT as AGENT_PORT
from stackroles.agents.broker.protocol import BrokerSettings
from stackroles.agents.status_protocol import READY_PATH, STATUS_PATH
from stackroles.api.v1alpha1.common import ClusteringModel
from stackroles.config.cloud import Cloud
from stackroles.config.layers import Key, merge
from stackroles.roles.allowed_sections import AllowedSections
from stackroles.roles.common import BROKER_PORT, scratch
from stackroles.roles.container import (
    AGENT_COMMAND,
    AGENT_PATH,
    AgentMount,
    Container,
    DataMount,
    Env,
    FieldEnv,
    FileMount,
    PodInfoMount,
    Port,
    Probe,
    ResourceDefaults,
    SecretMount,
    Security,
)
from stackroles.roles.definition import (
    ClusteringChoice,
    DataVolume,
    OpenStackService,
    RoleDefinition,
    Workload,
)
from stackroles.roles.topology import DEFAULT

NAME = DEFAULT.broker.role
USER = 42439
HOME = "/var/lib/rabbitmq"
# The Secret `<cloud>-rabbitmq-definitions`, made from every service with `broker`.
DEFINITIONS = "rabbitmq-definitions"
DEFINITIONS_KEY = "definitions.json"
DISTRIBUTION_PORT = 25672

_SETTINGS = "/etc/stackroles/broker.json"
_COOKIE = "/etc/rabbitmq/cookie"
_RESOURCES = ResourceDefaults(cpu="50m", memory="160Mi", memory_limit="1Gi")
_MOST_MEMBERS = 9
# Of each group the server takes one: a user's replaces ours, whichever of them it is.
_ONE_OF: Mapping[str, str] = {
    **dict.fromkeys(
        ("vm_memory_high_watermark.absolute", "vm_memory_high_watermark.relative"),
        "vm_memory_high_watermark",
    ),
    **dict.fromkeys(("disk_free_limit.absolute", "disk_free_limit.relative"), "disk_free_limit"),
    **dict.fromkeys(
        ("definitions.local.path", "load_definitions", "management.load_definitions"),
        "definitions.local.path",
    ),
}

# A member leaves when the others keep every queue's majority without it, and hands its leaders
# over. Bounded: when the whole cluster goes, there is no majority to wait for.
_STOP = """
timeout 40 rabbitmq-upgrade await_online_quorum_plus_one -t 30 || true
timeout 40 rabbitmq-upgrade drain || true
"""


def password_hash(user: str, password: str) -> str:
    """Return RabbitMQ's salted SHA-256 of a password, the same at every call.

    The form is base64(salt + sha256(salt + password)) with four bytes of salt. The salt follows
    from the password, which is random itself: definitions change only when one does.
    """
    salt = hashlib.sha256(f"{user}:{password}".encode()).digest()[:4]
    return base64.b64encode(salt + hashlib.sha256(salt + password.encode()).digest()).decode()


def definitions(passwords: Mapping[str, str]) -> str:
    """Return the definitions that brokers import at their start.

    Args:
        passwords: of each account; its virtual host has the account's name.
    """
    users = sorted(passwords)
    document: dict[str, Any] = {
        "users": [
            {
                "name": user,
                "password_hash": password_hash(user, passwords[user]),
                "hashing_algorithm": "rabbit_password_hashing_sha256",
                "tags": [],
            }
            for user in users
        ],
        "vhosts": [{"name": user, "default_queue_type": "quorum"} for user in users],
        "permissions": [
            {"user": user, "vhost": user, "configure": ".*", "write": ".*", "read": ".*"}
            for user in users
        ],
    }
    return json.dumps(document, indent=1, sort_keys=True)


def spelling(section: str, name: str) -> Key:
    """Return the key of an option; those of which one counts are one."""
    return section, _ONE_OF.get(name, name)


def files(cloud: Cloud) -> Mapping[str, str]:
    """Return the broker's configuration; options of section `rabbitmq` win."""
    replicas = cloud.replicas[NAME]
    memory = _RESOURCES.memory_mebibytes(cloud.settings(NAME).resources)
    options: dict[str, str | int] = {
        "listeners.tcp.default": BROKER_PORT,
        "log.console": "true",
        "log.console.level": "info",
        "log.file": "false",
        "default_queue_type": "quorum",
        "cluster_name": cloud.name,
        "cluster_partition_handling": "pause_minority",
        "cluster_formation.peer_discovery_backend": "classic_config",
        **{
            f"cluster_formation.classic_config.nodes.{number}": f"rabbit@{host}"
            for number, host in enumerate(cloud.members(NAME), start=1)
        },
        "cluster_formation.target_cluster_size_hint": replicas,
        "quorum_queue.continuous_membership_reconciliation.enabled": "true",
        # Every queue gets a member on each broker there is, also on those that come later: the
        # leaders of its queues are on brokers that were started with another number.
        "quorum_queue.continuous_membership_reconciliation.target_group_size": _MOST_MEMBERS,
        "quorum_queue.continuous_membership_reconciliation.auto_remove": "true",
        # Milliseconds. By default a pass that comes too early is repeated after an hour (4.0.5).
        "quorum_queue.continuous_membership_reconciliation.interval": 15000,
        "quorum_queue.continuous_membership_reconciliation.trigger_interval": 5000,
        "definitions.import_backend": "local_filesystem",
        "definitions.local.path": f"/etc/rabbitmq/definitions/{DEFINITIONS_KEY}",
        "definitions.skip_if_unchanged": "true",
        # The server takes a relative watermark of the node's memory, not of its container's limit
        # (seen with 4.0.5, cgroup v1), and of two watermarks the absolute one.
        "total_memory_available_override_value": f"{memory}MiB",
        "vm_memory_high_watermark.relative": "0.5",
        "disk_free_limit.absolute": "100MB",
    }
    user = cloud.options(NAME, NAME)
    lines = merge({"rabbitmq": options}, user, same=spelling)["rabbitmq"]
    workload = cloud.workload(NAME)
    return {
        "/etc/rabbitmq/rabbitmq.conf": "".join(
            f"{name} = {value}\n" for name, value in lines.items()
        ),
        # Read by the server and by its tools, whose default node it names.
        "/etc/rabbitmq/rabbitmq-env.conf": (
            f'NODENAME="rabbit@$HOSTNAME.{workload}.{cloud.namespace}.svc"\nUSE_LONGNAME=true\n'
        ),
        "/etc/rabbitmq/enabled_plugins": "[].\n",
        _SETTINGS: _agent_settings(cloud),
    }


def _agent_settings(cloud: Cloud) -> str:
    """Return the settings of agents/broker/."""
    settings = BrokerSettings(
        members=tuple(cloud.members(NAME)),
        port=AGENT_PORT,
        amqp_port=BROKER_PORT,
        home=HOME,
        cookie=f"{_COOKIE}/erlang-cookie",
    )
    return wire.dumps(settings, indent=1)


RABBITMQ: RoleDefinition[Cloud] = RoleDefinition(
    name=NAME,
    service=NAME,
    open_because="nova-compute, which runs in the nodes' own network",
    image="rabbitmq",
    workload=Workload.STATEFUL_SET,
    headless=True,
    replicas=3,
    quorum=True,
    survivor_lacks="calls in progress and other messages that it does not hold",
    clustering=ClusteringChoice(
        models=(ClusteringModel.ACTIVE_ACTIVE,),
        because="quorum queues are kept by a majority of the members, each with leaders of some",
    ),
    # All of them: a quorum queue gets as many members as there are brokers when it is declared.
    minimum_ready=None,
    files=files,
    options=AllowedSections((NAME,)),
    spelling=spelling,
    volume=DataVolume(size="2Gi"),
    fs_group=USER,
    grace_period=120,
    containers=(
        Container(
            name="rabbitmq",
            command=(*AGENT_COMMAND, "stackroles.agents.broker.agent", _SETTINGS),
            security=Security(user=USER),
            ports=(
                Port("amqp", BROKER_PORT),
                Port("agent", AGENT_PORT),
                Port("epmd", 4369, published=False),
                Port("distribution", DISTRIBUTION_PORT, published=False),
            ),
            # The agent asks the broker for its members, and the others for theirs: one that runs
            # in a cluster of its own is not ready, nor one that has paused in a minority. It may
            # wait for the others for as long as they are away.
            startup=Probe(port=AGENT_PORT, http_path=STATUS_PATH, period=1, failures=60),
            readiness=Probe(port=AGENT_PORT, http_path=READY_PATH, period=5),
            no_liveness_because=(
                "a broker that waits for its peers or has paused in a minority must be left alone"
            ),
            pre_stop=("sh", "-c", _STOP),
            env=(
                AGENT_PATH,
                FieldEnv("POD_NAME", "metadata.name"),
                FieldEnv("POD_UID", "metadata.uid"),
                Env("HOME", HOME),
                Env("RABBITMQ_LOGS", "-"),
                # Idle schedulers sleep at once: on shared cores spinning only takes from others.
                Env(
                    "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS",
                    "+sbwt none +sbwtdcpu none +sbwtdio none",
                ),
            ),
            mounts=(
                FileMount(),
                AgentMount(),
                DataMount(HOME),
                PodInfoMount(),
                SecretMount("rabbitmq-credentials-in-use", _COOKIE, ("erlang-cookie",), mode=0o440),
                SecretMount(DEFINITIONS, "/etc/rabbitmq/definitions", (DEFINITIONS_KEY,)),
                *scratch("/var/log/rabbitmq"),
            ),
            resources=_RESOURCES,
        ),
    ),
    backup="nothing: accounts are made again from Secrets, messages are short-lived",
)

SERVICE = OpenStackService(name=NAME, secrets=("erlang-cookie",))
