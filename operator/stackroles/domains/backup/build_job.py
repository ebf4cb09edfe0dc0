"""The Job of one backup: what it reads, what it runs, and where its set goes."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from stackroles import naming
from stackroles.agents import wire
from stackroles.agents.backup.protocol import (
    RESOURCES_FILE,
    RETENTION_FILE,
    STATE_FILE,
    VERSIONS_FILE,
    RunSettings,
)
from stackroles.api.v1alpha1.backup_policy import BackupPolicySpec
from stackroles.config.cloud import Cloud
from stackroles.config.endpoint import OVSDB, Endpoint
from stackroles.constants import LABEL_REPOSITORY
from stackroles.roles.container import (
    Container,
    ScratchMount,
)
from stackroles.roles.topology import DEFAULT
from stackroles.workloads.manifests.agents import closure, config_map_data
from stackroles.workloads.manifests.container import secret_name
from stackroles.workloads.manifests.metadata import Manifest, metadata
from stackroles.workloads.recovery_set.pod import SECURITY, RunParent, build_pod
from stackroles.workloads.recovery_set.repository import (
    Volumes,
    agent_container,
    beside_repository,
    items,
    repository_environment,
    repository_id,
)
from stackroles.workloads.recovery_set.users import RUN

MAIN = "backup"
# What the program calls its first parts: the member streams in the second and the third.
REPOSITORY_PART, DATABASE_PART, TABLES_PART = "repository", "database", "tables"
PROGRAM = "backup.run"
"""The agent that a run is, below the package of agents."""
_INPUTS, _COPIES, _SECRETS = "/backup/inputs", "/backup/copies", "/backup/secrets"
# The databases of OVN: ovn-nb(5) and ovn-sb(5); ports as in ovn-ctl(8).
OVN_DATABASES = (("ovn-nb", "OVN_Northbound", 6641), ("ovn-sb", "OVN_Southbound", 6642))


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One run: what it copies, from where, into what.

    Attributes:
        source: URL of the member's backup stream.
        secrets: names of the Secrets that belong into the set.
        policy_name: the policy, whose sets are counted together.
        policy_uid: the policy's uid, for the manifest.
    """

    policy: BackupPolicySpec
    policy_name: str
    source: str
    secrets: tuple[str, ...]
    policy_uid: str = ""


def build_inputs(
    parent: RunParent, inputs: Mapping[str, Any], agents: Mapping[str, str]
) -> Manifest:
    """Return the ConfigMap with a run's JSON inputs (by file name, no secrets) and its program."""
    data = {name: wire.dumps(value, sort_keys=True) for name, value in inputs.items()}
    data |= config_map_data(closure([PROGRAM], agents))
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": parent.metadata(naming.config(parent.name, "inputs", data), "inputs"),
        "immutable": True,
        "data": data,
    }


def build_backup_job(cloud: Cloud, parent: RunParent, run: Run, inputs: Manifest) -> Manifest:
    """Return the Job of one run: copies of the OVN databases first, then the set itself.

    A failed pod fails the run: a second try would be a second Backup.

    Args:
        cloud: the cloud.
        parent: the Backup.
        run: what is copied.
        inputs: the ConfigMap that its pod mounts.
    """
    copies = tuple(_ovn_copy(cloud, *database) for database in OVN_DATABASES)
    main = _main(cloud, parent, run)
    volumes = _volumes(inputs["metadata"]["name"], run, cloud.agents)
    pod = build_pod(cloud, (*copies, main), volumes.volumes, volumes.mounts, run.policy.resources)
    pod |= beside_repository(parent.namespace, run.policy_name, run.policy)
    pod["containers"][0]["env"] += repository_environment(cloud, run.policy)
    repository = repository_id(parent.namespace, run.policy_name, run.policy)
    labels = parent.labels(RUN) | {LABEL_REPOSITORY: repository}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": metadata(parent, naming.child(parent.name, RUN), labels),
        "spec": {
            "backoffLimit": 0,
            "activeDeadlineSeconds": run.policy.deadline_seconds,
            "template": {"metadata": {"labels": labels}, "spec": pod},
        },
    }


# OVS resolves names by itself, in the background, and a one-shot client gives up before the answer
# is there: it is given addresses. It also gives each server a single second, which a busy one may
# miss: it is asked again, within a limit.
_OVN_COPY = """\
end=$(($(date +%s) + 120))
while :; do
  servers=
  for host in {hosts}; do
    address=$(getent ahostsv4 "$host" | cut -d' ' -f1 | head -n1)
    [ -z "$address" ] || servers="${{servers:+$servers,}}{remote}"
  done
  ovsdb-client -t 60 backup "$servers" {database} > {copies}/{role}.ovsdb && exit 0
  [ "$(date +%s)" -lt $end ] || exit 1
  sleep 1
done
"""


def _ovn_copy(cloud: Cloud, role: str, database: str, port: int) -> Container:
    copy = _OVN_COPY.format(
        hosts=" ".join(cloud.members(role)),
        remote=Endpoint(OVSDB, "$address", port).remote,
        database=database,
        copies=_COPIES,
        role=role,
    )
    return Container(
        name=role,
        image="ovn",
        command=("sh", "-c", copy),
        security=SECURITY,
        no_liveness_because="it ends by itself or by its own time limit",
        mounts=(ScratchMount("copies", _COPIES),),
    )


def _main(cloud: Cloud, parent: RunParent, run: Run) -> Container:
    settings = RunSettings(
        name=parent.name,
        cloud=cloud.name,
        policy=run.policy_name,
        source=run.source,
        inputs=_INPUTS,
        copies=_COPIES,
        secrets=_SECRETS,
        token_file=f"{_SECRETS}/{secret_name(cloud.name, DEFAULT.database.role)}/backup-token",
        cloud_uid=cloud.uid,
        policy_uid=run.policy_uid,
        uid=parent.uid,
    )
    return agent_container(MAIN, PROGRAM, settings, ScratchMount("copies", _COPIES))


def _volumes(inputs: str, run: Run, agents: Mapping[str, str]) -> Volumes:
    """Return volumes and the main container's mounts."""
    found = Volumes()
    files = items(RESOURCES_FILE, STATE_FILE, VERSIONS_FILE, RETENTION_FILE)
    found.add("inputs", _INPUTS, {"configMap": {"name": inputs, "items": files}})
    found.add_agents(inputs, closure([PROGRAM], agents))
    found.add_repository(run.policy, run.policy_name)
    for number, name in enumerate(run.secrets):
        source = {"secret": {"secretName": name, "defaultMode": 0o440}}
        found.add(f"secret-{number}", f"{_SECRETS}/{name}", source)
    return found
