"""Connections that a program has not accepted yet, as the kernel counts them."""

import socket

from stackroles.agents.gate.backlog import in_queue, waiting

TABLE = """\
  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 00000000:2246 00000000:0000 0A 00000000:00000003 00:00000000 00000000 42436 0 1 1 0 100 0 0 10
   1: 00000000:1388 00000000:0000 0A 00000000:00000007 00:00000000 00000000 42436 0 1 1 0 100 0 0 10
   2: 0100007F:2246 0100007F:A001 01 00000000:00000009 00:00000000 00000000 42436 0 1 1 0 20 4 0 10
"""


def test_only_the_queue_of_the_port_itself_counts() -> None:
    assert (in_queue(TABLE, 8774), in_queue(TABLE, 5000), in_queue(TABLE, 80)) == (3, 7, 0)


def test_connections_wait_until_the_program_accepts_them() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        clients = [socket.create_connection(("127.0.0.1", port)) for _ in range(2)]
        before = waiting(port)
        accepted = [server.accept()[0] for _ in clients]

        assert (before, waiting(port)) == (2, 0)
        for each in (*clients, *accepted):
            each.close()
