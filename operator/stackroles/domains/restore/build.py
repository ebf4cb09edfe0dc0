"""The Jobs of a restore: who reads the recovery set, and who puts a member's data in place."""

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from stackroles import naming
from stackroles.agents.backup.reader_protocol import PARTS_PATH, PORT, ReaderSettings
from stackroles.agents.galera.restore_protocol import (
    RestoreMode,
    RestoreSettings,
    to_environment,
)
from stackroles.api.v1alpha1.common import dump
from stackroles.config.cloud import Cloud
from stackroles.config.endpoint import HTTP, Endpoint
from stackroles.constants import LABEL_STEP
from stackroles.roles import mariadb
from stackroles.roles.container import (
    AGENT_COMMAND,
    AGENT_PATH,
    Container,
    Env,
    ScratchMount,
)
from stackroles.roles.definition import OpenStackService, Step
from stackroles.workloads.manifests.agents import PACKAGE, closure, config_map_data
from stackroles.workloads.manifests.metadata import STEP_NAME, Manifest, metadata, selector
from stackroles.workloads.manifests.workload import build_claim_template
from stackroles.workloads.recovery_set.pod import SECURITY, RunParent, build_pod
from stackroles.workloads.recovery_set.repository import (
    RepositoryAccess,
    Volumes,
    agent_container,
    beside_repository,
    items,
    repository_environment,
)
from stackroles.workloads.run_step import build_run

COMPONENT: Final = "restore"
READER: Final = "reader"
MEMBER: Final = "member"
TOKEN_KEY: Final = "token"  # noqa: S105 - the name of a key
_READER_PROGRAM, _MEMBER_PROGRAM = "backup.reader", "galera.restore"
_FOLDER: Final = "/restore/token"
_OPTIONS_KEY: Final = "my.cnf"
# It is deleted when the restore has ended; this is for one that nobody is left to delete.
_READER_SECONDS: Final = 86400
_TRIES: Final = 4


def reader_name(restore: str) -> str:
    """Return the name of the Job that reads a restore's recovery set."""
    return naming.child(restore, READER)


def token_name(restore: str) -> str:
    """Return the name of the Secret that the reader asks for."""
    return naming.child(restore, TOKEN_KEY)


def member_name(restore: str, ordinal: int) -> str:
    """Return the name of the Job that works on a member's volume."""
    return naming.child(restore, MEMBER, str(ordinal))


def member_claim(cloud: Cloud, ordinal: int) -> str:
    """Return the claim of a database member."""
    volume = mariadb.MARIADB.volume
    claim = volume.claim if volume else ""
    return f"{claim}-{naming.pod(cloud.workload(mariadb.NAME), ordinal)}"


def build_member_claim(cloud: Cloud, ordinal: int) -> Manifest:
    """Return the claim that a database member's StatefulSet would make: it takes that one up."""
    template = build_claim_template(cloud, mariadb.MARIADB)
    known = {"name": member_claim(cloud, ordinal), "namespace": cloud.namespace}
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {**template["metadata"], **known},
        "spec": template["spec"],
    }


def build_token(parent: RunParent, value: str) -> Manifest:
    """Return the Secret by which pods of a restore know each other; it goes with the Restore."""
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "type": "Opaque",
        "metadata": parent.metadata(token_name(parent.name), TOKEN_KEY),
        "data": {TOKEN_KEY: base64.b64encode(value.encode()).decode()},
    }


def build_reader(
    cloud: Cloud, parent: RunParent, name: str, policy_name: str, access: RepositoryAccess
) -> list[Manifest]:
    """Return the program, the Service and the Job that serve a recovery set to pods on any node.

    A repository's volume and a member's may be on different nodes, and each is mounted by one.

    Args:
        cloud: the cloud.
        parent: the Restore.
        name: the set, by the name of its Backup; empty for the policy's newest one.
        policy_name: its policy.
        access: how the repository is used.
    """
    program = _program(parent, READER, config_map_data(closure([_READER_PROGRAM], cloud.agents)))
    volumes = Volumes()
    volumes.add_agents(program["metadata"]["name"], closure([_READER_PROGRAM], cloud.agents))
    volumes.add_repository(access, policy_name)
    _add_token(volumes, parent)
    settings = ReaderSettings(name=name, policy=policy_name, token_file=f"{_FOLDER}/{TOKEN_KEY}")
    main = agent_container(READER, _READER_PROGRAM, settings)
    pod = build_pod(cloud, (main,), volumes.volumes, volumes.mounts, access.resources)
    pod |= beside_repository(parent.namespace, policy_name, access)
    pod["containers"][0]["env"] += repository_environment(cloud, access)
    job = _job(parent, reader_name(parent.name), READER, pod, _READER_SECONDS)
    return [program, _reader_service(parent), job]


def _reader_service(parent: RunParent) -> Manifest:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": parent.metadata(reader_name(parent.name), READER),
        "spec": {
            "selector": _reader_selector(parent),
            "ports": [{"name": READER, "port": PORT, "targetPort": PORT, "protocol": "TCP"}],
        },
    }


def _reader_selector(parent: RunParent) -> dict[str, str]:
    """Return the labels of the reader's pods, whichever pass has made them.

    Not the cloud's name, which the first pass over a repository learns only by its reader.
    """
    step = parent.labels(READER)[LABEL_STEP]
    return {**selector(parent, STEP_NAME), LABEL_STEP: step}


@dataclass(frozen=True, slots=True, kw_only=True)
class MemberWork:
    """What is done to one member's volume.

    Attributes:
        ordinal: the member's number.
        mode: put the copy in place, or empty it, so that the member joins the restored history.
        source: URL of the copy at the reader; empty where none is needed.
        bytes: the copy's size.
        sha256: its checksum.
        deadline: seconds that it may take.
        until: to which time transactions are applied to the copy, seconds since 1970; 0 for none.
        history: the history that they are of, by its uuid.
    """

    ordinal: int
    mode: RestoreMode
    deadline: int
    source: str = ""
    bytes: int = 0
    sha256: str = ""
    until: int = 0
    history: str = ""


def source_url(parent: RunParent, part: str) -> str:
    """Return where the reader serves a part of its set, whichever pod of it runs."""
    host = naming.service_host(reader_name(parent.name), parent.namespace)
    return Endpoint(HTTP, host, PORT).url(f"{PARTS_PATH}{part}")


def build_member(cloud: Cloud, parent: RunParent, work: MemberWork) -> list[Manifest]:
    """Return the program and the Job that work on the volume of a member without a pod."""
    agents = closure([_MEMBER_PROGRAM], cloud.agents)
    options = mariadb.files(cloud)[mariadb.OPTIONS]
    program = _program(parent, MEMBER, {**config_map_data(agents), _OPTIONS_KEY: options})
    name, volumes = program["metadata"]["name"], Volumes()
    volumes.add_agents(name, agents)
    files = {"configMap": {"name": name, "items": items(_OPTIONS_KEY)}}
    volumes.add("files", mariadb.OPTIONS.rpartition("/")[0], files)
    claim = {"persistentVolumeClaim": {"claimName": member_claim(cloud, work.ordinal)}}
    volumes.add("data", mariadb.DATA, claim, read_only=False)
    _add_token(volumes, parent)
    pod = _on_database_nodes(cloud, _member_pod(cloud, parent, work, volumes))
    labels = member_name(parent.name, work.ordinal)
    return [program, _job(parent, labels, MEMBER, pod, work.deadline)]


def _member_pod(cloud: Cloud, parent: RunParent, work: MemberWork, volumes: Volumes) -> Manifest:
    database = mariadb.MARIADB.containers[0]
    settings = RestoreSettings(
        id=parent.uid,
        member=naming.pod(cloud.workload(mariadb.NAME), work.ordinal),
        mode=work.mode,
        source=work.source,
        token_file=f"{_FOLDER}/{TOKEN_KEY}",
        bytes=work.bytes,
        sha256=work.sha256,
        until=work.until,
        history=work.history,
    )
    main = Container(
        name=MEMBER,
        image=mariadb.MARIADB.image,
        command=(*AGENT_COMMAND, f"{PACKAGE}.{_MEMBER_PROGRAM}"),
        security=SECURITY,
        no_liveness_because="it ends by itself or by its Job's deadline",
        resources=database.resources,
        env=(
            AGENT_PATH,
            *(Env(*pair) for pair in to_environment(settings).items()),
        ),
        mounts=(ScratchMount("run", "/run/mysqld"),),
    )
    declared = cloud.settings(mariadb.NAME).resources
    return build_pod(cloud, (main,), volumes.volumes, volumes.mounts, declared)


def _on_database_nodes(cloud: Cloud, pod: Manifest) -> Manifest:
    """Return a pod that runs where the database's may, with the database's own image."""
    settings = cloud.settings(mariadb.NAME)
    [main] = pod["containers"]
    image = cloud.image(mariadb.MARIADB.image, settings.image)
    placed = {**pod, "containers": [{**main, "image": image}]}
    if settings.node_selector:
        placed["nodeSelector"] = dict(settings.node_selector)
    if settings.tolerations:
        placed["tolerations"] = [dump(toleration) for toleration in settings.tolerations]
    return placed


def _add_token(volumes: Volumes, parent: RunParent) -> None:
    source = {"secretName": token_name(parent.name), "items": items(TOKEN_KEY)}
    volumes.add("token", _FOLDER, {"secret": source | {"defaultMode": 0o440}})


def _program(parent: RunParent, part: str, data: Mapping[str, str]) -> Manifest:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": parent.metadata(naming.config(parent.name, part, data), part),
        "immutable": True,
        "data": dict(data),
    }


def _job(parent: RunParent, name: str, step: str, pod: Manifest, deadline: int) -> Manifest:
    labels = parent.labels(step)
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": metadata(parent, name, labels),
        "spec": {
            "backoffLimit": _TRIES - 1,
            "activeDeadlineSeconds": deadline,
            "template": {"metadata": {"labels": labels}, "spec": pod},
        },
    }


def sync_name(restore: str, service: OpenStackService, step: Step[Cloud]) -> str:
    """Return the name of the Job of a step that follows a restore."""
    return naming.child(restore, service.name, step.name)


def build_sync(
    cloud: Cloud, parent: RunParent, service: OpenStackService, step: Step[Cloud]
) -> list[Manifest]:
    """Return the configuration and the Job (last) of a step that follows a restore."""
    return build_run(cloud, parent, service, step, sync_name(parent.name, service, step))
