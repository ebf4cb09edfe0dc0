"""Metrics of what our resources' statuses say: conditions, members, rows, backups."""

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any, Final

from prometheus_client.core import GaugeMetricFamily, Metric

from stackroles.kube.cache import Cache
from stackroles.kube.kinds import OWN_KINDS, ref_of
from stackroles.workloads.pod import time_of

_STATUS_VALUE: Final = {"True": 1.0, "False": 0.0}
_STATES: Final = ("desired", "ready")
# Metrics of the shipping of binary logs, by the field of the status.
_SHIPPING: Final = {
    "lagSeconds": (
        "stackroles_binlog_lag_seconds",
        "The longest time from a transaction to its storage, as the shipper reported last.",
    ),
    "bytes": (
        "stackroles_binlog_stored_bytes",
        "Bytes of binary logs that a policy's shipper has stored since it started.",
    ),
    "pieces": (
        "stackroles_binlog_pieces",
        "Pieces of binary logs in a policy's repository.",
    ),
}


def families(cache: Cache) -> Iterator[Metric]:
    """Yield the metrics of all own resources in a cache."""
    resources = [obj for kind in OWN_KINDS for obj in cache.list(kind)]
    yield from _conditions(resources)
    yield from _roles(resources)
    yield _housekeeping(resources)
    yield from _verifications(resources)
    yield from _shipping(resources)


def _conditions(resources: Iterable[dict[str, Any]]) -> Iterator[Metric]:
    values = GaugeMetricFamily(
        "stackroles_condition",
        "Conditions of our resources: 1 True, 0 False, -1 Unknown.",
        labels=["kind", "namespace", "name", "condition"],
    )
    reasons = GaugeMetricFamily(
        "stackroles_condition_reason",
        "1 for the reason that a condition has.",
        labels=["kind", "namespace", "name", "condition", "reason"],
    )
    for obj in resources:
        for condition in obj.get("status", {}).get("conditions") or ():
            labels = [*ref_of(obj), condition["type"]]
            values.add_metric(labels, _STATUS_VALUE.get(condition["status"], -1.0))
            reasons.add_metric([*labels, condition.get("reason", "")], 1.0)
    yield values
    yield reasons


def _roles(resources: Iterable[dict[str, Any]]) -> Iterator[Metric]:
    members = GaugeMetricFamily(
        "stackroles_role_members",
        "Members of a role that are desired, and that are ready.",
        labels=["namespace", "name", "role", "model", "state"],
    )
    active = GaugeMetricFamily(
        "stackroles_role_active",
        "1 for a role with an active member; other roles have no sample.",
        labels=["namespace", "name", "role"],
    )
    for obj in resources:
        kind, namespace, name = ref_of(obj)
        if kind != "CloudController":
            continue
        for role in obj.get("status", {}).get("roles") or ():
            place = [namespace, name, role["name"]]
            for state in _STATES:
                members.add_metric([*place, role["model"], state], role[state])
            if role.get("active"):
                active.add_metric(place, 1.0)
    yield members
    yield active


def _housekeeping(resources: Iterable[dict[str, Any]]) -> Metric:
    rows = GaugeMetricFamily(
        "stackroles_housekeeping_rows",
        "Deleted rows of a service that its last run counted or removed, by what it did.",
        labels=["namespace", "name", "service", "mode"],
    )
    for obj in resources:
        kind, namespace, name = ref_of(obj)
        if kind != "CloudController":
            continue
        for run in obj.get("status", {}).get("housekeeping") or ():
            rows.add_metric([namespace, name, run["service"], run["mode"]], run.get("rows", 0))
    return rows


def _verifications(resources: Iterable[dict[str, Any]]) -> Iterator[Metric]:
    place = ["namespace", "name", "level"]
    results = GaugeMetricFamily(
        "stackroles_verification_result",
        "1 for the result of the last verification of a level of a BackupPolicy.",
        labels=[*place, "result"],
    )
    ended = GaugeMetricFamily(
        "stackroles_verification_last_time_seconds",
        "When the last verification of a level ended, in seconds since 1970.",
        labels=place,
    )
    took = GaugeMetricFamily(
        "stackroles_verification_duration_seconds",
        "How long the last verification of a level took; none where its program did not say.",
        labels=place,
    )
    size = GaugeMetricFamily(
        "stackroles_verification_size_bytes",
        "Bytes that the last verification of a level was about.",
        labels=place,
    )
    for obj in resources:
        kind, namespace, name = ref_of(obj)
        if kind != "BackupPolicy":
            continue
        for found in obj.get("status", {}).get("verifications") or ():
            labels = [namespace, name, found["level"]]
            if found.get("result"):
                results.add_metric([*labels, found["result"]], 1.0)
            if found.get("lastTime"):
                ended.add_metric(labels, datetime.fromisoformat(found["lastTime"]).timestamp())
            if found.get("seconds") is not None:
                took.add_metric(labels, found["seconds"])
            if found.get("sizeBytes") is not None:
                size.add_metric(labels, found["sizeBytes"])
    yield from (results, ended, took, size)


def _shipping(resources: Iterable[dict[str, Any]]) -> Iterator[Metric]:
    """Yield the metrics of policies that ship binary logs; others have no sample."""
    until = GaugeMetricFamily(
        "stackroles_recoverable_until_timestamp_seconds",
        "The newest recoverable point of a policy that ships binary logs; 0 without one.",
        labels=["namespace", "name"],
    )
    gauges = {
        field: GaugeMetricFamily(name, text, labels=["namespace", "name"])
        for field, (name, text) in _SHIPPING.items()
    }
    for obj in resources:
        kind, namespace, name = ref_of(obj)
        status = obj.get("status", {})
        shipping = status.get("pointInTime")
        if kind != "BackupPolicy" or shipping is None:
            continue
        newest = time_of((status.get("recoverable") or {}).get("until"))
        until.add_metric([namespace, name], newest.timestamp() if newest else 0.0)
        for field, gauge in gauges.items():
            if shipping.get(field) is not None:
                gauge.add_metric([namespace, name], float(shipping[field]))
    yield until
    yield from gauges.values()
