"""What a node's agent reports, as far as no kernel is needed."""

import json
import logging
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from stackroles.agents import wire
from stackroles.agents.compute import builds, data_plane, domains, probe_guest, report_size
from stackroles.agents.compute.node_protocol import (
    INSTANCES_LIMIT,
    TUNNELS_LIMIT,
    BuildFailure,
    DataPlane,
    Domain,
    NodeReport,
)
from stackroles.reconcile import pod_http

# As virsh 11.3 prints them.
NAMES = " 3b0f instance-00000001\n 9c21 instance-00000002\n a001 instance-00000003\n\n"
STATES = """Domain: 'instance-00000001'
  state.state=1
  state.reason=1

Domain: 'instance-00000002'
  state.state=3
  state.reason=0

Domain: 'instance-00000003'
  state.state=5
  state.reason=3
"""


# As agents answered before the form of a report was read by its types; kept as it came.
OLD_REPORT: dict[str, Any] = {
    "at": 9,
    "data_plane": {
        "switch_error": "", "controller": "connected", "flows": 7, "settled": True, "ports": 2,
        "idle_ports": ["tap1"], "address": "10.0.0.1", "tunnels": ["10.0.0.2"],
        "silent_networks": [],
    },
    "domains": [{"uuid": "u", "state": "paused", "reason": "I/O error", "since": 5}],
    "libvirt_error": "",
    "build_failures": [{"at": 1, "instance": "i", "fault": "f"}],
}  # fmt: skip


def test_the_report_of_an_older_agent_is_read_and_its_keys_are_still_said() -> None:
    report = wire.loads(NodeReport, json.dumps(OLD_REPORT))

    assert report == NodeReport(
        data_plane=DataPlane(
            controller="connected", settled=True, ports=2, idle_ports=("tap1",),
            address="10.0.0.1", tunnels=("10.0.0.2",),
        ),
        domains=(Domain(uuid="u", state="paused", reason="I/O error", since=5),),
        build_failures=(BuildFailure(at=1, instance="i", fault="f"),),
    )  # fmt: skip
    assert (report.at, report.data_plane.flows) == (9, 7)
    assert wire.encode(report) == OLD_REPORT | {
        "data_plane": OLD_REPORT["data_plane"] | {"omitted": {}},
        "domains_omitted": 0,
    }


@pytest.mark.parametrize("missing", sorted(OLD_REPORT))
def test_half_a_report_is_none(missing: str) -> None:
    half = {name: value for name, value in OLD_REPORT.items() if name != missing}

    with pytest.raises(wire.WireError, match=f"it has no {missing}"):
        wire.loads(NodeReport, json.dumps(half))


def test_guests_are_known_by_nova_s_uuid_with_libvirt_s_reason() -> None:
    found = domains.parse(NAMES, STATES)
    assert [(d.uuid, d.state, d.reason) for d in found] == [
        ("3b0f", "running", ""),
        ("9c21", "paused", "no reason given: QEMU stopped it"),
        ("a001", "crashed", "its QEMU ended"),
    ]


def test_the_probe_guest_is_no_instance() -> None:
    assert domains.PROBE_GUEST == probe_guest.NAME
    names = NAMES.replace("instance-00000001", probe_guest.NAME)
    states = STATES.replace("instance-00000001", probe_guest.NAME)
    assert [d.uuid for d in domains.parse(names, states)] == ["9c21", "a001"]


def test_the_time_of_a_state_is_that_at_which_it_was_first_seen() -> None:
    first = domains.since(domains.parse(NAMES, STATES), (), 100.0)
    again = domains.since(domains.parse(NAMES, STATES), first, 200.0)
    assert again == first
    changed = domains.parse(NAMES, STATES.replace("state.state=1", "state.state=3"))
    assert [d.since for d in domains.since(changed, again, 300.0)] == [300, 100, 100]


# What an answer takes most of: quotes are escaped, and other letters take several bytes.
@pytest.mark.parametrize("letter", ["x", '"', "\u00e9", "\U0001f600", "\x01", "\ud800"], ids=ascii)
def test_the_largest_report_is_one_that_the_operator_reads(letter: str) -> None:
    text, many = letter * 600, range(1000)
    plane = DataPlane(
        switch_error=text,
        controller=text,
        address=text,
        idle_ports=tuple(f"{number}{text}" for number in many),
        tunnels=tuple(f"fd00:1234:5678:9abc:def0:1234:5678:{number:04x}" for number in many),
        silent_networks=(text,) * 1000,
    )
    reason = max((*domains._PAUSED.values(), "no reason given: QEMU stopped it"), key=len)
    report = NodeReport(
        at=4102444800,
        data_plane=plane,
        domains=tuple(
            Domain(uuid=str(UUID(int=number)), state="shut off", reason=reason, since=4102444800)
            for number in many
        ),
        libvirt_error=text,
        build_failures=(BuildFailure(at=4102444800, instance=text, fault=text),) * 30,
    )

    answer = report_size.to_answer(report)

    assert len(answer) <= pod_http._LARGEST
    read = wire.loads(NodeReport, answer.decode(errors="replace"))
    assert (len(read.domains), read.domains_omitted) == (INSTANCES_LIMIT, 1000 - INSTANCES_LIMIT)
    assert read.data_plane.omitted == {
        "idle_ports": 980, "tunnels": 1000 - TUNNELS_LIMIT, "silent_networks": 980,
    }  # fmt: skip
    assert all(failure.fault for failure in read.build_failures)


def test_a_report_that_fits_is_answered_as_it_is() -> None:
    report = wire.loads(NodeReport, json.dumps(OLD_REPORT))
    assert wire.loads(NodeReport, report_size.to_answer(report)) == report


def event(kind: str, **payload: object) -> str:
    return json.dumps({"event_type": kind, "payload": payload})


def test_failed_builds_are_counted_until_one_succeeds(tmp_path: Path) -> None:
    file = tmp_path / "builds.json"
    recorder = builds.Recorder(file, clock=lambda: 5.0)

    def notify(text: str) -> None:
        recorder.emit(logging.makeLogRecord({"msg": text, "args": ()}))

    raised = "libvirtError('no emulator')"
    failed = {"instance_id": "i1", "message": "libvirtError", "exception": raised, "code": 500}
    notify(event(builds.FAILED, **failed))
    notify(event(builds.FAILED, **failed))
    assert builds.read(file) == (BuildFailure(at=5, instance="i1", fault=raised),) * 2
    notify(event(builds.FAILED, instance_id="i2", message="Image is unacceptable", code=400))
    notify(event("compute.instance.delete.end"))
    assert len(builds.read(file)) == 2, "a fault of the request, and another notification"
    notify(event(builds.ENDED, instance_id="i3"))
    assert builds.read(file) == ()


def test_a_file_of_another_form_counts_nothing(tmp_path: Path) -> None:
    file = tmp_path / "builds.json"
    assert builds.read(file) == ()
    file.write_text("{")
    assert builds.read(file) == ()


def test_ports_tunnels_and_flows_are_read_from_what_the_tools_print() -> None:
    rows = [
        ["tap1", "", 5, ["map", [["iface-id", "p1"]]], ["map", []]],
        ["tap2", "", ["set", []], ["map", [["iface-id", "p2"]]], ["map", []]],
        ["tap3", "", -1, ["map", [["iface-id", "p3"]]], ["map", []]],
        ["ovn-a", "geneve", 2, ["map", []], ["map", [["remote_ip", "10.0.0.2"]]]],
        ["ovn-b", "geneve", -1, ["map", []], ["map", [["remote_ip", "10.0.0.3"]]]],
        ["br-int", "internal", 65534, ["map", []], ["map", []]],
    ]
    assert data_plane.ports_of({"data": rows}) == ({"tap1": 5, "tap2": 0}, ("10.0.0.2",))
    flows = " cookie=0x1, table=0, priority=100,in_port=5 actions=...\n cookie=0x2, in_port=12\n"
    assert data_plane.in_ports(flows) == {"5", "12"}
    text = "NXST_AGGREGATE reply (xid=0x4): packet_count=1 byte_count=2 flow_count=812"
    assert data_plane.count_flows(text) == 812


def test_flows_are_settled_when_they_are_about_as_many_as_before() -> None:
    assert data_plane.is_settled(800, 800)
    assert data_plane.is_settled(800, 810)
    assert not data_plane.is_settled(800, 300)
    assert not data_plane.is_settled(0, 0)
