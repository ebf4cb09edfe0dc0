"""What the decision takes from a report, and which reports it does not take anything from.

Mutants of properties are not made (docs/development-cluster.md), so that each has its cases here.
"""

from dataclasses import replace

import pytest

from stackroles.agents.galera.protocol import DONOR, SYNCED, MemberPhase, Position, View
from stackroles.domains.database.model import Verdict
from tests.unit.domains.database.test_decide import U1, at, member, unknown

HELD = Position(uuid=U1, seqno=5)


def seen(*, primary: bool = True, synced: bool = True, state: int = SYNCED) -> View:
    return View(primary=primary, synced=synced, uuid=U1, committed=5, state=state)


def test_only_a_report_of_the_present_pod_says_anything() -> None:
    observed = replace(at(0, 5, leaving=True, view=seen()), pod_uid="another")

    assert (observed.known, observed.position, observed.view) == (None, None, None)
    assert not observed.leaving
    assert at(0, 5, leaving=True).leaving
    assert not at(0, 5).leaving
    assert unknown(0).known is None


@pytest.mark.parametrize("phase", MemberPhase)
def test_a_position_counts_while_no_server_runs_or_starts(phase: MemberPhase) -> None:
    counts = phase is MemberPhase.WAITING

    assert member(0, phase=phase, position=HELD).position == (HELD if counts else None)


@pytest.mark.parametrize(
    ("view", "serves"),
    [
        (seen(), True),
        (seen(synced=False, state=DONOR), True),
        (seen(synced=False, state=1), False),
        (seen(primary=False), False),
        (seen(primary=False, synced=False, state=DONOR), False),
    ],
)
def test_who_is_synced_or_a_donor_in_a_primary_component_serves(view: View, serves: bool) -> None:
    observed = member(0, phase=MemberPhase.RUNNING, view=view)

    assert observed.view == (view if serves else None)
    assert member(0, phase=MemberPhase.RUNNING, view=view, creating=True).view is None


def test_a_member_may_get_a_new_template_unless_a_person_must_decide_about_data() -> None:
    person = {verdict for verdict in Verdict if verdict.needs_person}
    held = {verdict for verdict in Verdict if not verdict.may_restart}

    assert set(Verdict) - person == {
        Verdict.SYNCED,
        Verdict.JOINING,
        Verdict.STARTING,
        Verdict.WAITING,
    }
    assert held == person - {Verdict.UNUSABLE}
