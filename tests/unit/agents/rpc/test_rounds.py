"""When RPC servers are called, and what follows from their silence."""

from stackroles.agents.rpc.protocol import RpcStatus, query_of, servers_in
from stackroles.agents.rpc.rounds import FORGOTTEN, INTERVAL, RETRY, Rounds

ONE, TWO = "conductor/one", "compute/node two"


def connected(*servers: str) -> Rounds:
    """Return rounds about some servers, at second 0, with a broker that carries calls."""
    rounds = Rounds()
    rounds.ask(servers, 0.0)
    rounds.connect(connected=True, now=0.0)
    return rounds


def test_the_names_of_servers_survive_the_query() -> None:
    assert servers_in(query_of([TWO, ONE])) == {ONE, TWO}
    assert servers_in(query_of([])) == frozenset()


def test_a_server_that_answers_is_called_once_a_minute() -> None:
    rounds = connected(ONE)
    assert rounds.due(0.0) == [ONE]
    rounds.note(ONE, answered=True, now=1.0)
    assert rounds.due(INTERVAL) == []
    assert rounds.due(INTERVAL + 1.0) == [ONE]
    assert rounds.status == RpcStatus(connected=True, called=1, answered=1)


def test_calls_without_an_answer_are_counted_until_one_is_answered() -> None:
    rounds = connected(ONE, TWO)
    for count in (1, 2, 3):
        rounds.note(ONE, answered=False, now=RETRY * count)
        assert rounds.status.unanswered == {ONE: count}
        assert ONE in rounds.due(RETRY * count + RETRY)
    rounds.note(ONE, answered=True, now=50.0)
    assert rounds.status.unanswered == {}


def test_a_broker_that_carries_nothing_makes_nobody_deaf() -> None:
    rounds = connected(ONE)
    rounds.note(ONE, answered=False, now=1.0)
    rounds.connect(connected=False, now=2.0)
    assert rounds.status == RpcStatus()
    assert rounds.due(RETRY) == []
    rounds.connect(connected=True, now=RETRY + 2.0)
    assert rounds.due(RETRY + 2.0) == [ONE]


def test_who_is_not_asked_for_any_more_is_not_called() -> None:
    rounds = connected(ONE, TWO)
    rounds.note(ONE, answered=False, now=1.0)
    rounds.ask([TWO], 2.0)
    rounds.note(ONE, answered=False, now=3.0)
    assert rounds.status == RpcStatus(connected=True)
    assert rounds.due(INTERVAL) == [TWO]
    assert rounds.due(FORGOTTEN + 3.0) == []
