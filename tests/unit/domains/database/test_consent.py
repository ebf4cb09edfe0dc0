"""A consent: what it must name, what it says, and what is given up by it."""

from dataclasses import replace

import pytest

from stackroles.agents.galera.protocol import Decision, Mode
from stackroles.domains.database.consent import Consent, Loss, assess_loss, give_up
from stackroles.domains.database.decide import decide
from stackroles.domains.database.model import Bootstrap, PersistedState
from stackroles.workloads.incident import incident
from tests.unit.domains.database.test_decide import (
    FORMED,
    LOST,
    U1,
    VOLUMES,
    at,
    consent,
    decisions,
    empty,
    named,
)

STARTED = Bootstrap(
    member="m-2",
    pod_uid="pod-2",
    volume_id="vol-2",
    decision=Decision(attempt="before", epoch=1, mode=Mode.BOOTSTRAP, uuid=U1, seqno=9),
)


def assessed(given: Consent, persisted: PersistedState = FORMED) -> Loss:
    return assess_loss(LOST, ["m-2"], LOST[1], persisted, given)


@pytest.mark.parametrize("former", ["", "deadbeef"])
def test_an_incident_is_of_the_claims_that_are_lost_and_those_that_are_left(former: str) -> None:
    loss = assessed(Consent(owner_uid="uid"), replace(FORMED, consented=former))

    left = {"m-0": "vol-0", "m-1": "vol-1"}
    assert loss.incident == incident("uid", "mariadb", {"m-2": "vol-new"}, left, former)
    assert (loss.lost, loss.consented) == (("m-2",), False)


def test_how_to_consent_is_said_whatever_the_spec_holds() -> None:
    number = assessed(Consent(owner_uid="uid")).incident
    how = (
        "Only if that is gone for good, set spec.roles.mariadb.recovery to "
        f"{{from: m-1, incident: {number}}}: the database then goes on with what it holds."
    )
    other = "00000000"

    assert assessed(Consent(owner_uid="uid")).how == how
    assert assessed(consent("m-0", number)).how == (
        f"{how} The consent in the spec names m-0, which holds less."
    )
    assert assessed(consent("m-1", other)).how == (
        f"{how} The consent in the spec is for another incident, {other}."
    )


@pytest.mark.parametrize(("recorded", "floor"), [(9, 7), (7, 7), (5, 5)])
def test_the_survivor_may_start_below_an_earlier_start_and_nobody_below_the_survivor(
    recorded: int, floor: int
) -> None:
    started = replace(STARTED, decision=replace(STARTED.decision, seqno=recorded))
    loss = assessed(Consent(owner_uid="uid"))

    after = give_up(loss, replace(FORMED, bootstrap=started))

    left = replace(started, decision=replace(started.decision, seqno=floor))
    assert after == replace(
        FORMED,
        volumes={"m-0": "vol-0", "m-1": "vol-1"},
        bootstrap=left,
        consented=loss.incident,
    )
    assert give_up(loss, FORMED).bootstrap is None


def test_a_lost_member_that_was_started_from_more_is_given_up_with_what_it_had() -> None:
    persisted = replace(FORMED, bootstrap=STARTED)
    survivor, number = named(decide(LOST, persisted, "one", Consent(owner_uid="uid")))

    outcome = decide(LOST, persisted, "one", consent(survivor, number))

    assert decisions(outcome) == {"m-1": (Mode.BOOTSTRAP, 7)}
    assert outcome.persisted.consented == number
    assert outcome.decided == (
        "m-1 starts at 7; the others join it. What m-1 does not hold is given up, by the consent "
        f"to incident {number}."
    )


def test_all_lost_members_are_named_and_given_up_together() -> None:
    members = [empty(0, volume_id="new"), at(1, 5), empty(2, volume_id="new")]
    blocked = decide(members, FORMED, "one", Consent(owner_uid="uid"))
    assert "The volume of m-0, m-2 was part of this cluster" in blocked.message

    outcome = decide(members, FORMED, "one", consent(*named(blocked)))

    assert outcome.persisted.volumes == {"m-1": VOLUMES["m-1"]}
