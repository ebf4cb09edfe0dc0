"""What make demo prints when its guest does not serve."""

from types import SimpleNamespace
from typing import Any

from lab import diagnosis
from lab.errors import LabError
from lab.install import why_waiting
from lab.kubectl import Object

ID = "7f3a"
FAULT = {
    "code": 500,
    "message": "Exhausted all hosts available for retrying build failures",
    "details": "Traceback\n  ...\nnova.exception.MaxRetriesExceeded: Exhausted all hosts",
}
LOG = f"""\
2026-01-01 10:00:00.1 1 INFO nova.compute.manager [instance: {ID}] Claim successful
2026-01-01 10:00:01.1 1 ERROR nova.compute.manager [instance: {ID}] libvirtError: no KVM module
2026-01-01 10:00:02.1 1 ERROR nova.compute.manager [instance: other] libvirtError: another
"""
EVENTS = {
    "action": "create",
    "events": [
        {"event": "conductor_schedule", "result": "Success", "host": "c"},
        {
            "event": "compute__do_build_and_run_instance",
            "result": "Error",
            "host": "node-1",
            "traceback": "  File x\nlibvirt.libvirtError: Could not access KVM kernel module\n",
        },
    ],
}


def server(**changes: Any) -> SimpleNamespace:
    known = {
        "id": ID,
        "status": "ERROR",
        "task_state": None,
        "power_state": 0,
        "compute_host": None,
        "instance_name": "instance-00000001",
        "fault": FAULT,
    }
    return SimpleNamespace(**(known | changes))


def node(name: str, *conditions: dict[str, str]) -> dict[str, Any]:
    status = {"state": "Ready", "virtType": "kvm", "virtReason": "a probe guest ran under KVM"}
    return {"metadata": {"name": name}, "status": status | {"conditions": list(conditions)}}


READY = {"type": "Ready", "status": "True", "reason": "AsDesired"}
FAILING = {"type": "GuestsFailing", "status": "True", "reason": "BuildsFail", "message": "no KVM"}


class Cluster:
    """kubectl of a cluster with one compute node."""

    namespace = "openstack"

    def __init__(self, broken: str = "") -> None:
        self._broken = broken

    def items(self, kind: str, selector: str = "") -> list[dict[str, Any]]:
        if kind == "computenode":
            return [node("node-1", READY, FAILING)]
        name = selector.partition("=")[2]
        return [{"metadata": {"name": f"compute-{name}-x"}, "spec": {"nodeName": "node-1"}}]

    def run(self, *arguments: str) -> str:
        if arguments[0] == self._broken:
            raise LabError("no such pod")
        if arguments[0] == "logs":
            return LOG
        return "paused (unknown)" if "virsh" in arguments else "KVM internal error. Suberror: 1"


class Nova:
    """The cloud's compute API with one server."""

    def __init__(self, found: SimpleNamespace | None) -> None:
        self.compute = self
        self._found = found

    def servers(self, name: str) -> list[SimpleNamespace]:
        assert name == "^guest$"
        return [self._found] if self._found else []

    def get(self, path: str, microversion: str) -> SimpleNamespace:
        assert microversion == diagnosis.MICROVERSION
        whole: dict[str, Any] = (
            {"instanceAction": EVENTS}
            if path.endswith("/req-1")
            else {"instanceActions": [{"request_id": "req-1"}]}
        )
        return SimpleNamespace(status_code=200, json=lambda: whole)


def explained(found: SimpleNamespace | None, broken: str = "") -> LabError:
    cluster: Any = Cluster(broken)
    nova: Any = Nova(found)
    return diagnosis.explain(LabError("nova gave up on the guest"), cluster, nova, "guest")


def test_a_guest_that_nova_gave_up_is_shown_with_the_faults_of_its_hosts() -> None:
    error = explained(server())
    assert error.what == "nova gave up on the guest"
    for expected in (
        "fault 500: Exhausted all hosts",
        "create: compute__do_build_and_run_instance on node-1: libvirt.libvirtError: Could not",
        "node-1: 2026-01-01 10:00:01.1 1 ERROR nova.compute.manager [instance: 7f3a] libvirtError",
        "GuestsFailing=True BuildsFail: no KVM",
        "node-1: Ready; kvm, a probe guest ran under KVM",
    ):
        assert expected in error.detail
    assert "another" not in error.detail
    assert "logs -l app.kubernetes.io/name=nova-compute -c nova-compute" in error.remedy
    assert error.remedy.endswith(f"grep {ID}")


def test_a_guest_that_says_nothing_is_shown_with_libvirts_state_and_qemus_log() -> None:
    error = explained(server(status="ACTIVE", compute_host="node-1", fault=None, power_state=3))
    assert "ACTIVE, task none, power paused, host node-1" in error.detail
    assert "paused (unknown) on node-1" in error.detail
    assert "KVM internal error. Suberror: 1" in error.detail
    assert "/var/log/libvirt/qemu/instance-00000001.log" in error.remedy


def test_what_cannot_be_read_hides_nothing_else() -> None:
    error = explained(server(), broken="logs")
    assert "could not be read: no such pod" in error.detail
    assert "fault 500" in error.detail


def test_a_guest_that_was_never_made_is_shown_with_the_nodes() -> None:
    error = explained(None)
    assert "node-1: Ready" in error.detail
    assert error.remedy.endswith("describe computenode")


def test_a_pool_that_is_not_ready_is_shown_with_its_nodes() -> None:
    cluster: Any = Cluster()
    error = diagnosis.explain_pool(LabError("Ready did not come true", detail="seen"), cluster)
    assert error.detail.startswith("seen\nComputeNodes:\n  node-1: Ready; kvm")


def test_a_replica_that_cannot_start_is_named_with_its_reason() -> None:
    def pod(name: str, **waiting: str) -> Object:
        statuses = [{"name": "operator", "state": {"waiting": waiting} if waiting else {}}]
        return {"metadata": {"name": name}, "status": {"containerStatuses": statuses}}

    pods = [
        pod("a", reason="ImagePullBackOff", message='Back-off pulling image "operator:1"'),
        pod("b", reason="ContainerCreating"),
        pod("c"),
        {"metadata": {"name": "d"}, "status": {}},
    ]
    assert why_waiting(pods) == ['a: ImagePullBackOff: Back-off pulling image "operator:1"']
