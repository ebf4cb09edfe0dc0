import pytest

from stackroles.agents.ovsdb.membership import (
    Answer,
    Create,
    Join,
    Peer,
    Wait,
    decide,
    other_cluster,
    read_answer,
)
from stackroles.agents.ovsdb.protocol import Mode, OvsdbDecision

DATABASE = "OVN_Northbound"
OWN, OTHER = "dff2e511-204a-4b4f-af15-33918c4eaa84", "5b2f991a-c17a-407c-8fe2-dc30ac4bf95c"
ROW = [{"rows": [{"connected": True, "cid": ["uuid", OWN]}]}]
NO_MAJORITY = [{"rows": [{"connected": False, "cid": ["set", []]}]}]
OLD = [{"rows": [{"connected": True}]}]
NEW = OvsdbDecision(attempt="a", mode=Mode.CREATE)
CONSENTED = OvsdbDecision(attempt="a", mode=Mode.CREATE, incident="0123abcd")
ALONE = OvsdbDecision(attempt="a", mode=Mode.CONTINUE, incident="0123abcd")


def test_who_is_told_makes_the_cluster_when_all_others_are_empty() -> None:
    assert decide({1: Peer.EMPTY, 2: Peer.EMPTY}, decided=NEW) == Create()
    assert decide({}, decided=NEW) == Create()


def test_nobody_makes_a_cluster_untold() -> None:
    # All volumes may be lost: what was made before is for a person to decide on.
    assert isinstance(decide({1: Peer.EMPTY, 2: Peer.EMPTY}), Wait)
    assert isinstance(decide({1: Peer.EMPTY, 2: Peer.EMPTY}, decided=ALONE), Wait)


@pytest.mark.parametrize("fault", ["", "no header"])
def test_by_consent_the_cluster_is_made_anew_unless_somebody_serves(fault: str) -> None:
    assert decide({1: Peer.UNKNOWN, 2: Peer.EMPTY}, fault, CONSENTED) == Create()
    assert decide({1: Peer.SERVING, 2: Peer.EMPTY}, fault, CONSENTED) == Join((1,))


@pytest.mark.parametrize("state", [Peer.UNKNOWN, Peer.WAITING])
def test_one_member_that_may_have_data_forbids_a_new_cluster(state: Peer) -> None:
    assert isinstance(decide({1: Peer.EMPTY, 2: state}, decided=NEW), Wait)


@pytest.mark.parametrize("ordinal", [0, 1, 2])
def test_a_cluster_that_serves_is_joined_through_all_who_serve(ordinal: int) -> None:
    others = [n for n in range(3) if n != ordinal]
    peers = {others[0]: Peer.SERVING, others[1]: Peer.SERVING}
    assert decide(peers) == Join(tuple(others))
    assert decide({others[0]: Peer.UNKNOWN, others[1]: Peer.SERVING}) == Join((others[1],))


def test_wait_says_for_whom() -> None:
    decision = decide({1: Peer.UNKNOWN, 2: Peer.EMPTY})
    assert isinstance(decision, Wait)
    assert "[1]" in decision.because


@pytest.mark.parametrize(
    ("databases", "rows", "answer"),
    [
        ([], None, Answer(Peer.EMPTY)),
        (["_Server", DATABASE], ROW, Answer(Peer.SERVING, OWN)),
        (["_Server", DATABASE], NO_MAJORITY, Answer(Peer.WAITING)),
        (["_Server", DATABASE], OLD, Answer(Peer.SERVING)),
        (["_Server", DATABASE], [{"rows": []}], Answer()),
        (["_Server", DATABASE], [{"rows": ["no row"]}], Answer()),
        (["_Server", DATABASE], [{"rows": [{"connected": True, "cid": 3}]}], Answer()),
        (["_Server", DATABASE], [{"error": "not allowed"}], Answer()),
        (["_Server"], ROW, Answer()),
        (None, ROW, Answer()),
    ],
)
def test_answers_mean(databases: object, rows: object, answer: Answer) -> None:
    assert read_answer(databases, rows, DATABASE) == answer


HERE, THERE = Answer(Peer.SERVING, OWN), Answer(Peer.SERVING, OTHER)
BEHIND = Answer(Peer.WAITING, OTHER)


@pytest.mark.parametrize(
    ("own", "answers", "found"),
    [
        (OWN, {1: THERE, 2: THERE}, OTHER),
        (OWN, {1: HERE, 2: HERE}, ""),
        # One alone may be the stranger itself: the majority does not give way to it.
        (OWN, {1: THERE, 2: HERE}, ""),
        (OWN, {1: THERE, 2: Answer()}, ""),
        # Who has no majority tells nothing of what is right.
        (OWN, {1: THERE, 2: BEHIND}, ""),
        # A file that has joined no cluster yet is of none.
        ("", {1: THERE, 2: THERE}, ""),
        (OWN, {1: Answer(Peer.SERVING), 2: Answer(Peer.SERVING)}, ""),
        (OWN, {}, ""),
    ],
)
def test_gives_way_to_the_cluster_of_a_majority(
    own: str, answers: dict[int, Answer], found: str
) -> None:
    assert other_cluster(own, answers, 2) == found


def test_who_has_joined_nothing_yet_gives_way_to_one_that_serves() -> None:
    assert other_cluster(OWN, {1: THERE, 2: Answer()}, 1) == OTHER
    assert other_cluster(OWN, {1: HERE, 2: BEHIND}, 1) == ""


@pytest.mark.parametrize("state", [Peer.EMPTY, Peer.UNKNOWN, Peer.WAITING])
def test_a_broken_file_makes_no_cluster_and_stays_while_nobody_serves(state: Peer) -> None:
    decision = decide({1: state, 2: state}, "no header")
    assert isinstance(decision, Wait)
    assert "no header" in decision.because


def test_a_member_with_a_broken_file_joins_those_who_serve() -> None:
    assert decide({1: Peer.SERVING, 2: Peer.UNKNOWN}, "no header") == Join((1,))
