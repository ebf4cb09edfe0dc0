"""A roll of the data plane: one node at a time, each after the one before carries traffic."""

from dataclasses import replace

import pytest

from stackroles.agents.compute.node_protocol import DataPlane
from stackroles.domains.compute.rolling import NodePlane, next_step, troubles_of


def carrying(number: int, of: int = 3) -> DataPlane:
    ends = tuple(f"10.0.0.{n}" for n in range(1, of + 1) if n != number)
    return DataPlane(
        controller="connected",
        flows=500,
        settled=True,
        ports=2,
        address=f"10.0.0.{number}",
        tunnels=ends,
    )


def fleet(**changes: NodePlane) -> dict[str, NodePlane]:
    nodes = {f"n{n}": NodePlane(report=carrying(n), seen_at=1) for n in (1, 2, 3)}
    return nodes | changes


def old(number: int, **changes: object) -> NodePlane:
    plane = NodePlane(
        outdated=(f"switch-{number}", f"ovn-{number}"), report=carrying(number), seen_at=1
    )
    return replace(plane, **changes)  # type: ignore[arg-type]


def test_all_former_pods_of_one_node_are_replaced_together_and_no_other_nodes() -> None:
    step = next_step(fleet(n1=old(1), n2=old(2)))
    assert (step.node, step.pods, step.left) == ("n1", ("switch-1", "ovn-1"), ("n1", "n2"))


def test_tunnels_that_a_report_leaves_out_may_be_there() -> None:
    cut = replace(carrying(1), tunnels=("10.0.0.2",), omitted={"tunnels": 1})
    assert next_step(fleet(n1=replace(old(1), report=cut), n2=old(2))).node == "n1"
    none = replace(cut, tunnels=())
    assert "no tunnel" in next_step(fleet(n1=NodePlane(report=none, seen_at=1), n2=old(2))).waits


def test_nothing_is_done_where_nothing_is_outdated() -> None:
    assert next_step(fleet(n1=NodePlane(pending="its openvswitch is not ready"))).left == ()


@pytest.mark.parametrize(
    ("report", "why"),
    [
        (None, "node-agent does not answer"),
        (replace(carrying(1), switch_error="ovs-vswitchd does not run"), "does not run"),
        (replace(carrying(1), controller="not connected"), "ovn-controller is not connected"),
        (replace(carrying(1), settled=False), "flows still change"),
        (replace(carrying(1), idle_ports=("tap1",)), "tap1 of 2 ports have no flows"),
        (replace(carrying(1), tunnels=("10.0.0.2",)), "no tunnel to 10.0.0.3"),
        (replace(carrying(1), silent_networks=("net-a",)), "no metadata proxy answers in net-a"),
    ],
)
def test_the_next_node_waits_until_the_one_before_carries_traffic(
    report: DataPlane | None, why: str
) -> None:
    step = next_step(fleet(n1=NodePlane(report=report, seen_at=1), n2=old(2)))
    assert step.pods == ()
    assert step.waits.startswith("n1: ")
    assert why in step.waits


def test_what_was_seen_before_the_pods_were_ready_proves_nothing() -> None:
    early = NodePlane(report=carrying(1), ready_since=50, seen_at=50)
    assert "has not reported since" in next_step(fleet(n1=early, n2=old(2))).waits
    assert next_step(fleet(n1=replace(early, seen_at=51), n2=old(2))).node == "n2"


def test_pods_that_are_ready_are_waited_for_too() -> None:
    step = next_step(fleet(n1=NodePlane(pending="its openvswitch is not ready"), n2=old(2)))
    assert step.waits == "n1: its openvswitch is not ready"


def test_a_node_in_trouble_is_replaced_first_when_all_others_carry_traffic() -> None:
    cut = old(2, report=replace(carrying(2), controller="not connected"))
    assert next_step(fleet(n1=old(1), n2=cut)).node == "n2"
    assert next_step(fleet(n1=old(1), n2=old(2, report=None))).node == "n2"


def test_what_troubles_several_nodes_replaces_none() -> None:
    """While OVN's database was away every node was in trouble, and two were replaced at once."""
    cut = {f"n{n}": old(n, report=replace(carrying(n), controller="not connected")) for n in (1, 2)}
    step = next_step(fleet(**cut))
    assert step.pods == ()
    assert step.waits == "n2: ovn-controller is not connected"


def test_no_node_is_replaced_while_another_is_on_its_way() -> None:
    troubled = old(1, report=replace(carrying(1), settled=False))
    step = next_step(fleet(n1=troubled, n2=NodePlane(pending="its openvswitch is not ready")))
    assert step.pods == ()


def test_a_pod_that_will_not_become_ready_has_nothing_to_lose() -> None:
    stuck = old(2, stuck=("ovn-2",), pending="its ovn-controller is not ready")
    step = next_step(fleet(n1=NodePlane(pending="its openvswitch is not ready"), n2=stuck))
    assert (step.node, step.pods) == ("n2", ("ovn-2",)), "the node's switch goes on"


def test_a_machine_that_is_off_neither_rolls_nor_holds_up_others() -> None:
    off = old(1, online=False, report=None, pending="its openvswitch is not ready")
    step = next_step(fleet(n1=off, n2=old(2)))
    assert (step.node, step.left) == ("n2", ("n2",))
    assert not troubles_of(fleet(n1=off))
