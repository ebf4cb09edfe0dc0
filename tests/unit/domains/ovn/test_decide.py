"""A majority of a database of OVN that is lost, and what a consent does."""

from dataclasses import replace

import pytest

from stackroles.agents.ovsdb.protocol import ClusterView, Mode, OvsdbStatus, RaftRole, State
from stackroles.api.v1alpha1.cloud_controller import Recovery
from stackroles.api.v1alpha1.conditions import Reason
from stackroles.domains.ovn.decide import Outcome, decide
from stackroles.domains.ovn.model import DatabaseMember, DatabaseMembers, Recorded

VIEW = ClusterView(
    cluster_id="dff2",
    server_id="3bbb",
    status="cluster member",
    role=RaftRole.FOLLOWER,
    leader="unknown",
    term=4,
    servers=(),
)
WELL = OvsdbStatus(state=State.MEMBER, connected=True, view=VIEW)
ALONE = OvsdbStatus(state=State.MEMBER, view=VIEW, stuck=True)
LATELY = OvsdbStatus(state=State.MEMBER, view=VIEW)
STARTING = OvsdbStatus(state=State.STARTING)
EMPTY = OvsdbStatus(state=State.EMPTY)
JOINING = OvsdbStatus(state=State.JOINING)
BROKEN = OvsdbStatus(state=State.UNUSABLE, fault="no header")
FORMED = Recorded(formed=True)
LACKS = "changes"


def observed(*reports: OvsdbStatus | None, consent: Recovery | None = None) -> DatabaseMembers:
    return DatabaseMembers(
        owner_uid="uid",
        role="ovn-nb",
        members=[
            DatabaseMember(
                pod=f"nb-{n}",
                claim=f"claim-{n}",
                report=replace(report, attempt=f"attempt-{n}") if report else None,
            )
            for n, report in enumerate(reports)
        ],
        consent=consent,
    )


def lost(members: DatabaseMembers) -> str:
    """Return the incident that all members without data are lost."""
    return members.incident(members.lost)


def consent(survivor: str, incident: str) -> Recovery:
    return Recovery.model_validate({"from": survivor, "incident": incident})


@pytest.mark.parametrize("reports", [(EMPTY, EMPTY, EMPTY), (EMPTY,)])
def test_a_database_that_was_never_made_is_made_by_the_first(
    reports: tuple[OvsdbStatus, ...],
) -> None:
    outcome = decide(observed(*reports), Recorded(), LACKS)
    assert outcome.problem is None
    (decided,) = outcome.decisions.values()
    assert (decided.attempt, decided.mode, decided.incident) == ("attempt-0", Mode.CREATE, "")
    # It is noted once it serves: an operator that ends in between tells it again.
    assert outcome.recorded == Recorded()


@pytest.mark.parametrize(
    "reports", [(EMPTY, EMPTY, None), (EMPTY, ALONE, EMPTY), (EMPTY, BROKEN, STARTING)]
)
def test_nothing_is_made_while_somebody_may_have_data(
    reports: tuple[OvsdbStatus | None, ...],
) -> None:
    assert decide(observed(*reports), Recorded(), LACKS) == Outcome(Recorded())


@pytest.mark.parametrize("reports", [(WELL, EMPTY, None), (WELL, WELL, BROKEN)])
def test_who_serves_is_noted_and_left_alone(reports: tuple[OvsdbStatus | None, ...]) -> None:
    assert decide(observed(*reports), Recorded(), LACKS) == Outcome(FORMED)


@pytest.mark.parametrize(
    "reports",
    [
        (ALONE, STARTING, None),
        (ALONE, ALONE, None),
        (ALONE, LATELY, EMPTY),
        # A minute has not passed: all may have been killed.
        (LATELY, None, None),
        (LATELY, EMPTY, EMPTY),
        # Who does not answer may have the data.
        (EMPTY, EMPTY, None),
        (None, None, None),
    ],
)
def test_what_may_come_together_by_itself_is_left_alone(
    reports: tuple[OvsdbStatus | None, ...],
) -> None:
    assert decide(observed(*reports), FORMED, LACKS) == Outcome(FORMED)


def test_a_lost_majority_names_members_cost_and_cure() -> None:
    outcome = decide(observed(ALONE, EMPTY, BROKEN), FORMED, LACKS)
    assert outcome.problem is not None
    assert outcome.problem.reason is Reason.OVN_BLOCKED
    assert outcome.decisions == {}
    number = lost(observed(ALONE, EMPTY, BROKEN))
    text = outcome.problem.message
    assert "nb-1 has an empty volume; nb-2 cannot use its file (no header)" in text
    assert f"spec.roles.ovn-nb.recovery to {{from: nb-0, incident: {number}}}" in text
    assert "Lost are then changes" in text


def test_by_consent_the_survivor_continues() -> None:
    number = lost(observed(ALONE, EMPTY, None))
    agreed = consent("nb-0", number)
    outcome = decide(observed(ALONE, EMPTY, None, consent=agreed), FORMED, LACKS)
    (decided,) = outcome.decisions.values()
    assert (decided.attempt, decided.mode, decided.incident) == ("attempt-0", Mode.CONTINUE, number)
    assert outcome.recorded == Recorded(formed=True, incident=number)
    # It has another cluster then, and the same consent is for nothing that comes later.
    after = replace(ALONE, view=replace(VIEW, cluster_id="5b2f"))
    again = decide(observed(after, EMPTY, None, consent=agreed), outcome.recorded, LACKS)
    assert again.decisions == {}
    assert again.problem is not None
    assert f"is for another incident, {number}" in again.problem.message


def test_a_consent_to_one_without_data_is_none() -> None:
    number = lost(observed(ALONE, EMPTY, EMPTY))
    agreed = consent("nb-1", number)
    outcome = decide(observed(ALONE, EMPTY, EMPTY, consent=agreed), FORMED, LACKS)
    assert outcome.decisions == {}
    assert outcome.problem is not None
    assert "names nb-1, which has no data" in outcome.problem.message


@pytest.mark.parametrize(
    "reports", [(EMPTY, EMPTY, EMPTY), (BROKEN, EMPTY, BROKEN), (JOINING, JOINING, EMPTY)]
)
def test_a_database_that_is_lost_is_made_anew_by_consent_only(
    reports: tuple[OvsdbStatus, ...],
) -> None:
    outcome = decide(observed(*reports), FORMED, LACKS)
    assert outcome.decisions == {}
    assert outcome.problem is not None
    assert "has lost its data on all members" in outcome.problem.message
    number = lost(observed(*reports))
    agreed = consent("nb-1", number)
    outcome = decide(observed(*reports, consent=agreed), FORMED, LACKS)
    assert list(outcome.decisions) == ["nb-1"]
    assert outcome.decisions["nb-1"].mode is Mode.CREATE
    assert outcome.decisions["nb-1"].incident == number


def test_a_consent_that_stays_in_the_spec_makes_nothing_empty_a_second_time() -> None:
    agreed = consent("nb-1", lost(observed(EMPTY, EMPTY, EMPTY)))
    made = decide(observed(EMPTY, EMPTY, EMPTY, consent=agreed), FORMED, LACKS).recorded
    # Until it serves an operator that begins again decides the same.
    assert decide(observed(EMPTY, EMPTY, EMPTY, consent=agreed), made, LACKS).decisions

    served = decide(observed(WELL, WELL, WELL, consent=agreed), made, LACKS).recorded
    outcome = decide(observed(EMPTY, EMPTY, EMPTY, consent=agreed), served, LACKS)

    assert outcome.decisions == {}
    assert outcome.problem is not None
    assert "The consent in the spec is for another incident" in outcome.problem.message


def test_members_with_data_that_form_no_majority_are_lost_too() -> None:
    # Seen: two members were lost at once, and the leader still took one of them in again, so that
    # former selves count against the majority.
    ahead = replace(ALONE, view=replace(VIEW, entries=26))
    outcome = decide(observed(ALONE, ahead, EMPTY), FORMED, LACKS)
    assert outcome.problem is not None
    assert "{from: nb-1, incident: " in outcome.problem.message
    outcome = decide(observed(ALONE, ahead, ALONE), FORMED, LACKS)
    assert outcome.problem is not None
    assert "all members have data" in outcome.problem.message


NEW = replace(WELL, view=replace(VIEW, cluster_id="5b2f"))
DONE = Recorded(formed=True, incident="0123abcd")


@pytest.mark.parametrize(
    ("recorded", "agreed", "decided"),
    [
        (DONE, consent("nb-0", "0123abcd"), ["nb-1"]),
        # What a user no longer consents to, or consents to of another loss, is not done.
        (DONE, None, []),
        (DONE, consent("nb-0", "aaaaaaaa"), []),
        (DONE, consent("nb-1", "0123abcd"), []),
        (FORMED, consent("nb-0", "0123abcd"), []),
    ],
)
def test_who_was_left_behind_by_consent_joins_anew(
    recorded: Recorded, agreed: Recovery | None, decided: list[str]
) -> None:
    outcome = decide(observed(NEW, ALONE, EMPTY, consent=agreed), recorded, LACKS)
    assert list(outcome.decisions) == decided
    assert all(decision.mode is Mode.YIELD for decision in outcome.decisions.values())
