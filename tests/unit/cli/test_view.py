"""What is shown of a cloud."""

import json
from typing import Any

import pytest
from rich.console import Console

from stackroles.cli.cluster import dump
from stackroles.cli.draw import draw
from stackroles.cli.view import Found, view_of
from stackroles.constants import LABEL_NAME

Object = dict[str, Any]


def condition(kind: str, status: str, reason: str = "Reason", message: str = "") -> Object:
    at = "2026-01-01T00:00:00Z"
    found = {"type": kind, "status": status, "reason": reason, "message": message}
    return {**found, "lastTransitionTime": at}


def pod(role: str, number: int, *, ready: bool = True, restarts: int = 0) -> Object:
    state = "True" if ready else "False"
    return {
        "metadata": {"name": f"demo-{role}-{number}", "labels": {LABEL_NAME: role}},
        "spec": {"nodeName": f"node-{number}"},
        "status": {
            "conditions": [{"type": "Ready", "status": state}],
            "containerStatuses": [{"restartCount": restarts}],
        },
    }


def role(name: str, ready: int, **other: Any) -> Object:
    return {"name": name, "model": "ActiveActive", "desired": 2, "ready": ready, **other}


def recovery(role_name: str, **other: Any) -> Object:
    return {"role": role_name, "served": True, "startedAt": "2026-01-01T00:00:00Z", **other}


CLOUD: Object = {
    "kind": "CloudController",
    "metadata": {"name": "demo", "namespace": "openstack"},
    "status": {
        "release": "2025.1",
        "conditions": [
            condition("Ready", "False", "Recovering", "Waiting for members: mariadb 1/2."),
            condition("Available", "True"),
            condition("QuorumAtRisk", "True", "NoMemberToSpare", "No member to spare: [mariadb]."),
            condition("Stalled", "True", "NeedsAttention", "a summary"),
        ],
        "roles": [
            role("mariadb", 1, active="demo-mariadb-0"),
            role("nova-api", 2, message="Its roll waits."),
            role("nova-conductor", 2, model="ActivePassive", active="demo-nova-conductor-1"),
        ],
        "recoveries": [
            recovery("mariadb", members=["demo-mariadb-1"]),
            recovery("mariadb", decisions=["It starts at 7."], served=False, durationSeconds=12),
            *[recovery("rabbitmq", durationSeconds=9)] * 8,
        ],
    },
}
FOUND = Found(
    cloud=CLOUD,
    pods=[
        pod("mariadb", 1, ready=False, restarts=3),
        pod("mariadb", 0),
        pod("nova-conductor", 0),
        pod("nova-conductor", 1),
    ],
    pools=[
        {
            "kind": "ComputePool",
            "metadata": {"name": "compute"},
            "spec": {"controller": "demo"},
            "status": {"nodes": 3, "ready": 2, "conditions": [condition("Ready", "True")]},
        },
        {"kind": "ComputePool", "metadata": {"name": "o"}, "spec": {"controller": "other"}},
    ],
    policies=[
        {"kind": "BackupPolicy", "metadata": {"name": "nightly"}, "spec": {"controller": "demo"}}
    ],
    restores=[
        {
            "metadata": {"name": "back", "generation": 1},
            "spec": {"backup": "nightly-1"},
            "status": {
                "controller": "demo",
                "phase": "Stop",
                "phases": [{"name": "Stop", "startedAt": "2026-01-01T00:00:00Z"}],
                "conditions": [condition("Ready", "False", "RestoreRunning", "Stop: [pods].")],
            },
        }
    ],
    unreadable=["You may not read Pods."],
)
TREE = """\
!! openstack/demo 2025.1  Recovering: Waiting for members: mariadb 1/2.
├── QuorumAtRisk NoMemberToSpare since 2026-01-01T00:00:00Z: No member to spare: [mariadb].
├── not shown You may not read Pods.
├── !! mariadb 1/2 ActiveActive
│   ├── ok demo-mariadb-0 writer on node-0
│   └── !! demo-mariadb-1 standby on node-1 3 restarts
├── nova
│   ├── ok nova-api 2/2 ActiveActive
│   │   └── Its roll waits.
│   └── ok nova-conductor 2/2 ActivePassive
│       ├── ok demo-nova-conductor-0 standby on node-0
│       └── ok demo-nova-conductor-1 active on node-1
├── last recoveries
│   ├── mariadb under way, served 2026-01-01T00:00:00Z demo-mariadb-1
│   ├── mariadb took 12 s, did not serve 2026-01-01T00:00:00Z
│   │   └── It starts at 7.
│   └── rabbitmq took 9 s, served 2026-01-01T00:00:00Z
├── ok ComputePool compute: 2 of 3 nodes serve, 0 instances
├── ?? BackupPolicy nightly: no verified backup yet
└── .. Restore back of nightly-1: Stop since 2026-01-01T00:00:00Z: [pods].
"""


def drawn(found: Found, width: int = 160) -> str:
    """Return a cloud's tree as it is printed without a terminal."""
    console = Console(width=width, highlight=False, color_system=None)
    with console.capture() as captured:
        console.print(draw(view_of(found)))
    return "\n".join(line.rstrip() for line in captured.get().splitlines()) + "\n"


def test_the_tree_names_what_is_wrong_first_and_every_member() -> None:
    assert drawn(FOUND) == TREE


@pytest.mark.parametrize("width", [30, 60])
def test_a_narrow_terminal_loses_no_name(width: int) -> None:
    text = "".join(drawn(FOUND, width).split()).replace("│", "")
    for name in ("demo-mariadb-1", "demo-nova-conductor-1", "nightly", "NoMemberToSpare"):
        assert name in text


def test_a_cloud_that_was_never_reconciled_is_shown() -> None:
    new = {**CLOUD, "status": {}}
    assert "The operator has not reported yet." in drawn(Found(cloud=new))


def test_json_has_the_same_in_a_stable_form() -> None:
    found = json.loads(dump(view_of(FOUND)))
    assert found["ready"] == "False"
    assert [trouble["condition"] for trouble in found["troubles"]] == ["QuorumAtRisk"]
    database = found["roles"][0]
    assert (database["service"], database["members"][0]["part"]) == ("mariadb", "writer")
    assert database["members"][1] == {
        "pod": "demo-mariadb-1",
        "node": "node-1",
        "ready": False,
        "part": "standby",
        "restarts": 3,
    }
    assert [item["name"] for item in found["dependents"]] == ["compute", "nightly"]
    assert found["restores"] == [
        {
            "name": "back",
            "recovery_set": "nightly-1",
            "phase": "Stop",
            "since": "2026-01-01T00:00:00Z",
            "waits": "[pods].",
            "stands": False,
        }
    ]
    assert len(found["recoveries"]) == 10
    assert found["recoveries"][1] == {
        "role": "mariadb",
        "members": [],
        "decisions": ["It starts at 7."],
        "served": False,
        "started": "2026-01-01T00:00:00Z",
        "seconds": 12,
    }
