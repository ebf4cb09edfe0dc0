"""The Deployment whose single pod ships binary logs into a policy's repository (docs/adr/0031)."""

from collections.abc import Mapping
from typing import Final

from stackroles import naming
from stackroles.agents.backup.protocol import to_environment
from stackroles.agents.binlog.protocol import PORT, ShipperSettings
from stackroles.agents.galera.protocol import PORT as AGENT_PORT
from stackroles.api.v1alpha1.backup_policy import BackupPolicySpec, PointInTime
from stackroles.config.cloud import Cloud
from stackroles.config.endpoint import HTTP, Endpoint
from stackroles.constants import (
    ANNOTATION_CONFIG_HASH,
    ANNOTATION_CONFIG_MAPS,
    LABEL_INSTANCE,
    LABEL_NAME,
    LABEL_OWNER_KIND,
    LABEL_REPOSITORY,
    LABEL_STEP,
    MANAGED_BY,
)
from stackroles.roles import mariadb
from stackroles.roles.container import (
    AGENT_COMMAND,
    AGENT_PATH,
    Container,
    Env,
    Port,
    Probe,
    ResourceDefaults,
)
from stackroles.workloads.manifests.agents import PACKAGE, closure, config_map_data
from stackroles.workloads.manifests.container import secret_name
from stackroles.workloads.manifests.metadata import Manifest
from stackroles.workloads.recovery_set.pod import SECURITY, RunParent, build_pod
from stackroles.workloads.recovery_set.repository import (
    Volumes,
    beside_repository,
    items,
    repository_environment,
    repository_id,
)

SHIPPER: Final = "binlog-shipper"
PROGRAM: Final = "binlog.shipper"
"""The agent that ships, below the package of agents."""
TOKEN: Final = "backup-token"  # noqa: S105 - the name of a key
_TOKEN_FOLDER: Final = "/backup/token"  # noqa: S105 - a folder
_RESOURCES: Final = ResourceDefaults(cpu="50m", memory="128Mi", memory_limit="512Mi")
# What was read when it is asked to end is stored first.
_GRACE_SECONDS: Final = 60
# The labels of its pods that never change: a selector cannot.
_SELECTED: Final = (LABEL_NAME, LABEL_INSTANCE, LABEL_OWNER_KIND, LABEL_STEP)


def shipper_name(policy: str) -> str:
    """Return the name of the Deployment of a policy, and of its NetworkPolicy."""
    return naming.child(policy, SHIPPER, limit=63)


def pod_labels(parent: RunParent) -> dict[str, str]:
    """Return the labels by which the shipper's pods are found."""
    labels = parent.labels(SHIPPER)
    return {name: labels[name] for name in _SELECTED}


def build_shipper(
    cloud: Cloud,
    parent: RunParent,
    policy: BackupPolicySpec,
    shipping: PointInTime,
    *,
    running: bool,
    keys: str,
) -> list[Manifest]:
    """Return the ConfigMap with the program, the NetworkPolicy and the Deployment (last).

    Args:
        cloud: the cloud whose database is followed.
        parent: the policy.
        policy: its spec.
        shipping: how it ships.
        running: whether it runs; not while a Restore reads what is stored.
        keys: a digest of what the pod reads from Secrets at its start alone.
    """
    agents = closure([PROGRAM], cloud.agents)
    program = _build_program(parent, agents)
    labels = parent.labels(SHIPPER)
    repository = repository_id(parent.namespace, parent.name, policy)
    name = program["metadata"]["name"]
    template = {
        "metadata": {
            "labels": labels | {LABEL_REPOSITORY: repository},
            "annotations": {ANNOTATION_CONFIG_HASH: keys, ANNOTATION_CONFIG_MAPS: name},
        },
        "spec": _build_pod(cloud, parent, policy, shipping, (name, agents)),
    }
    deployment: Manifest = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": parent.metadata(shipper_name(parent.name), SHIPPER),
        "spec": {
            "replicas": int(running),
            # Two would store the same transactions, and take each other's locks for a dead one's.
            "strategy": {"type": "Recreate"},
            "revisionHistoryLimit": 1,
            "selector": {"matchLabels": pod_labels(parent)},
            "template": template,
        },
    }
    return [program, _build_network_policy(parent), deployment]


def _build_pod(
    cloud: Cloud,
    parent: RunParent,
    policy: BackupPolicySpec,
    shipping: PointInTime,
    program: tuple[str, Mapping[str, str]],
) -> Manifest:
    name, agents = program
    volumes = Volumes()
    volumes.add_agents(name, agents)
    volumes.add_repository(policy, parent.name)
    token = {"secretName": secret_name(cloud.name, mariadb.NAME), "items": items(TOKEN)}
    volumes.add("token", _TOKEN_FOLDER, {"secret": token | {"defaultMode": 0o440}})
    main = _container(cloud, parent, shipping)
    pod = build_pod(cloud, (main,), volumes.volumes, volumes.mounts, policy.resources)
    pod["containers"][0]["env"] += repository_environment(cloud, policy)
    always = {"restartPolicy": "Always", "terminationGracePeriodSeconds": _GRACE_SECONDS}
    return pod | always | beside_repository(parent.namespace, parent.name, policy)


def _container(cloud: Cloud, parent: RunParent, shipping: PointInTime) -> Container:
    # The first member is the writer after a bring-up, and the last one to be spared for it.
    members = [
        Endpoint(HTTP, host, AGENT_PORT).url() for host in reversed(cloud.members(mariadb.NAME))
    ]
    settings = ShipperSettings(
        cloud=cloud.name,
        policy=parent.name,
        members=",".join(members),
        token_file=f"{_TOKEN_FOLDER}/{TOKEN}",
        interval=shipping.interval_seconds,
    )
    return Container(
        name=SHIPPER,
        command=(*AGENT_COMMAND, f"{PACKAGE}.{PROGRAM}"),
        security=SECURITY,
        ports=(Port("report", PORT),),
        # A report has the lag since the one before, which is the operator's to read.
        readiness=Probe(port=PORT, period=5),
        liveness=Probe(port=PORT, period=10, failures=6),
        resources=_RESOURCES,
        env=(AGENT_PATH, *(Env(*pair) for pair in to_environment(settings).items())),
    )


def _build_program(parent: RunParent, agents: Mapping[str, str]) -> Manifest:
    data = config_map_data(agents)
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": parent.metadata(naming.config(parent.name, SHIPPER, data), SHIPPER),
        "immutable": True,
        "data": data,
    }


def _build_network_policy(parent: RunParent) -> Manifest:
    """Return who may connect to the shipper: the operator, which asks for its report."""
    operator = {"namespaceSelector": {}, "podSelector": {"matchLabels": {LABEL_NAME: MANAGED_BY}}}
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": parent.metadata(shipper_name(parent.name), SHIPPER),
        "spec": {
            "podSelector": {"matchLabels": pod_labels(parent)},
            "policyTypes": ["Ingress"],
            "ingress": [{"ports": [{"port": PORT, "protocol": "TCP"}], "from": [operator]}],
        },
    }
