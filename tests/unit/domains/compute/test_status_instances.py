"""Instances as nova and as libvirt know them."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from stackroles.agents.compute.node_protocol import BuildFailure, Domain, NodeReport
from stackroles.api.v1alpha1.compute import InstanceStates
from stackroles.domains.compute.status_instances import (
    Instance,
    assess_guests,
    count_domains,
    count_nova,
    differences,
)

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
LONG_AGO = int(NOW.timestamp()) - 600
ONE = Instance(uuid="u1", name="web", status="ACTIVE")
RUNNING = Domain(uuid="u1", state="running", since=LONG_AGO)


def test_instances_are_counted_by_state_on_both_sides() -> None:
    nova = count_nova([ONE, replace(ONE, status="SHUTOFF"), replace(ONE, status="BUILD")])
    assert (nova.running, nova.shut_off, nova.other) == (1, 1, 1)
    libvirt = count_domains([RUNNING, replace(RUNNING, state="paused")])
    assert (libvirt.running, libvirt.paused, libvirt.crashed) == (1, 1, 0)


def test_a_guest_that_paused_by_itself_is_named_with_libvirts_reason() -> None:
    paused = replace(RUNNING, state="paused", reason="no reason given: QEMU stopped it")
    assert differences([ONE], [paused], NOW) == (
        "web (u1): nova says ACTIVE, libvirt says paused (no reason given: QEMU stopped it)",
    )


@pytest.mark.parametrize(
    ("instance", "domain"),
    [
        (ONE, RUNNING),
        (ONE, replace(RUNNING, state="paused", since=int(NOW.timestamp()) - 5)),
        (replace(ONE, task="rebooting"), replace(RUNNING, state="shut off")),
        (replace(ONE, status="SHUTOFF"), replace(RUNNING, state="crashed")),
        (replace(ONE, status="BUILD"), replace(RUNNING, state="paused")),
        (replace(ONE, status="SHUTOFF"), None),
    ],
)
def test_what_agrees_or_is_under_way_is_no_difference(
    instance: Instance, domain: Domain | None
) -> None:
    assert differences([instance], [domain] if domain else [], NOW) == ()


def test_what_only_one_of_the_two_knows_is_named() -> None:
    assert differences([ONE], [], NOW) == ("web (u1): nova says ACTIVE, libvirt does not have it",)
    assert differences([], [RUNNING], NOW) == (
        "u1: nova has no such instance here, libvirt has it running",
    )


def test_of_guests_that_a_report_leaves_out_nothing_is_said() -> None:
    assert differences([ONE], [], NOW, whole=False) == ()
    assert count_domains([RUNNING], omitted=3) == InstanceStates(running=1, other=3)


def test_the_condition_names_host_and_fault() -> None:
    failures = [BuildFailure(at=1, instance="i", fault="libvirtError('no emulator')")]
    report = NodeReport()
    finding = assess_guests("n1", failures, "libvirtError('no emulator')", report, ())
    assert finding.reason == "BuildsFail"
    assert "failed on n1" in finding.message
    assert "no emulator" in finding.message
    assert "disabled" in finding.message
    assert "kubectl annotate computenode n1 stackroles.io/probe=" in finding.message
    assert assess_guests("n1", failures, "", report, ()).reason == "BuildsFail"
    assert assess_guests("n1", (), "", report, ["web: ..."]).reason == "GuestsDiffer"
    assert assess_guests("n1", (), "", None, ()).reason == "GuestsUnknown"
    silent = replace(report, libvirt_error="no socket")
    assert assess_guests("n1", (), "", silent, ()).reason == "GuestsUnknown"
    assert assess_guests("n1", (), "", report, ()).reason == "GuestsRun"
