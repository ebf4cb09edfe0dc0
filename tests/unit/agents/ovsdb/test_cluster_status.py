"""What ovs-appctl prints of a cluster, read."""

import pytest

from stackroles.agents.ovsdb.cluster_status import read_view, stale_servers
from stackroles.agents.ovsdb.protocol import ClusterView, RaftRole, Server

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
Log: [2, 26]
Servers:
    41c6 (41c6 at tcp:nb-0.nb:6643)
    3acf (3acf at tcp:nb-1.nb:6643) last msg 640 ms ago
    efa5 (efa5 at tcp:nb-2.nb:6643) last msg 3974 ms ago
    3bbb (3bbb at tcp:nb-0.nb:6643) (self)
"""

# Of a member that has not found its cluster yet.
JOINING = """\
5157
Name: OVN_Northbound
Cluster ID: not yet known
Server ID: 5157 (515795e7-1d3c-4a3c-9f3f-4e0f1b1c8d4e)
Address: tcp:nb-2.nb:6643
Status: joining cluster
Remotes for joining: tcp:nb-0.nb:6643 tcp:nb-1.nb:6643
Role: follower
Term: 0
Leader: unknown
Vote: unknown
Servers:
"""


def test_view_of_a_member() -> None:
    view = read_view(STATUS)
    assert view == ClusterView(
        cluster_id="dff2e511-204a-4b4f-af15-33918c4eaa84",
        server_id="3bbb84a4-bffc-4be1-ad3a-2026e5e955c0",
        status="cluster member",
        role=RaftRole.FOLLOWER,
        leader="3acf",
        term=0,
        servers=(
            Server(sid="41c6", address="tcp:nb-0.nb:6643"),
            Server(sid="3acf", address="tcp:nb-1.nb:6643"),
            Server(sid="efa5", address="tcp:nb-2.nb:6643"),
            Server(sid="3bbb", address="tcp:nb-0.nb:6643"),
        ),
        entries=26,
    )
    assert view.is_member


@pytest.mark.parametrize("text", [JOINING, STATUS.replace("Leader: 3acf", "Leader: unknown")])
def test_one_without_a_leader_is_no_member(text: str) -> None:
    view = read_view(text)
    assert view is not None
    assert not view.is_member


def test_one_that_joins_knows_no_cluster() -> None:
    view = read_view(JOINING)
    assert view is not None
    assert (view.cluster_id, view.servers) == ("", ())


def test_what_is_no_status_is_no_view() -> None:
    assert read_view("") is None
    assert read_view("unknown cluster") is None


def test_former_self_is_found_by_its_address() -> None:
    view = read_view(STATUS)
    assert view is not None
    assert stale_servers(view, "tcp:nb-0.nb:6643") == ["41c6"]
    assert stale_servers(view, "tcp:nb-1.nb:6644") == []
    alone = read_view(STATUS.replace("    41c6", "    #"))
    assert alone is not None
    assert stale_servers(alone, "tcp:nb-0.nb:6643") == []
