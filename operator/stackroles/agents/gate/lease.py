"""The Lease object (coordination.k8s.io/v1): read, taken, renewed, given back; pure."""

import copy
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from stackroles.agents import wire
from stackroles.agents.gate.model import Leaving, Object, Sighting
from stackroles.agents.gate.protocol import (
    LAST_SWITCHOVER,
    SWITCHOVER,
    Switchover,
)


def path(namespace: str, name: str) -> str:
    """Return where the Lease is in the API."""
    return f"/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases/{name}"


def sighted(lease: Object, now: float, previous: Sighting | None, duration: float) -> Sighting:
    """Return what of a Lease decides.

    Args:
        lease: as the server sent it.
        now: when its answer was read; never earlier, as it may have been written just before.
        previous: what was seen before.
        duration: where it names none.
    """
    spec = lease.get("spec") or {}
    version = f"{_metadata(lease, 'uid')}/{_metadata(lease, 'resourceVersion')}"
    same = previous is not None and previous.version == version
    return Sighting(
        version=version,
        holder=spec.get("holderIdentity") or "",
        held_before=bool(spec.get("renewTime") or spec.get("leaseTransitions")),
        duration=float(spec.get("leaseDurationSeconds") or duration),
        request=str(annotations(lease).get(SWITCHOVER, "")),
        at=previous.at if previous is not None and same else now,
        lease=lease,
    )


def taken(seen: Sighting, identity: str, *, duration: float, now: float, wall: datetime) -> Object:
    """Return the Lease as this member takes it.

    The record of a holder that gave it up is completed; another one is made of a holder that did
    not renew. A request for a switchover is thereby carried out.

    Args:
        seen: the Lease.
        identity: this member's.
        duration: how long it shall hold.
        now: CLOCK_BOOTTIME.
        wall: the wall clock.
    """
    lease, text = copy.deepcopy(seen.lease), stamp(wall)
    spec = lease.setdefault("spec", {})
    spec["leaseTransitions"] = int(spec.get("leaseTransitions") or 0) + 1
    spec["holderIdentity"] = identity
    spec["leaseDurationSeconds"] = int(duration)
    spec["acquireTime"] = spec["renewTime"] = text
    before = last_switchover(lease)
    if seen.holder:
        silent = now - seen.at
        reason = f"{pod_of(seen.holder)} did not renew the Lease for {silent:.1f} s"
        at = stamp(wall - timedelta(seconds=silent))
        before = Switchover(source=pod_of(seen.holder), target="", at=at, reason=reason)
    if before is not None and not before.target:
        _note(lease, _with_target(before, pod_of(identity), None))
    _forget_request(lease)
    return lease


def renewed(seen: Sighting, *, duration: float, wall: datetime, active: bool) -> Object:
    """Return the Lease as its holder renews it.

    Args:
        seen: the Lease.
        duration: how long it shall hold.
        wall: the wall clock.
        active: whether the holder serves, which completes the record of how it came to be that.
    """
    lease = copy.deepcopy(seen.lease)
    lease["spec"]["leaseDurationSeconds"] = int(duration)
    lease["spec"]["renewTime"] = stamp(wall)
    last = last_switchover(lease)
    if active and last and last.target == pod_of(seen.holder) and last.duration is None:
        _note(lease, _with_target(last, last.target, _seconds_since(last.at, wall)))
    return lease


def released(seen: Sighting, leaving: Leaving) -> Object:
    """Return the Lease as its holder gives it back, with the reason, and without a request."""
    lease = copy.deepcopy(seen.lease)
    lease["spec"]["holderIdentity"] = ""
    source = pod_of(seen.holder)
    _note(lease, Switchover(source=source, target="", at=leaving.at, reason=leaving.reason))
    _forget_request(lease)
    return lease


def last_switchover(lease: Object) -> Switchover | None:
    """Return the last change of the holder as the Lease tells it; None where it tells none."""
    try:
        return wire.loads(Switchover, str(annotations(lease).get(LAST_SWITCHOVER, "")))
    except wire.WireError:
        return None


def transitions(lease: Object) -> int:
    """Return how often the holder has changed."""
    return int((lease.get("spec") or {}).get("leaseTransitions") or 0)


def pod_of(holder: str) -> str:
    """Return the pod of a holder, `<pod>_<uid>_<attempt>`."""
    return holder.partition("_")[0]


def annotations(lease: Object) -> Mapping[str, Any]:
    """Return the Lease's annotations."""
    found: Mapping[str, Any] = _metadata(lease, "annotations") or {}
    return found


def _metadata(lease: Object, name: str) -> Any:
    return (lease.get("metadata") or {}).get(name, "")


def _note(lease: Object, switchover: Switchover) -> None:
    _writable(lease)[LAST_SWITCHOVER] = wire.dumps(switchover)


def _forget_request(lease: Object) -> None:
    _writable(lease).pop(SWITCHOVER, None)


def _writable(lease: Object) -> dict[str, Any]:
    metadata = lease.setdefault("metadata", {})
    metadata["annotations"] = dict(metadata.get("annotations") or {})
    found: dict[str, Any] = metadata["annotations"]
    return found


def _with_target(last: Switchover, target: str, duration: float | None) -> Switchover:
    return Switchover(
        source=last.source, target=target, at=last.at, reason=last.reason, duration=duration
    )


def _seconds_since(at: str, wall: datetime) -> float | None:
    """Return the seconds since a time that another machine's clock named, None if none."""
    try:
        return round(max((wall - datetime.fromisoformat(at)).total_seconds(), 0.0), 1)
    except (ValueError, TypeError):
        return None


def stamp(wall: datetime) -> str:
    """Return a time of the wall clock as Kubernetes' MicroTime."""
    return wall.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
