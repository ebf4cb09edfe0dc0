"""What the members' agents say reaches the cloud's conditions."""

from datetime import UTC, datetime

import pytest

from stackroles.agents.ovsdb.protocol import ClusterView, OvsdbStatus, RaftRole, Server, State
from stackroles.api.v1alpha1.cloud_controller import CloudControllerStatus, RoleStatus
from stackroles.api.v1alpha1.common import ClusteringModel, Condition
from stackroles.api.v1alpha1.conditions import Reason
from stackroles.domains.ovn.status import (
    OvnState,
    Reports,
    assess_databases,
    assess_majority,
    remembered_databases,
)

MODEL = ClusteringModel.ACTIVE_ACTIVE
VIEW = ClusterView(
    cluster_id="dff2e511-204a-4b4f-af15-33918c4eaa84",
    server_id="3bbb84a4-bffc-4be1-ad3a-2026e5e955c0",
    status="cluster member",
    role=RaftRole.FOLLOWER,
    leader="3acf",
    term=4,
    servers=(Server(sid="3bbb", address="tcp:a:6643"), Server(sid="3acf", address="tcp:b:6643")),
)
WELL = OvsdbStatus(state=State.MEMBER, connected=True, view=VIEW)
ALONE = OvsdbStatus(state=State.MEMBER, view=VIEW)
STARTING = OvsdbStatus(state=State.STARTING)
EMPTY = OvsdbStatus(state=State.EMPTY, waits_for="members [0] have the data but no majority")
BROKEN = OvsdbStatus(state=State.UNUSABLE, fault="no header", waits_for="no other member serves")


@pytest.mark.parametrize(
    ("members", "lost"),
    [
        ((WELL, WELL, WELL), False),
        ((WELL, WELL, EMPTY), False),
        ((ALONE, EMPTY, EMPTY), True),
        ((ALONE, EMPTY, BROKEN), True),
        ((BROKEN, BROKEN, BROKEN), True),
        ((BROKEN, EMPTY, EMPTY), True),
        # All three were killed: they find one another.
        ((ALONE, STARTING, STARTING), False),
        ((ALONE, ALONE, EMPTY), False),
        # No answer means unknown, never lost.
        ((ALONE, EMPTY, None), False),
        # A database that was never made.
        ((EMPTY, EMPTY, EMPTY), False),
    ],
)
def test_a_majority_is_lost_only_when_all_say_so(
    members: tuple[OvsdbStatus | None, ...], lost: bool
) -> None:
    reports = {f"demo-ovn-nb-{n}": report for n, report in enumerate(members)}
    found = assess_majority("ovn-nb", reports, 3)
    assert (found is not None) is lost


def test_a_lost_majority_names_who_has_the_data_and_who_has_not() -> None:
    reports = {"nb-0": ALONE, "nb-1": EMPTY, "nb-2": BROKEN}
    found = assess_majority("ovn-nb", reports, 3)
    assert found is not None
    assert found.reason is Reason.OVN_BLOCKED
    assert "nb-0 have the data" in found.message
    assert "nb-1: its volume is empty; nb-2: no header" in found.message


def test_members_that_are_away_and_files_put_aside_are_noted() -> None:
    kept = OvsdbStatus(
        state=State.MEMBER, connected=True, view=VIEW, aside=("/d/nb.2.broken", "/d/nb.1.broken")
    )
    reports: dict[str, Reports] = {
        "ovn-nb": {"nb-0": kept, "nb-1": None, "nb-2": ALONE},
        "ovn-sb": {"sb-0": WELL},
    }
    found = assess_databases(reports, {"ovn-nb": 3, "ovn-sb": 1}, {})
    assert found.problems == {}
    assert found.notes == {
        "ovn-nb": "nb-1 does not answer. nb-2 has no contact to a majority. nb-0 put a file aside "
        "that it could not use and keeps it for you to look into: /d/nb.2.broken."
    }


@pytest.mark.parametrize(("reason", "known"), [("OvnBlocked", True), ("RolloutComplete", False)])
def test_a_lost_majority_is_known_when_an_operator_begins(reason: str, known: bool) -> None:
    finding = assess_majority("ovn-sb", {"sb-0": ALONE, "sb-1": EMPTY, "sb-2": EMPTY}, 3)
    assert finding is not None
    at = datetime(2026, 1, 1, tzinfo=UTC)
    condition = Condition(
        type="Progressing",
        status="False",
        reason=reason,
        message="",
        last_transition_time=at,
        observed_generation=1,
    )
    roles = (
        RoleStatus(name="ovn-nb", model=MODEL, desired=3, ready=3, message="nb-0 does not answer."),
        RoleStatus(name="ovn-sb", model=MODEL, desired=3, ready=0, message=finding.message),
    )
    previous = CloudControllerStatus(conditions=(condition,), roles=roles)
    expected = OvnState(problems={"ovn-sb": finding}) if known else OvnState()
    assert remembered_databases(previous) == expected
