"""The persisted state of a database cluster, kept in the cloud's state ConfigMap."""

from typing import Final

from stackroles import naming
from stackroles.agents import wire
from stackroles.config.cloud import Cloud
from stackroles.domains.database.model import PersistedState
from stackroles.errors import NotReady, OperatorError
from stackroles.kube.cluster import Cluster
from stackroles.workloads.manifests.metadata import labels, metadata

KEY: Final = "galera"
STATE: Final = "state"


class StateUnreadable(OperatorError):  # noqa: N818 - named for what it says
    """The recorded state is not what this operator writes; nothing may be started on them."""


def dump_state(persisted: PersistedState) -> str:
    """Return persisted as they are recorded."""
    return wire.dumps(persisted, sort_keys=True)


def parse_state(text: str | None) -> PersistedState:
    """Return the recorded state; that of a cluster that was never formed when there are none.

    Raises:
        StateUnreadable: they are there and cannot be read.
    """
    if text is None:
        return PersistedState()
    try:
        return wire.loads(PersistedState, text)
    except wire.WireError as error:
        raise StateUnreadable(
            f"Key {KEY} of the cloud's state ConfigMap cannot be read: {error}. Put back what was "
            "there, from a backup."
        ) from error


async def read_state(cluster: Cluster, cloud: Cloud) -> PersistedState:
    """Return the recorded persisted. Raises StateUnreadable."""
    data = await cluster.read_config_map(cloud.namespace, naming.state(cloud.name))
    return parse_state((data or {}).get(KEY))


async def record_state(
    cluster: Cluster, cloud: Cloud, before: PersistedState, after: PersistedState
) -> None:
    """Replace the recorded state, if it still is what the decision was made on.

    Other keys of the ConfigMap stay as they are.

    Raises:
        NotReady: somebody else wrote meanwhile; retry.
        ClusterError: the write failed; nothing may be published.
    """
    name = naming.state(cloud.name)
    meta = metadata(cloud, name, labels(cloud, STATE, STATE), keep=True)
    manifest = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta}
    live = await cluster.read("ConfigMap", cloud.namespace, name)
    if live is None:
        if before != PersistedState():
            raise StateUnreadable(f"ConfigMap {name} is gone; put it back from a backup.")
        await cluster.create_once({**manifest, "data": {KEY: dump_state(after)}})
        return
    data = live.get("data") or {}
    if parse_state(data.get(KEY)) != before:
        raise NotReady(f"ConfigMap {name} has changed meanwhile", delay=1.0)
    # With the version of what was read, a write by anybody else in between is rejected.
    meta["resourceVersion"] = live["metadata"]["resourceVersion"]
    await cluster.apply({**manifest, "data": {**data, KEY: dump_state(after)}})
