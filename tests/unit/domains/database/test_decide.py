"""One case for every rule of the decision, and the failures that were met for real."""

import re
from dataclasses import replace
from typing import Any

import pytest

from stackroles.agents.galera.protocol import (
    DONOR,
    Activity,
    Decision,
    MemberPhase,
    Mode,
    Position,
    Report,
    View,
)
from stackroles.api.v1alpha1.cloud_controller import Recovery
from stackroles.domains.database.bootstrap import MERGE_SECONDS
from stackroles.domains.database.consent import Consent
from stackroles.domains.database.decide import decide
from stackroles.domains.database.join import STARTS_BEFORE_FULL
from stackroles.domains.database.members import STARTS_THAT_TELL, failures
from stackroles.domains.database.model import (
    Bootstrap,
    Member,
    Outcome,
    PersistedState,
    Verdict,
)

U1 = "11111111-1111-1111-1111-111111111111"
U2 = "22222222-2222-2222-2222-222222222222"
VOLUMES = {"m-0": "vol-0", "m-1": "vol-1", "m-2": "vol-2"}
FORMED = PersistedState(uuid=U1, volumes=VOLUMES, complete=True)


def member(n: int, **report: Any) -> Member:
    observed = Report(
        **{
            "pod_uid": f"pod-{n}",
            "volume_id": f"vol-{n}",
            "attempt": f"attempt-{n}",
            "phase": MemberPhase.WAITING,
            "address": f"10.0.0.{n}",
            **report,
        }
    )
    return Member(name=f"m-{n}", ordinal=n, pod_uid=f"pod-{n}", report=observed)


def empty(n: int, **report: Any) -> Member:
    return member(n, position=Position(empty=True), **report)


def at(n: int, seqno: int, uuid: str = U1, *, safe: bool = False, **report: Any) -> Member:
    return member(n, position=Position(uuid=uuid, seqno=seqno, safe=safe), **report)


def synced(n: int, committed: int = 100, size: int = 3, uuid: str = U1, **view: Any) -> Member:
    seen = View(primary=True, synced=True, uuid=uuid, committed=committed, size=size, **view)
    return member(n, phase=MemberPhase.RUNNING, view=seen)


def unknown(n: int) -> Member:
    return Member(name=f"m-{n}", ordinal=n, pod_uid=f"pod-{n}")


def absent(n: int) -> Member:
    return Member(name=f"m-{n}", ordinal=n)


def decisions(outcome: Any) -> dict[str, tuple[Mode, int]]:
    return {name: (d.mode, d.seqno) for name, d in outcome.decisions.items()}


# -- forming ---------------------------------------------------------------------------------------


def test_the_first_of_all_empty_members_makes_the_database_once() -> None:
    outcome = decide([empty(0), empty(1), empty(2)], PersistedState(), "four")

    assert decisions(outcome) == {"m-0": (Mode.CREATE, -1)}
    assert outcome.decisions["m-0"].epoch == 1
    assert outcome.decisions["m-0"].attempt == "attempt-0"
    assert outcome.persisted.bootstrap is not None
    assert outcome.persisted.bootstrap.volume_id == "vol-0"
    again = decide([empty(0), empty(1), empty(2)], outcome.persisted, "five")
    assert decisions(again) == decisions(outcome)


@pytest.mark.parametrize("missing", [unknown(2), absent(2)])
def test_nothing_is_formed_while_a_member_has_not_reported(missing: Member) -> None:
    for known in ([empty(0), empty(1)], [at(0, 5), at(1, 9)]):
        outcome = decide([*known, missing], PersistedState(), "one")

        assert outcome.verdict is Verdict.WAITING
        assert not outcome.decisions
        assert "m-2" in outcome.message


def test_a_report_of_an_earlier_pod_is_no_report() -> None:
    stale = replace(at(2, 9), pod_uid="pod-new")

    assert decide([at(0, 5), at(1, 5), stale], FORMED, "one").verdict is Verdict.WAITING


def test_the_highest_position_starts_and_ties_go_to_the_lowest_ordinal() -> None:
    assert decisions(decide([at(0, 5), at(1, 9), at(2, 7)], FORMED, "one")) == {
        "m-1": (Mode.BOOTSTRAP, 9)
    }
    assert decisions(decide([at(0, 9), at(1, 9), at(2, 7)], FORMED, "one")) == {
        "m-0": (Mode.BOOTSTRAP, 9)
    }


def test_the_member_that_stopped_last_wins_a_tie_but_never_against_a_higher_position() -> None:
    assert decisions(decide([at(0, 9), at(1, 9, safe=True), at(2, 9)], FORMED, "one")) == {
        "m-1": (Mode.BOOTSTRAP, 9)
    }
    assert decisions(decide([at(0, 9), at(1, 8, safe=True), at(2, 9)], FORMED, "one")) == {
        "m-0": (Mode.BOOTSTRAP, 9)
    }


def test_the_failure_of_398_lost_transactions_cannot_happen() -> None:
    """One was down at 7531; two were killed at 7929 and had not recovered their position yet."""
    recovering = [
        member(0, phase=MemberPhase.RECOVERING),
        at(1, 7531),
        member(2, phase=MemberPhase.RECOVERING),
    ]
    assert not decide(recovering, FORMED, "one").decisions

    reported = [at(0, 7929), at(1, 7531), at(2, 7929)]
    assert decisions(decide(reported, FORMED, "one")) == {"m-0": (Mode.BOOTSTRAP, 7929)}


def test_a_cut_off_transfer_counts_as_reported_but_is_never_chosen() -> None:
    broken = member(0, position=Position(transfer=True))

    assert decisions(decide([broken, at(1, 3), at(2, 4)], FORMED, "one")) == {
        "m-2": (Mode.BOOTSTRAP, 4)
    }


def test_a_position_that_could_not_be_recovered_stops_the_choice_with_its_error() -> None:
    failed = member(0, position=Position(error="disk full"))

    outcome = decide([failed, at(1, 3), at(2, 4)], FORMED, "one")

    assert outcome.verdict is Verdict.UNUSABLE
    assert outcome.verdict.needs_person
    assert "disk full" in outcome.message
    assert not outcome.decisions


def test_different_histories_stop_the_choice() -> None:
    for members, persisted in (
        ([at(0, 5), at(1, 9, U2), at(2, 5)], PersistedState()),
        ([at(0, 5, U2), at(1, 9, U2), at(2, 5, U2)], FORMED),
    ):
        outcome = decide(members, persisted, "one")

        assert outcome.verdict is Verdict.HISTORIES_DIFFER
        assert not outcome.decisions


def test_a_formed_cluster_with_empty_volumes_is_lost_never_new() -> None:
    outcome = decide([empty(0), empty(1), empty(2)], FORMED, "one")

    assert outcome.verdict is Verdict.VOLUME_LOST
    assert "recovery" not in outcome.message, "nobody is left to go on"
    assert not outcome.decisions


def test_a_lost_volume_stops_the_choice_while_nobody_is_primary() -> None:
    replaced = empty(2, volume_id="vol-new")

    outcome = decide([at(0, 5), at(1, 5), replaced], FORMED, "one")

    assert outcome.verdict is Verdict.VOLUME_LOST
    assert "m-2" in outcome.message
    assert "set spec.roles.mariadb.recovery to {from: m-0, incident: " in outcome.message


LOST = [at(0, 5), at(1, 7), empty(2, volume_id="vol-new")]


def named(outcome: Outcome) -> tuple[str, str]:
    """Return the member and the incident that a message asks a consent for."""
    [found] = re.findall(r"\{from: (m-\d), incident: ([0-9a-f]{8})\}", outcome.message)
    return found[0], found[1]


def consent(survivor: str, incident: str) -> Consent:
    return Consent(owner_uid="uid", given=Recovery(**{"from": survivor, "incident": incident}))


def test_what_a_lost_volume_held_is_given_up_by_consent_to_this_loss_alone() -> None:
    blocked = decide(LOST, FORMED, "one", Consent(owner_uid="uid"))
    survivor, incident = named(blocked)
    assert survivor == "m-1"

    for given, why in (
        (consent("m-1", "00000000"), "is for another incident, 00000000"),
        (consent("m-0", incident), "names m-0, which holds less"),
    ):
        refused = decide(LOST, FORMED, "one", given)
        assert (refused.verdict, refused.decisions) == (Verdict.VOLUME_LOST, {})
        assert why in refused.message

    outcome = decide(LOST, FORMED, "one", consent("m-1", incident))
    assert decisions(outcome) == {"m-1": (Mode.BOOTSTRAP, 7)}
    assert f"by the consent to incident {incident}" in outcome.decided
    assert outcome.persisted.volumes == {"m-0": "vol-0", "m-1": "vol-1"}
    # What is published is decided anew on what was recorded.
    again = decide(LOST, outcome.persisted, "one", consent("m-1", incident))
    assert again.decisions == outcome.decisions


def test_a_consent_that_stays_in_the_spec_applies_to_no_later_loss() -> None:
    _, incident = named(decide(LOST, FORMED, "one", Consent(owner_uid="uid")))
    given = consent("m-1", incident)
    after = decide(LOST, FORMED, "one", given).persisted
    whole = decide([synced(0), synced(1), synced(2)], after, "one", given).persisted
    assert whole.volumes == VOLUMES

    outcome = decide(LOST, whole, "one", given)

    assert (outcome.verdict, outcome.decisions) == (Verdict.VOLUME_LOST, {})
    assert "another incident" in outcome.message


def test_a_consent_of_another_cloud_is_none() -> None:
    _, incident = named(decide(LOST, FORMED, "one", Consent(owner_uid="other")))

    assert not decide(LOST, FORMED, "one", consent("m-1", incident)).decisions


def test_a_consent_does_not_make_a_choice_before_all_have_reported() -> None:
    _, incident = named(decide(LOST, FORMED, "one", Consent(owner_uid="uid")))

    outcome = decide([at(0, 5), unknown(1), LOST[2]], FORMED, "one", consent("m-1", incident))

    assert (outcome.verdict, outcome.decisions) == (Verdict.WAITING, {})


def test_a_volume_that_came_back_older_is_started_by_consent() -> None:
    first = decide([at(0, 9), at(1, 5), at(2, 5)], FORMED, "one").persisted
    older = [at(0, 8, attempt="b"), at(1, 5), at(2, 5)]
    blocked = decide(older, first, "one", Consent(owner_uid="uid"))
    assert blocked.verdict is Verdict.BEHIND
    survivor, incident = named(blocked)

    outcome = decide(older, first, "one", consent(survivor, incident))

    assert decisions(outcome) == {"m-0": (Mode.BOOTSTRAP, 8)}
    assert "is given up" in outcome.decided
    assert outcome.persisted.volumes == VOLUMES
    even_older = [at(0, 3, attempt="c"), at(1, 2), at(2, 2)]
    assert not decide(even_older, outcome.persisted, "one", consent(survivor, incident)).decisions


def test_a_member_that_never_was_synced_may_be_empty() -> None:
    persisted = replace(FORMED, volumes={"m-0": "vol-0"})

    assert decisions(decide([at(0, 5), empty(1), empty(2)], persisted, "one")) == {
        "m-0": (Mode.BOOTSTRAP, 5)
    }


def test_the_founder_s_volume_cannot_be_replaced_unseen() -> None:
    created = decide([empty(0), empty(1), empty(2)], PersistedState(), "one").persisted

    outcome = decide([empty(0, volume_id="new", attempt="b"), empty(1), empty(2)], created, "one")

    assert outcome.verdict is Verdict.VOLUME_LOST


def test_a_bootstrap_makes_its_history_a_fact() -> None:
    begun = decide([at(0, 5), empty(1), empty(2)], PersistedState(), "one").persisted

    lost = [empty(n, volume_id="new", attempt="b") for n in range(3)]

    assert decide(lost, begun, "one").verdict is Verdict.VOLUME_LOST


def test_a_former_member_beyond_the_present_size_is_waited_for() -> None:
    persisted = replace(FORMED, volumes={**VOLUMES, "m-3": "vol-3"})

    outcome = decide([at(0, 5), at(1, 5), at(2, 5)], persisted, "one")

    assert outcome.verdict is Verdict.WAITING
    assert "m-3" in outcome.message


def test_nothing_starts_below_the_position_of_an_earlier_start() -> None:
    first = decide([at(0, 9), at(1, 5), at(2, 5)], FORMED, "one").persisted

    outcome = decide([at(0, 8, attempt="b"), at(1, 5), at(2, 5)], first, "one")

    assert outcome.verdict is Verdict.BEHIND
    assert not outcome.decisions


def test_a_recorded_start_stands_until_its_addressee_reports_anew() -> None:
    decision = Decision(attempt="attempt-0", epoch=1, mode=Mode.BOOTSTRAP, uuid=U1, seqno=5)
    record = Bootstrap(member="m-0", pod_uid="pod-0", volume_id="vol-0", decision=decision)
    persisted = replace(FORMED, bootstrap=record)

    pending = decide([at(0, 5), at(1, 9), at(2, 5)], persisted, "two")
    assert decisions(pending) == {"m-0": (Mode.RECOVER, -1)}
    assert pending.persisted == replace(persisted, epoch=1, leader="two")

    free = decide([at(0, 5, attempt="b"), at(1, 9), at(2, 5)], persisted, "two")
    assert decisions(free) == {"m-1": (Mode.BOOTSTRAP, 9)}


def test_a_member_that_is_starting_the_component_is_waited_for() -> None:
    starting = member(0, phase=MemberPhase.STARTING, mode="bootstrap")

    outcome = decide([starting, at(1, 5), at(2, 5)], FORMED, "one")

    assert outcome.verdict is Verdict.STARTING
    assert not outcome.decisions


def outside(n: int, seconds: int) -> Member:
    view = View(primary=False, synced=False, uuid=U1, committed=9, size=1)
    return member(n, phase=MemberPhase.RUNNING, view=view, non_primary_seconds=seconds)


def test_a_joiner_in_vain_and_a_member_left_alone_must_report_what_they_hold() -> None:
    stalled = member(1, phase=MemberPhase.STARTING, mode="join", activity=Activity.JOINING)

    outcome = decide([at(0, 5), stalled, outside(2, 1)], FORMED, "one")
    assert decisions(outcome) == {}

    outcome = decide([at(0, 5), stalled, outside(2, MERGE_SECONDS)], FORMED, "one")
    assert decisions(outcome) == {"m-1": (Mode.RECOVER, -1), "m-2": (Mode.RECOVER, -1)}


def test_partitions_get_time_to_merge_by_themselves() -> None:
    assert not decide([at(0, 5), outside(1, 2), outside(2, 2)], FORMED, "one").decisions
    assert decisions(decide([at(0, 5), at(1, 5), outside(2, 2)], FORMED, "one")) == {
        "m-2": (Mode.RECOVER, -1)
    }


def test_a_hanging_server_is_not_taken_for_a_stopped_one() -> None:
    hanging = member(2, phase=MemberPhase.RUNNING)

    assert not decide([at(0, 5), at(1, 5), hanging], FORMED, "one").decisions


def test_a_first_start_that_fails_is_quoted() -> None:
    failing = empty(0, failed_starts=1, failure="unknown variable 'x=1'")

    outcome = decide([failing, empty(1), empty(2)], PersistedState(), "one")

    assert decisions(outcome) == {"m-0": (Mode.CREATE, -1)}
    assert outcome.message.endswith("m-0, start 1: unknown variable 'x=1'")
    assert failures([failing, empty(1)], STARTS_THAT_TELL) == ""


def test_a_member_that_fails_to_form_the_cluster_again_and_again_rests_between_its_starts() -> None:
    backing_off = empty(0, failed_starts=2, failure="why", backing_off=True)

    outcome = decide([backing_off, empty(1), empty(2)], PersistedState(), "one")
    assert not outcome.decisions
    assert outcome.persisted == PersistedState()
    assert "m-0, start 2: why" in outcome.message

    rested = empty(0, failed_starts=2, failure="why")
    assert decisions(decide([rested, empty(1), empty(2)], PersistedState(), "one")) == {
        "m-0": (Mode.CREATE, -1)
    }


def test_a_leader_decides_above_what_was_recorded_and_what_members_applied() -> None:
    """The Lease of a reinstalled operator begins anew; what members applied is on their volumes."""
    for persisted, applied_epoch in ((FORMED, 40), (replace(FORMED, epoch=40, leader="gone"), 3)):
        stopped = [at(0, 9, applied_epoch=applied_epoch), at(1, 5), at(2, 5)]

        first = decide(stopped, persisted, "new")
        assert first.decisions["m-0"].epoch == 41
        assert (first.persisted.epoch, first.persisted.leader) == (41, "new")
        again = decide(stopped, first.persisted, "new")
        assert again.decisions == first.decisions
        assert decide(stopped, first.persisted, "newer").decisions["m-0"].epoch == 42


def test_a_leader_stays_in_its_term_while_members_apply_its_decisions() -> None:
    persisted = replace(FORMED, epoch=40, leader="one")

    for applied_epoch in (39, 40):
        stopped = [at(0, 9, applied_epoch=applied_epoch), at(1, 5), at(2, 5)]
        assert decide(stopped, persisted, "one").decisions["m-0"].epoch == 40


def test_nobody_that_reports_is_no_reason_to_decide() -> None:
    outcome = decide([unknown(0), unknown(1), absent(2)], FORMED, "one")

    assert (outcome.verdict, outcome.decisions, outcome.decided) == (Verdict.WAITING, {}, "")
    assert outcome.persisted == FORMED


def test_a_new_leader_has_nothing_to_record_before_it_publishes_something() -> None:
    persisted = replace(FORMED, epoch=40, leader="gone")

    assert decide([synced(0), synced(1), synced(2)], persisted, "new").persisted == persisted
    assert decide([at(0, 9), unknown(1), at(2, 5)], persisted, "new").persisted == persisted


# -- joining ---------------------------------------------------------------------------------------


def test_waiting_members_join_one_at_a_time_lowest_first() -> None:
    cluster = [synced(0, size=1), at(1, 5), at(2, 5)]

    first = decide(cluster, FORMED, "one")
    assert decisions(first) == {"m-1": (Mode.JOIN, 5)}
    first_report = cluster[1].known
    assert first_report is not None

    informed = [cluster[0], replace(cluster[1], published=first.decisions["m-1"]), cluster[2]]
    assert not decide(informed, first.persisted, "one").decisions
    assert decisions(decide(informed, first.persisted, "two")) == {"m-1": (Mode.JOIN, 5)}

    joining = [
        cluster[0],
        member(1, phase=MemberPhase.STARTING, mode="join", activity=Activity.JOINING),
        cluster[2],
    ]
    assert not decide(joining, FORMED, "one").decisions
    ended = [
        cluster[0],
        replace(cluster[1], report=replace(first_report, activity=Activity.JOINING)),
        cluster[2],
    ]
    assert decisions(decide(ended, FORMED, "one")) == {"m-1": (Mode.JOIN, 5)}
    donor = [synced(0, size=1, state=DONOR), unknown(1), cluster[2]]
    assert not decide(donor, FORMED, "one").decisions
    assert decisions(decide([cluster[0], unknown(1), cluster[2]], FORMED, "one")) == {
        "m-2": (Mode.JOIN, 5)
    }


def test_nobody_joins_while_a_former_self_is_still_counted() -> None:
    assert not decide([synced(0), synced(1), at(2, 5)], FORMED, "one").decisions
    by_address = [
        synced(0, size=2, addresses=frozenset({"10.0.0.0", "10.0.0.2"})),
        unknown(1),
        at(2, 5),
    ]
    assert not decide(by_address, FORMED, "one").decisions
    assert decisions(decide([synced(0, size=2), synced(1, size=2), at(2, 5)], FORMED, "one")) == {
        "m-2": (Mode.JOIN, 5)
    }


def test_a_member_ahead_of_the_cluster_or_of_another_history_is_left_alone() -> None:
    for other in (at(2, 101), at(2, 5, U2)):
        outcome = decide([synced(0, size=2), synced(1, size=2), other], FORMED, "one")

        assert outcome.verdict is Verdict.MEMBER_AHEAD
        assert not outcome.decisions
        assert "m-2" in outcome.message


def test_a_lost_volume_with_a_primary_present_is_a_plain_transfer() -> None:
    outcome = decide(
        [synced(0, size=2), synced(1, size=2), empty(2, volume_id="vol-new")], FORMED, "one"
    )

    assert decisions(outcome) == {"m-2": (Mode.JOIN, -1)}
    assert outcome.decisions["m-2"].transfer == "mariabackup"


def test_the_first_members_are_filled_while_nobody_writes() -> None:
    outcome = decide([synced(0, size=1), empty(1), empty(2)], PersistedState(), "one")

    assert outcome.decisions["m-1"].transfer == "rsync"


def test_the_volume_of_a_joiner_is_on_record_before_it_can_be_written_to() -> None:
    persisted = PersistedState(uuid=U1, volumes={"m-0": "vol-0"})

    joining = decide([synced(0, size=1), empty(1), unknown(2)], persisted, "one").persisted
    assert joining.volumes == {"m-0": "vol-0", "m-1": "vol-1"}
    lost = [at(0, 5), empty(1, volume_id="new"), empty(2)]
    assert decide(lost, joining, "one").verdict is Verdict.VOLUME_LOST

    replaced = [synced(0, size=2), synced(1, size=2), empty(2, volume_id="new")]
    assert decide(replaced, FORMED, "one").persisted.volumes == VOLUMES


def test_a_joiner_that_fails_again_and_again_gets_the_data_as_a_whole() -> None:
    def joins(failed: int) -> Decision:
        members = [synced(0, size=2), synced(1, size=2), at(2, 5, failed_starts=failed)]
        return decide(members, FORMED, "one").decisions["m-2"]

    assert not joins(STARTS_BEFORE_FULL - 1).full
    assert joins(STARTS_BEFORE_FULL).full


def test_a_member_whose_server_refuses_to_start_is_quoted() -> None:
    failing = at(2, 5, failed_starts=2, failure="unknown variable 'x=1'")

    outcome = decide([synced(0, size=2), synced(1, size=2), failing], FORMED, "one")

    assert "m-2, start 2: unknown variable 'x=1'" in outcome.message


def test_a_member_that_has_just_failed_does_not_keep_others_from_joining() -> None:
    backing_off = at(1, 5, failed_starts=3, failure="why", backing_off=True)

    outcome = decide([synced(0, size=1), backing_off, at(2, 5)], FORMED, "one")

    assert decisions(outcome) == {"m-2": (Mode.JOIN, 5)}


def test_a_member_without_room_does_not_join_and_holds_up_no_other() -> None:
    full = at(1, 5, full=True)

    outcome = decide([synced(0, size=1), full, at(2, 5)], FORMED, "one")
    assert decisions(outcome) == {"m-2": (Mode.JOIN, 5)}

    waits = decide([synced(0, size=2), full, synced(2, size=2)], FORMED, "one")
    assert (waits.verdict, waits.decisions) == (Verdict.JOINING, {})
    assert "m-1: waits for room on its volume" in waits.message

    # Where nobody serves it may hold the newest data.
    assert decisions(decide([at(0, 3), at(1, 9, full=True), at(2, 5)], FORMED, "one")) == {
        "m-1": (Mode.BOOTSTRAP, 9)
    }


def test_facts_follow_what_is_synced() -> None:
    new = [synced(0), synced(1), replace(synced(2), report=None)]
    grown = decide(new, PersistedState(), "one").persisted
    assert grown == PersistedState(
        uuid=U1, volumes={"m-0": "vol-0", "m-1": "vol-1"}, complete=False
    )

    whole = decide([synced(0), synced(1), synced(2)], grown, "one")
    assert whole.verdict is Verdict.SYNCED
    assert whole.persisted == FORMED

    larger = replace(FORMED, volumes={**VOLUMES, "m-3": "vol-3"})
    assert decide([synced(0), synced(1), synced(2)], larger, "one").persisted == FORMED


def test_a_database_that_has_never_served_is_no_fact_yet() -> None:
    making = member(
        0, phase=MemberPhase.RUNNING, view=synced(0, size=1).view, mode="create", creating=True
    )

    outcome = decide([making, empty(1), empty(2)], PersistedState(), "one")

    assert outcome.persisted.uuid is None
    assert not outcome.decisions


def test_two_histories_that_serve_stop_everything() -> None:
    outcome = decide([synced(0, size=1), synced(1, size=1, uuid=U2), at(2, 5)], FORMED, "one")

    assert outcome.verdict is Verdict.HISTORIES_DIFFER
    assert not outcome.decisions


def test_an_applied_start_no_longer_stands_but_its_position_stays_the_floor() -> None:
    started = decide([at(0, 9), at(1, 5), at(2, 5)], FORMED, "one").persisted
    serving = decide([synced(0, size=1), at(1, 5), at(2, 5)], started, "one").persisted

    assert serving.bootstrap is not None
    assert serving.bootstrap.decision.attempt == ""
    assert serving.bootstrap.decision.seqno == 9
    again = decide([at(0, 12, attempt="b"), at(1, 5), at(2, 5)], serving, "one")
    assert decisions(again) == {"m-0": (Mode.BOOTSTRAP, 12)}
