"""Probe guests on request: which node runs one, and what follows."""

import copy
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from stackroles.agents import wire
from stackroles.agents.compute.probe_protocol import ProbeReport
from stackroles.constants import ANNOTATION_PROBE
from stackroles.domains.compute.probing import differs, is_answered, unanswered
from tests.support.pool_world import World, pool_world, serving

KVM = ProbeReport(virt_type="kvm", cpu_mode="host-model", machine_type="pc")
QEMU = ProbeReport(virt_type="qemu", cpu_mode="none", machine_type="pc")


def node(annotation: str = "", own: str = "") -> dict[str, Any]:
    annotations = {ANNOTATION_PROBE: annotation} if annotation else {}
    return {"metadata": {"annotations": annotations}, "status": {"guestProbe": own or None}}


def answering(request: str) -> ProbeReport:
    return ProbeReport(virt_type="kvm", request=request)


@pytest.mark.parametrize(
    ("asked", "answered", "due"),
    [
        (node(), "", ""),
        (node("1"), "", "1"),
        (node("1"), "1", ""),
        (node("2"), "1", "2"),
        (node("1", "failing"), "1", "1+failing"),
        (node("1", "failing"), "1+failing", ""),
        # The operator's own request is withdrawn once the host is open again.
        (node("1"), "1+failing", ""),
        (node("", "failing"), "1", "failing"),
    ],
)
def test_a_request_is_due_until_it_is_answered(
    asked: dict[str, Any], answered: str, due: str
) -> None:
    assert unanswered(asked, answering(answered)) == due


def test_a_node_that_is_about_to_probe_needs_no_request() -> None:
    assert unanswered(node("1"), None) == ""


@pytest.mark.parametrize("request_", ["a+b", "x" * 300])
def test_a_request_of_any_form_is_answered(request_: str) -> None:
    due = unanswered(node(request_), answering(""))
    assert 0 < len(due) <= 63
    assert is_answered(request_, answering(due))
    assert unanswered(node(request_), answering(due)) == ""


def test_nova_is_outdated_by_another_proof_only() -> None:
    assert differs(KVM, QEMU)
    assert not differs(KVM, KVM)
    assert not differs(KVM, None)
    assert not differs(None, QEMU)
    failed = ProbeReport(virt_type="qemu", proven=False)
    assert not differs(KVM, failed), "nothing was proven that nova could use"


@pytest.fixture
async def world() -> AsyncIterator[World]:
    async with pool_world() as made:
        yield made


def jobs(world: World) -> list[dict[str, Any]]:
    found = (world.api.get("jobs", "ns", j["metadata"]["name"]) for j in probe_jobs(world))
    return [job for job in found if job]


def probe_jobs(world: World) -> list[dict[str, Any]]:
    labelled = ((j, j["metadata"]["labels"]) for j in world.cluster.list("Job", "ns"))
    return [j for j, labels in labelled if "probe" in labels["stackroles.io/step"]]


def ask(world: World, name: str, request: str) -> None:
    stored = copy.deepcopy(world.api.get("computenodes", "ns", name))
    assert stored is not None
    stored["metadata"].setdefault("annotations", {})[ANNOTATION_PROBE] = request
    world.store(stored)


def end(world: World, job: dict[str, Any], report: ProbeReport) -> None:
    """Let the Job's pod end with a report."""
    ended = {"terminated": {"exitCode": 0, "message": wire.dumps(report)}}
    owner = {"kind": "Job", "name": job["metadata"]["name"], "uid": job["metadata"]["uid"]}
    world.store(
        {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {
                "name": f"{job['metadata']['name']}-x",
                "namespace": "ns",
                "labels": job["metadata"]["labels"],
                "ownerReferences": [owner],
            },
            "spec": {"nodeName": job["spec"]["template"]["spec"]["nodeName"]},
            "status": {
                "phase": "Succeeded",
                "containerStatuses": [{"name": "virt-probe", "state": ended}],
            },
        }
    )


async def test_a_node_that_is_asked_runs_its_probe_guest_in_a_job_of_its_own(
    world: World,
) -> None:
    await serving(world, "n1", "n2")
    assert jobs(world) == []
    for name in ("n1", "n2"):
        ask(world, name, "r1")
    await world.settle()
    found = jobs(world)
    assert sorted(j["spec"]["template"]["spec"]["nodeName"] for j in found) == ["n1", "n2"]
    pod = found[0]["spec"]["template"]["spec"]
    assert pod["tolerations"] == [{"operator": "Exists"}]
    (container,) = pod["containers"]
    assert container["command"][-2:] == ["stackroles.agents.compute.virt_probe", "again"]
    assert {"name": "PROBE_REQUEST", "value": "r1"} in container["env"]
    template = world.api.get("daemonsets", "ns", "pool-nova-compute")
    assert template is not None
    volumes = template["spec"]["template"]["spec"]["volumes"]
    held = [v["configMap"]["name"] for v in volumes if "configMap" in v]
    assert sorted(held) == sorted(
        v["configMap"]["name"] for v in pod["volumes"] if "configMap" in v
    )


async def test_an_answer_is_kept_and_another_outcome_restarts_nova_compute(world: World) -> None:
    at = "2026-01-01T00:00:0{}+00:00"
    await serving(world, "n1")
    first = ProbeReport(virt_type="kvm", cpu_mode="host-model", probed_at=at.format(1))
    world.pod("n1", "nova-compute", report=wire.dumps(first))
    ask(world, "n1", "r1")
    await world.settle()
    (job,) = jobs(world)
    same = ProbeReport(virt_type="kvm", cpu_mode="host-model", probed_at=at.format(2), request="r1")
    end(world, job, same)
    await world.settle()
    found = world.cluster.get("ComputeNode", "ns", "n1")
    assert found is not None
    assert (found["status"]["probeRequest"], found["status"]["virtType"]) == ("r1", "kvm")
    assert world.api.get("pods", "ns", "pool-nova-compute-n1") is not None
    ask(world, "n1", "r2")
    await world.settle()
    (job,) = jobs(world)
    other = ProbeReport(virt_type="qemu", cpu_mode="none", probed_at=at.format(3), request="r2")
    end(world, job, other)
    await world.settle()
    assert world.api.get("pods", "ns", "pool-nova-compute-n1") is None
    assert world.api.get("pods", "ns", "pool-libvirt-n1") is not None


async def test_a_host_on_which_no_probe_guest_ran_is_closed_before_it_is_mapped(
    world: World,
) -> None:
    world.controller()
    world.node("n1")
    world.declare()
    await world.reconcile()
    failed = {"virtType": "kvm", "proven": False, "virtReason": "KVM: emulation failure"}
    world.serve("n1")
    world.pod("n1", "nova-compute", report=json.dumps(failed))
    host = world.nova.hosts.pop("n1")
    await world.settle()
    world.nova.hosts["n1"] = host
    await world.polls.tick()
    await world.reconcile()
    assert list(world.cluster.list("Job", "ns")) == [], "mapped while it took guests"
    await world.settle()
    assert not world.nova.hosts["n1"].enabled
    assert "KVM: emulation failure" in world.nova.hosts["n1"].reason
    assert len(world.cluster.list("Job", "ns")) == 1
    found = world.cluster.get("ComputeNode", "ns", "n1")
    assert found is not None
    assert found["status"]["state"] == "Enrolling"
    assert world.condition("Ready")[0] == "False"
