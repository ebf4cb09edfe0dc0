"""Facts of a cloud that must outlive the operator, in the ConfigMap `<cloud>-state`."""

from typing import Any, Final

from stackroles import naming
from stackroles.config.cloud import Cloud
from stackroles.errors import NotReady
from stackroles.kube.cluster import Cluster
from stackroles.workloads.manifests.metadata import labels, metadata

STATE: Final = "state"


async def read_fact(cluster: Cluster, cloud: Cloud, key: str) -> str | None:
    """Return what is recorded under a key now, None where nothing is."""
    data = await cluster.read_config_map(cloud.namespace, naming.state(cloud.name))
    found: str | None = (data or {}).get(key)
    return found


async def record_fact(
    cluster: Cluster, cloud: Cloud, key: str, before: str | None, after: str
) -> None:
    """Record something under a key, if what is there still is what the decision was made on.

    Other keys of the ConfigMap stay as they are.

    Raises:
        NotReady: somebody else wrote meanwhile; retry.
        ClusterError: the write failed; nothing may be published.
    """
    name = naming.state(cloud.name)
    meta = metadata(cloud, name, labels(cloud, STATE, STATE), keep=True)
    manifest: dict[str, Any] = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta}
    live = await cluster.read("ConfigMap", cloud.namespace, name)
    data = (live or {}).get("data") or {}
    if data.get(key) != before:
        raise NotReady(f"ConfigMap {name} has changed meanwhile", delay=1.0)
    if live is None:
        await cluster.create_once({**manifest, "data": {key: after}})
        return
    # With the version of what was read, a write by anybody else in between is rejected.
    meta["resourceVersion"] = live["metadata"]["resourceVersion"]
    await cluster.apply({**manifest, "data": {**data, key: after}})
