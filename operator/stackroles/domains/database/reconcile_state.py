"""The persisted state of a database cluster, kept in the cloud's state ConfigMap."""

from collections.abc import Mapping
from typing import Final

from stackroles import naming
from stackroles.agents import wire
from stackroles.config.cloud import Cloud
from stackroles.domains.database.model import PersistedState
from stackroles.domains.database.restored import adopt
from stackroles.errors import NotReady, OperatorError
from stackroles.kube.cluster import Cluster
from stackroles.reconcile.cloud_state import record_fact
from stackroles.workloads import restoring

KEY: Final = "galera"


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


def state_in(data: Mapping[str, str]) -> PersistedState:
    """Return the state that the data of the cloud's state ConfigMap stand for.

    What a Restore put in place counts from the moment that it is recorded.

    Raises:
        StateUnreadable: the state is there and cannot be read.
        RecordUnreadable: so is what a Restore did.
    """
    return adopt(parse_state(data.get(KEY)), restoring.parse_record(data.get(restoring.KEY)))


async def read_state(cluster: Cluster, cloud: Cloud) -> PersistedState:
    """Return what is recorded now; raises as `state_in`."""
    name = naming.state(cloud.name)
    return state_in(await cluster.read_config_map(cloud.namespace, name) or {})


async def record_state(
    cluster: Cluster, cloud: Cloud, before: PersistedState, after: PersistedState
) -> None:
    """Replace the recorded state, if it still is what the decision was made on.

    Raises:
        StateUnreadable: what was recorded is gone.
        NotReady: somebody else wrote meanwhile; retry.
        ClusterError: the write failed; nothing may be published.
    """
    name = naming.state(cloud.name)
    live = await cluster.read("ConfigMap", cloud.namespace, name)
    if live is None and before != PersistedState():
        raise StateUnreadable(f"ConfigMap {name} is gone; put it back from a backup.")
    data = (live or {}).get("data") or {}
    if state_in(data) != before:
        raise NotReady(f"ConfigMap {name} has changed meanwhile", delay=1.0)
    await record_fact(cluster, cloud, KEY, data.get(KEY), dump_state(after))
