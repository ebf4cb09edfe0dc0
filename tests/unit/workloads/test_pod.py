from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from stackroles.workloads.conditions import Finding
from stackroles.workloads.pod import (
    assess_pod,
    default_class_missing,
    failure_message,
    storage_class_missing,
)

Object = dict[str, Any]
NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)


def ago(**passed: float) -> str:
    return (NOW - timedelta(**passed)).isoformat().replace("+00:00", "Z")


def pod(*containers: Object, conditions: tuple[Object, ...] = (), **status: Any) -> Object:
    found = {"phase": "Pending", "conditions": list(conditions), **status}
    return {
        "metadata": {"name": "demo-keystone-0"},
        "status": found | {"containerStatuses": list(containers)},
    }


def container(**fields: Any) -> Object:
    return {"name": "keystone", "image": "r/keystone:1", "restartCount": 0, **fields}


def waiting(reason: str, message: str = "", **fields: Any) -> Object:
    return container(state={"waiting": {"reason": reason, "message": message}}, **fields)


def unscheduled(message: str, since: str, reason: str = "Unschedulable") -> Object:
    return {
        "type": "PodScheduled",
        "status": "False",
        "reason": reason,
        "message": message,
        "lastTransitionTime": since,
    }


@pytest.mark.parametrize("reason", ["ErrImagePull", "ImagePullBackOff", "InvalidImageName"])
def test_image_that_cannot_be_pulled_is_named(reason: str) -> None:
    finding = assess_pod(pod(waiting(reason, "not found")), NOW)
    assert finding is not None
    assert finding.reason == "ImagePullFailed"
    assert "r/keystone:1" in finding.message
    assert "not found" in finding.message


def test_missing_secret_is_reported_in_the_kubelets_message() -> None:
    found = waiting("CreateContainerConfigError", 'secret "demo-keystone-credentials" not found')
    finding = assess_pod(pod(found), NOW)
    assert finding is not None
    assert finding.reason == "ContainerConfigInvalid"
    assert "demo-keystone-credentials" in finding.message


def test_crashing_service_is_quoted() -> None:
    ended = {"exitCode": 1, "reason": "Error", "message": "ERROR: no such option: frobnicate\n"}
    found = waiting("CrashLoopBackOff", restartCount=4, lastState={"terminated": ended})
    finding = assess_pod(pod(found), NOW)
    assert finding is not None
    assert finding.reason == "Crashing"
    assert "no such option: frobnicate" in finding.message
    assert "exit code 1" in finding.message


def test_a_long_termination_message_keeps_its_end() -> None:
    ended = {"exitCode": 1, "message": "start " + "x" * 5000 + " the reason"}
    found = waiting("CrashLoopBackOff", restartCount=4, lastState={"terminated": ended})
    finding = assess_pod(pod(found), NOW)
    assert finding is not None
    assert finding.message.endswith("the reason")
    assert len(finding.message) < 1000


def test_out_of_memory_says_what_to_raise() -> None:
    ended = {"exitCode": 137, "reason": "OOMKilled"}
    found = waiting("CrashLoopBackOff", restartCount=2, lastState={"terminated": ended})
    finding = assess_pod(pod(found), NOW)
    assert finding is not None
    assert "memory limit" in finding.message


def test_first_end_of_a_container_is_not_yet_a_problem() -> None:
    ended = {"exitCode": 1, "message": "database is not there yet"}
    found = container(state={"running": {}}, restartCount=1, lastState={"terminated": ended})
    assert assess_pod(pod(found), NOW) is None


def test_selector_that_matches_no_node_is_reported_in_the_schedulers_message() -> None:
    expected = "0/3 nodes are available: 3 node(s) didn't match Pod's node affinity/selector."
    finding = assess_pod(pod(conditions=(unscheduled(expected, ago(seconds=30)),)), NOW)
    assert finding is not None
    assert finding.reason == "Unschedulable"
    assert expected in finding.message


def test_pod_that_waits_a_moment_for_its_volume_is_no_problem() -> None:
    expected = "pod has unbound immediate PersistentVolumeClaims"
    assert assess_pod(pod(conditions=(unscheduled(expected, ago(seconds=3)),)), NOW) is None


@pytest.mark.parametrize(
    ("expected", "reason"),
    [
        ('storageclass.storage.k8s.io "none" not found', "StorageClassMissing"),
        ("pod has unbound immediate PersistentVolumeClaims", "VolumePending"),
    ],
)
def test_volume_that_does_not_come_is_distinguished(expected: str, reason: str) -> None:
    finding = assess_pod(pod(conditions=(unscheduled(expected, ago(minutes=1)),)), NOW)
    assert finding is not None
    assert finding.reason == reason


@pytest.mark.parametrize("finding", [storage_class_missing("x", "y"), default_class_missing("x")])
def test_advice_about_a_storage_class_leaves_members_that_run_alone(finding: Finding) -> None:
    assert finding.reason == "StorageClassMissing"
    assert "--cascade=orphan" in finding.message


def test_pod_that_runs_for_long_without_getting_ready_is_reported() -> None:
    not_ready = {"type": "Ready", "status": "False", "lastTransitionTime": ago(minutes=20)}
    found = pod(
        container(state={"running": {}}),
        conditions=(not_ready,),
        phase="Running",
        startTime=ago(minutes=20),
    )
    finding = assess_pod(found, NOW)
    assert finding is not None
    assert finding.reason == "NotBecomingReady"


def test_ready_and_leaving_pods_are_well() -> None:
    ready = {"type": "Ready", "status": "True", "lastTransitionTime": ago(minutes=20)}
    loop = waiting("CrashLoopBackOff", restartCount=9, lastState={"terminated": {"exitCode": 1}})
    assert assess_pod(pod(loop, conditions=(ready,)), NOW) is None
    leaving = pod(loop)
    leaving["metadata"]["deletionTimestamp"] = ago(seconds=1)
    assert assess_pod(leaving, NOW) is None


def test_failed_task_is_quoted_with_its_name() -> None:
    found = {
        "metadata": {"name": "p"},
        "status": {
            "phase": "Failed",
            "initContainerStatuses": [
                {
                    "name": "db-sync",
                    "state": {"terminated": {"exitCode": 2, "message": "Access denied\n"}},
                }
            ],
            "containerStatuses": [{"name": "bootstrap", "state": {"waiting": {}}}],
        },
    }
    assert failure_message(found) == "db-sync: exit code 2: Access denied"


def test_a_pod_that_no_kubelet_ends_names_its_node_and_what_to_do() -> None:
    found = pod(container(), phase="Running")
    found["metadata"]["deletionTimestamp"] = ago(minutes=4)
    found["spec"] = {"nodeName": "worker-2"}

    finding = assess_pod(found, NOW)

    assert finding is not None
    assert finding.reason == "NotBecomingReady"
    assert "ended 4 minutes ago" in finding.message
    assert finding.message.endswith("kubectl delete node worker-2")
    found["metadata"]["deletionTimestamp"] = ago(minutes=-4)  # still in its grace period
    assert assess_pod(found, NOW) is None
