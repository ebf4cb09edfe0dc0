"""Metrics of what our resources' statuses say: conditions, members of roles, rows."""

from collections.abc import Iterable, Iterator
from typing import Any, Final

from prometheus_client.core import GaugeMetricFamily, Metric

from stackroles.kube.cache import Cache
from stackroles.kube.kinds import OWN_KINDS, ref_of

_STATUS_VALUE: Final = {"True": 1.0, "False": 0.0}
_STATES: Final = ("desired", "ready")


def families(cache: Cache) -> Iterator[Metric]:
    """Yield the metrics of all own resources in a cache."""
    resources = [obj for kind in OWN_KINDS for obj in cache.list(kind)]
    yield from _conditions(resources)
    yield from _roles(resources)
    yield _housekeeping(resources)


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
