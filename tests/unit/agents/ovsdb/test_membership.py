import pytest

from stackroles.agents.ovsdb.membership import (
    Create,
    Join,
    Peer,
    Wait,
    decide,
    read_peer,
    stale_servers,
)

DATABASE = "OVN_Northbound"
ROW = [{"rows": [{"connected": True}]}]


def test_first_member_makes_the_cluster_when_all_others_are_empty() -> None:
    assert decide(0, {1: Peer.EMPTY, 2: Peer.EMPTY}) == Create()
    assert decide(0, {}) == Create()


@pytest.mark.parametrize("ordinal", [1, 2])
def test_only_the_first_member_makes_the_cluster(ordinal: int) -> None:
    others = {n: Peer.EMPTY for n in range(3) if n != ordinal}
    assert isinstance(decide(ordinal, others), Wait)


@pytest.mark.parametrize("state", [Peer.UNKNOWN, Peer.WAITING])
def test_one_member_that_may_have_data_forbids_a_new_cluster(state: Peer) -> None:
    assert isinstance(decide(0, {1: Peer.EMPTY, 2: state}), Wait)


@pytest.mark.parametrize("ordinal", [0, 1, 2])
def test_a_cluster_that_serves_is_joined_through_all_who_serve(ordinal: int) -> None:
    others = [n for n in range(3) if n != ordinal]
    peers = {others[0]: Peer.SERVING, others[1]: Peer.SERVING}
    assert decide(ordinal, peers) == Join(tuple(others))
    assert decide(ordinal, {others[0]: Peer.UNKNOWN, others[1]: Peer.SERVING}) == Join((others[1],))


def test_wait_says_for_whom() -> None:
    decision = decide(0, {1: Peer.UNKNOWN, 2: Peer.EMPTY})
    assert isinstance(decision, Wait)
    assert "[1]" in decision.because


@pytest.mark.parametrize(
    ("databases", "rows", "peer"),
    [
        ([], None, Peer.EMPTY),
        (["_Server", DATABASE], ROW, Peer.SERVING),
        (["_Server", DATABASE], [{"rows": [{"connected": False}]}], Peer.WAITING),
        (["_Server", DATABASE], [{"rows": []}], Peer.UNKNOWN),
        (["_Server", DATABASE], [{"error": "not allowed"}], Peer.UNKNOWN),
        (["_Server"], ROW, Peer.UNKNOWN),
        (None, ROW, Peer.UNKNOWN),
    ],
)
def test_answers_mean(databases: object, rows: object, peer: Peer) -> None:
    assert read_peer(databases, rows, DATABASE) is peer


# As ovs-appctl of 3.5.0 printed it when member 0 had come back with a new volume.
STATUS = """\
3bbb
Name: OVN_Northbound
Cluster ID: dff2 (dff2e511-204a-4b4f-af15-33918c4eaa84)
Server ID: 3bbb (3bbb84a4-bffc-4be1-ad3a-2026e5e955c0)
Address: tcp:nb-0.nb:6643
Status: cluster member
Role: follower
Leader: 3acf
Servers:
    41c6 (41c6 at tcp:nb-0.nb:6643)
    3acf (3acf at tcp:nb-1.nb:6643) last msg 640 ms ago
    efa5 (efa5 at tcp:nb-2.nb:6643) last msg 3974 ms ago
    3bbb (3bbb at tcp:nb-0.nb:6643) (self)
"""


def test_former_self_is_found_by_its_address() -> None:
    assert stale_servers(STATUS, "tcp:nb-0.nb:6643") == ["41c6"]
    assert stale_servers(STATUS.replace("    41c6", "    #"), "tcp:nb-0.nb:6643") == []


@pytest.mark.parametrize("state", [Peer.EMPTY, Peer.UNKNOWN, Peer.WAITING])
def test_a_broken_file_makes_no_cluster_and_stays_while_nobody_serves(state: Peer) -> None:
    decision = decide(0, {1: state, 2: state}, "no header")
    assert isinstance(decision, Wait)
    assert "no header" in decision.because


def test_a_member_with_a_broken_file_joins_those_who_serve() -> None:
    assert decide(0, {1: Peer.SERVING, 2: Peer.UNKNOWN}, "no header") == Join((1,))
