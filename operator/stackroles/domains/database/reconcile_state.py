"""The persisted state of a database cluster, kept in the cloud's state ConfigMap."""

from typing import Final

from stackroles import naming
from stackroles.agents import wire
from stackroles.config.cloud import Cloud
from stackroles.domains.database.model import PersistedState
from stackroles.errors import NotReady, OperatorError
from stackroles.kube.cluster import Cluster
from stackroles.reconcile.cloud_state import read_fact, record_fact

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


async def read_state(cluster: Cluster, cloud: Cloud) -> PersistedState:
    """Return the recorded persisted. Raises StateUnreadable."""
    return parse_state(await read_fact(cluster, cloud, KEY))


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
    text = ((live or {}).get("data") or {}).get(KEY)
    if parse_state(text) != before:
        raise NotReady(f"ConfigMap {name} has changed meanwhile", delay=1.0)
    await record_fact(cluster, cloud, KEY, text, dump_state(after))
