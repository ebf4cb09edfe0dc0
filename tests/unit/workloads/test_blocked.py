from datetime import UTC, datetime, timedelta
from typing import Any

from stackroles.api.v1alpha1.conditions import Reason
from stackroles.workloads.blocked import inactive
from stackroles.workloads.conditions import Finding

NOW = datetime(2026, 1, 1, tzinfo=UTC)
KNOWN = {
    "writer": "demo-mariadb-0",
    "conditions": [
        {
            "type": kind,
            "status": "True",
            "reason": reason,
            "message": "",
            "lastTransitionTime": "2025-01-01T00:00:00Z",
            "observedGeneration": 1,
        }
        for kind, reason in (("Ready", "AsDesired"), ("Available", "MinimumReplicasAvailable"))
    ],
}


def conditions(status: dict[str, Any]) -> dict[str, tuple[str, str]]:
    return {c["type"]: (c["status"], c["reason"]) for c in status["conditions"]}


def test_rejected_spec_is_reported_and_what_else_was_known_stays() -> None:
    status = inactive(KNOWN, Finding(Reason.SPEC_INVALID, "even replicas"), 2, NOW)

    assert conditions(status) == {
        "Reconciled": ("False", "SpecInvalid"),
        "Available": ("True", "MinimumReplicasAvailable"),
        "Ready": ("False", "SpecInvalid"),
        "Reconciling": ("False", "Settled"),
        "Stalled": ("True", "NeedsAttention"),
    }
    assert (status["writer"], status["observedGeneration"]) == ("demo-mariadb-0", 2)


def test_suspended_resource_stays_as_ready_as_it_was() -> None:
    status = inactive(KNOWN, Finding(Reason.SUSPENDED, "suspended"), 2, NOW)

    assert conditions(status)["Reconciled"] == ("False", "Suspended")
    assert conditions(status)["Ready"] == ("True", "AsDesired")
    assert conditions(status)["Stalled"] == ("False", "Healthy")


def test_second_look_changes_nothing() -> None:
    finding = Finding(Reason.SPEC_INVALID, "even replicas")
    first = inactive({}, finding, 2, NOW)

    assert inactive(first, finding, 2, NOW + timedelta(hours=1)) == first


def test_condition_of_another_form_is_replaced() -> None:
    status = inactive({"conditions": [{"type": "Ready"}]}, Finding(Reason.SPEC_INVALID), 1, NOW)

    assert conditions(status)["Ready"] == ("False", "SpecInvalid")
