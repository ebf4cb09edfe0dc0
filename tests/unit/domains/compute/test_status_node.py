from datetime import UTC, datetime
from typing import Any

import pytest

from stackroles.agents import wire
from stackroles.agents.compute.probe_protocol import ProbeReport
from stackroles.api.v1alpha1.common import Condition, dump
from stackroles.api.v1alpha1.compute import ComputeNodeStatus, ComputePoolStatus
from stackroles.api.v1alpha1.conditions import Reason
from stackroles.api.v1alpha1.fit import fit
from stackroles.domains.compute.status_instances import Instance
from stackroles.domains.compute.status_node import (
    HostFacts,
    ObservedNode,
    assess_node,
    read_report,
)
from stackroles.domains.compute.status_pool import Selection, assess_pool
from stackroles.workloads.conditions import Finding, ObservationTime

NOW = datetime(2026, 1, 1, tzinfo=UTC)
OBSERVED_AT = ObservationTime(generation=1, created=NOW, now=NOW)
ONE = (Instance(uuid="u1", name="one", status="ACTIVE"),)
SERVING = HostFacts(up=True, enabled=True, vcpus=2, memory_mib=512, instances=ONE)
READY_POD = {
    "metadata": {"name": "a"},
    "status": {"conditions": [{"type": "Ready", "status": "True"}]},
}


def node(
    host: HostFacts | None = SERVING,
    mapped: bool = True,
    previous: ComputeNodeStatus | None = None,
    **changes: Any,
) -> ComputeNodeStatus:
    observed = ObservedNode(host=host, pods=[READY_POD], roles=1, mapped=mapped, **changes)
    return assess_node(observed, None, previous or ComputeNodeStatus(), OBSERVED_AT)


def condition(status: ComputeNodeStatus | ComputePoolStatus, kind: str) -> tuple[str, str, str]:
    found = next(c for c in status.conditions if c.type == kind)
    return found.status, found.reason, found.message


def test_a_node_serves_when_nova_and_placement_know_it() -> None:
    status = node()
    assert (status.state, status.service_state, status.instances) == ("Ready", "up, enabled", 1)
    assert condition(status, "Ready")[0] == "True"


@pytest.mark.parametrize(
    ("host", "mapped", "expected"),
    [
        (None, True, "nova does not know the host"),
        (HostFacts(up=False, enabled=True, vcpus=2), True, "service down"),
        (HostFacts(up=True, enabled=False, reason="disk", vcpus=2), True, "disabled in nova: disk"),
        (SERVING, False, "not mapped"),
        (HostFacts(up=True, enabled=True), True, "Placement does not know"),
    ],
)
def test_a_node_that_does_not_serve_says_why(
    host: HostFacts | None, mapped: bool, expected: str
) -> None:
    status = node(host, mapped)
    assert status.state == "Enrolling"
    assert expected in condition(status, "Available")[2]
    assert condition(status, "Ready")[0] == "False"


def test_a_node_that_served_is_unavailable_not_enrolling() -> None:
    assert node(HostFacts(up=False, enabled=True), previous=node()).state == "Unavailable"


def test_a_node_whose_agent_crashes_quotes_it() -> None:
    waiting = {"waiting": {"reason": "CrashLoopBackOff"}}
    ended = {"terminated": {"exitCode": 1, "message": "the node has no interface eth7"}}
    pod = {
        "metadata": {"name": "openvswitch-x"},
        "status": {
            "containerStatuses": [
                {"name": "network", "state": waiting, "lastState": ended, "restartCount": 3}
            ]
        },
    }
    observed = ObservedNode(host=None, pods=[pod], roles=5, mapped=False)
    status = assess_node(observed, None, ComputeNodeStatus(), OBSERVED_AT)
    assert condition(status, "Progressing")[1] == "Crashing"
    assert "no interface eth7" in condition(status, "Progressing")[2]


def test_the_probes_report_is_read_and_outlives_its_pod() -> None:
    ended = {"terminated": {"exitCode": 0, "message": '{"virtType": "kvm", "computeId": "c"}'}}
    pod = {"status": {"initContainerStatuses": [{"name": "virt-probe", "state": ended}]}}
    report = read_report([pod], "virt-probe")
    observed = ObservedNode(host=SERVING, pods=[], roles=0, mapped=True)
    status = assess_node(observed, report, ComputeNodeStatus(), OBSERVED_AT)
    assert (status.virt_type, status.compute_id) == ("kvm", "c")
    assert (status.virt_proven, status.state) == (True, "Ready")
    assert assess_node(observed, None, status, OBSERVED_AT).virt_type == "kvm"


def test_a_node_on_which_no_probe_guest_ran_is_not_ready_with_the_hypervisors_message() -> None:
    failed = ProbeReport(virt_type="kvm", proven=False, reason="KVM: emulation failure")
    observed = ObservedNode(host=SERVING, pods=[READY_POD], roles=1, mapped=True)
    status = assess_node(observed, failed, ComputeNodeStatus(), OBSERVED_AT)
    assert (status.state, status.virt_proven) == ("Enrolling", False)
    assert condition(status, "Available")[:2] == ("False", "ProbeGuestFailed")
    assert "KVM: emulation failure" in condition(status, "Available")[2]
    assert "stackroles.io/probe" in condition(status, "Available")[2]
    assert condition(status, "Ready")[0] == "False"
    # Neither a pod that restarts nor a silent cloud makes up for it.
    later = assess_node(observed, None, status, OBSERVED_AT)
    assert (later.state, later.virt_reason) == ("Enrolling", "KVM: emulation failure")
    proven = ProbeReport(virt_type="kvm", reason="a probe guest ran under KVM")
    assert assess_node(observed, proven, later, OBSERVED_AT).state == "Ready"


def probe_pod(report: ProbeReport, kind: str = "initContainerStatuses") -> dict[str, Any]:
    ended = {"terminated": {"exitCode": 0, "message": wire.dumps(report)}}
    return {"status": {kind: [{"name": "virt-probe", "state": ended}]}}


def test_the_newest_of_a_nodes_reports_counts() -> None:
    at = "2026-01-01T00:00:0{}+00:00"
    first = ProbeReport(virt_type="kvm", probed_at=at.format(1))
    asked = ProbeReport(virt_type="qemu", probed_at=at.format(2), request="r1")
    pods = [probe_pod(asked, "containerStatuses"), probe_pod(first)]
    assert read_report(pods, "virt-probe") == asked
    assert read_report(pods[1:], "virt-probe") == first


@pytest.mark.parametrize("message", ["", "not json", "[1]", "{}", '{"virtType": 1}'])
def test_a_report_that_is_none_is_left_out(message: str) -> None:
    ended = {"terminated": {"exitCode": 0, "message": message}}
    pod = {"status": {"initContainerStatuses": [{"name": "virt-probe", "state": ended}]}}
    assert read_report([pod], "virt-probe") is None


def pool(selection: Selection, **nodes: ComputeNodeStatus) -> ComputePoolStatus:
    return assess_pool(
        selection,
        nodes,
        reconciled=Finding(Reason.APPLIED),
        progressing=None,
        rolling=None,
        libvirt=Finding(Reason.LIBVIRT_UPDATED),
        previous=ComputePoolStatus(),
        observed_at=OBSERVED_AT,
    )


def test_a_pools_numbers_are_those_of_its_serving_nodes() -> None:
    status = pool(Selection(selected=2), n1=node(), n2=node(HostFacts(up=False, enabled=True)))
    assert (status.nodes, status.ready, status.vcpus, status.instances) == (2, 1, 2, 1)
    assert status.unhealthy == ("n2",)


def test_a_status_names_fifty_unhealthy_nodes_and_counts_the_others() -> None:
    nodes = {f"n{number:03}": node(None) for number in range(80)}
    status = pool(Selection(selected=80), **nodes)
    written = fit("ComputePool", dump(status))
    assert len(written["unhealthy"]) == 50
    assert written["omitted"] == {"unhealthy": 30}
    assert condition(status, "Ready")[1] == "NodesUnavailable"


def test_a_pool_without_nodes_says_what_to_change() -> None:
    _, reason, message = condition(pool(Selection(selected=0)), "Ready")
    assert reason == "NoNodes"
    assert "spec.nodeSelector" in message


def test_a_pool_repeats_what_holds_a_node_up() -> None:
    waiting = {"waiting": {"reason": "ImagePullBackOff", "message": "not found"}}
    pod = {
        "metadata": {"name": "x"},
        "status": {"containerStatuses": [{"name": "libvirt", "image": "i", "state": waiting}]},
    }
    held = assess_node(
        ObservedNode(host=None, pods=[pod], roles=5, mapped=False),
        None,
        ComputeNodeStatus(),
        OBSERVED_AT,
    )
    status = pool(Selection(selected=1), n1=held)
    _, reason, message = condition(status, "Ready")
    assert reason == "ImagePullFailed"
    assert message.startswith("Node n1: ")
    assert condition(status, "Stalled")[0] == "True"


def test_a_reason_of_another_version_of_the_operator_is_no_error() -> None:
    held = Condition(
        type="Progressing",
        status="False",
        reason="OfAnotherVersion",
        message="broken",
        last_transition_time=NOW,
    )
    one = node(None).model_copy(update={"conditions": (held,)})
    assert condition(pool(Selection(selected=1), one=one), "Progressing") == (
        "False",
        "NotBecomingReady",
        "Node one: broken",
    )


def test_a_node_that_lost_an_agent_is_recovering_and_so_is_its_pool() -> None:
    whole = node()
    observed = ObservedNode(host=SERVING, pods=[READY_POD], roles=2, mapped=True)
    lost = assess_node(observed, None, whole, OBSERVED_AT)
    assert lost.state == "Ready", "guests are served, and nova still takes more"
    assert condition(lost, "Progressing")[1:] == ("Recovering", "1 of 2 agents are ready.")
    status = pool(Selection(selected=2), n1=lost, n2=whole)
    assert status.ready == 2
    _, reason, message = condition(status, "Progressing")
    assert reason == "Recovering"
    assert "n1" in message
    assert "n2" not in message
    assert condition(status, "Ready")[0] == "False"


def test_a_node_that_cannot_be_asked_for_keeps_its_state() -> None:
    status = node(host=None, previous=node(), api_error="keystone refuses the password")
    assert status.state == "Ready"
    assert condition(status, "Available")[:2] == ("Unknown", "NodesUnknown")
    assert "keystone refuses the password" in condition(status, "Ready")[2]
