"""The record of a cloud's Restore, written so that every pass that begins later knows it."""

from dataclasses import replace

from stackroles import naming
from stackroles.config.cloud import Cloud
from stackroles.errors import NotReady
from stackroles.kube.cluster import Cluster
from stackroles.reconcile.cloud_state import record_fact
from stackroles.roles import registry
from stackroles.workloads.restoring import (
    KEY,
    RestoreRecord,
    Stopped,
    dump_record,
    parse_record,
    stopped_roles,
)

_LAG_SECONDS = 0.5


async def read_record(cluster: Cluster, namespace: str, cloud: str) -> RestoreRecord | None:
    """Return the record of a cloud as it was last seen to be, None where there is none.

    Raises:
        RecordUnreadable: it is there and cannot be read.
        ClusterError: it could not be read from the API.
    """
    name = naming.state(cloud)
    if cluster.get("ConfigMap", namespace, name) is None:
        return None
    data = await cluster.read_config_map(namespace, name)
    return parse_record((data or {}).get(KEY))


async def read_resting(cluster: Cluster, cloud: Cloud) -> tuple[str, frozenset[str]]:
    """Return the Restore that a cloud's roles rest for, "" without any, and those roles.

    Raises:
        RecordUnreadable: what rests is not known.
        ClusterError: the record could not be read from the API.
    """
    record = await read_record(cluster, cloud.namespace, cloud.name)
    if record is None or record.stopped is Stopped.NOTHING:
        return "", frozenset()
    return record.name, stopped_roles(record.stopped, registry.CONTROLLER_ROLES, registry.SERVICES)


async def end_record(cluster: Cluster, namespace: str, cloud: str, record: RestoreRecord) -> None:
    """End the record of a Restore whose cloud goes: another one may have its name and volumes.

    Raises:
        ClusterError: the write failed.
    """
    live = await cluster.read("ConfigMap", namespace, naming.state(cloud))
    data = (live or {}).get("data") or {}
    if live is None or parse_record(data.get(KEY)) != record:
        return
    kept = ("name", "namespace", "labels", "resourceVersion")
    metadata = {key: live["metadata"][key] for key in kept if key in live["metadata"]}
    ended = dump_record(replace(record, stopped=Stopped.NOTHING, ended=True))
    await cluster.apply(
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {**metadata, "ownerReferences": []},
            "data": {**data, KEY: ended},
        }
    )


async def write_record(
    cluster: Cluster, cloud: Cloud, before: RestoreRecord | None, after: RestoreRecord
) -> None:
    """Replace the record, if it still is what the decision was made on.

    Raises:
        NotReady: somebody else wrote meanwhile, or the cache does not have it yet; call again.
        ClusterError: the write failed.
    """
    if before != after:
        former = dump_record(before) if before is not None else None
        await record_fact(cluster, cloud, KEY, former, dump_record(after))
    if await read_record(cluster, cloud.namespace, cloud.name) != after:
        raise NotReady("What was recorded is not seen yet", delay=_LAG_SECONDS)
