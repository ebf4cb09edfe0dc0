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
    remembered_databases,
)
from stackroles.workloads.conditions import Finding
from stackroles.workloads.course import Course

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


def test_members_that_are_away_and_files_put_aside_are_noted() -> None:
    kept = OvsdbStatus(
        state=State.MEMBER, connected=True, view=VIEW, aside=("/d/nb.2.broken", "/d/nb.1.broken")
    )
    reports: dict[str, Reports] = {
        "ovn-nb": {"nb-0": kept, "nb-1": None, "nb-2": ALONE},
        "ovn-sb": {"sb-0": WELL},
    }
    courses = {"ovn-nb": Course(unsettled=True)}
    found = assess_databases(reports, {"ovn-nb": None}, {"ovn-nb": "Member 4 leaves."}, courses)
    assert found.courses == courses
    assert found.problems == {}
    assert found.notes == {
        "ovn-nb": "Member 4 leaves. nb-1 does not answer. nb-2 has no contact to a majority. "
        "nb-0 put a file aside that it could not use and keeps it for you to look into: "
        "/d/nb.2.broken."
    }


@pytest.mark.parametrize(("reason", "known"), [("OvnBlocked", True), ("RolloutComplete", False)])
def test_a_lost_majority_is_known_when_an_operator_begins(reason: str, known: bool) -> None:
    finding = Finding(Reason.OVN_BLOCKED, "ovn-sb has lost its majority: sb-1, sb-2.")
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
