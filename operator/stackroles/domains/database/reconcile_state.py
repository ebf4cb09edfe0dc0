"""The persisted state of a database cluster, kept in the cloud's state ConfigMap."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, Final

from stackroles import naming
from stackroles.config.cloud import Cloud
from stackroles.domains.database.model import Bootstrap, Decision, Mode, PersistedState
from stackroles.errors import NotReady, OperatorError
from stackroles.kube.cluster import Cluster
from stackroles.workloads.manifests.metadata import labels, metadata

KEY: Final = "galera"
STATE: Final = "state"


class StateUnreadable(OperatorError):  # noqa: N818 - named for what it says
    """The recorded state is not what this operator writes; nothing may be started on them."""


def dump_decision(decision: Decision) -> str:
    """Return a decision as its annotation's value."""
    return json.dumps(asdict(decision), sort_keys=True)


def parse_decision(text: str | None) -> Decision | None:
    """Return the decision in an annotation's value, or None when there is none."""
    try:
        return _decision(json.loads(text)) if text else None
    except (ValueError, KeyError, TypeError):
        return None


def dump_state(persisted: PersistedState) -> str:
    """Return the state as it is recorded."""
    return json.dumps(asdict(persisted), sort_keys=True)


def parse_state(text: str | None) -> PersistedState:
    """Return the recorded state; that of a cluster that was never formed when there are none.

    Raises:
        StateUnreadable: they are there and cannot be read.
    """
    if text is None:
        return PersistedState()
    try:
        found = json.loads(text)
        record = found["bootstrap"]
        return PersistedState(
            uuid=found["uuid"],
            volumes={str(name): str(volume) for name, volume in found["volumes"].items()},
            complete=bool(found["complete"]),
            bootstrap=_bootstrap(record) if record else None,
            epoch=int(found.get("epoch", 0)),
            leader=str(found.get("leader", "")),
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise StateUnreadable(
            f"Key {KEY} of the cloud's state ConfigMap cannot be read ({error!r}); put back what "
            "was there, from a backup."
        ) from error


def _bootstrap(found: Mapping[str, Any]) -> Bootstrap:
    return Bootstrap(
        member=str(found["member"]),
        pod_uid=str(found["pod_uid"]),
        volume_id=str(found["volume_id"]),
        decision=_decision(found["decision"]),
    )


def _decision(found: Mapping[str, Any]) -> Decision:
    return Decision(
        attempt=str(found["attempt"]),
        epoch=int(found["epoch"]),
        mode=Mode(found["mode"]),
        uuid=found.get("uuid"),
        seqno=int(found.get("seqno", -1)),
        transfer=str(found.get("transfer", "mariabackup")),
        full=bool(found.get("full", False)),
    )


async def read_state(cluster: Cluster, cloud: Cloud) -> PersistedState:
    """Return the recorded state. Raises StateUnreadable."""
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
