"""Which RPC servers are deaf, and which pods are replaced for it."""

import pytest

from stackroles.agents.rpc.protocol import RpcStatus
from stackroles.api.v1alpha1.conditions import Reason
from stackroles.domains.messaging.rpc import (
    DEAF_CALLS,
    RESTART_SECONDS,
    RpcServer,
    assess_deaf,
    assess_silence,
    choose_restarts,
    find_deaf,
)


def server(
    number: int, *, role: str = "nova-conductor", ready: bool = True, age: float = RESTART_SECONDS
) -> RpcServer:
    pod = f"{role}-{number}"
    return RpcServer(name=f"topic/{pod}", role=role, pod=pod, ready=ready, age=age)


def silent(
    *servers: RpcServer, calls: int = DEAF_CALLS, connected: bool = True, answered: int = 1
) -> RpcStatus:
    """Return the report that some servers did not answer."""
    return RpcStatus(
        connected=connected, unanswered={s.name: calls for s in servers}, answered=answered
    )


@pytest.mark.parametrize(
    ("status", "ready", "deaf"),
    [
        (silent(server(0)), True, True),
        (silent(server(0), calls=DEAF_CALLS - 1), True, False),
        (silent(server(0), connected=False), True, False),
        (silent(server(0), answered=0), True, False),
        (silent(server(0)), False, False),
        (silent(), True, False),
        (None, True, False),
    ],
)
def test_who_is_deaf(status: RpcStatus | None, ready: bool, deaf: bool) -> None:
    one = server(0, ready=ready)
    assert find_deaf([one, server(1)], status) == ([one] if deaf else [])


def test_one_of_a_role_is_replaced_at_a_time() -> None:
    servers = [server(0), server(1), server(0, role="nova-scheduler")]
    assert choose_restarts(servers, servers) == [servers[0], servers[2]]


def test_none_is_replaced_beside_one_that_is_away() -> None:
    servers = [server(0), server(1, ready=False)]
    assert choose_restarts(servers, servers[:1]) == []


def test_a_new_process_is_not_replaced_again_at_once() -> None:
    young = server(0, age=RESTART_SECONDS - 1)
    assert choose_restarts([young], [young]) == []


def test_of_many_a_tenth_is_replaced_at_once() -> None:
    many = [server(n, role="nova-compute") for n in range(40)]
    assert choose_restarts(many, many) == many[:4]


def test_deaf_servers_are_named() -> None:
    assert assess_deaf([]) is None
    found = assess_deaf([server(1)])
    assert found is not None
    assert found.reason is Reason.RPC_UNANSWERED
    assert "nova-conductor in nova-conductor-1" in found.message


@pytest.mark.parametrize(
    ("status", "named"),
    [
        (silent(server(0), server(1), calls=2 * DEAF_CALLS, answered=0), True),
        (silent(server(0), server(1), calls=DEAF_CALLS, answered=0), False),
        (silent(server(0), calls=2 * DEAF_CALLS, answered=0), False),
        (silent(server(0), server(1), calls=2 * DEAF_CALLS, answered=1), False),
        (silent(server(0), server(1), calls=9, answered=0, connected=False), False),
        (None, False),
    ],
)
def test_that_nobody_answers_is_named_and_nobody_is_replaced(
    status: RpcStatus | None, named: bool
) -> None:
    servers = [server(0), server(1), server(2, ready=False)]
    assert find_deaf(servers, status if status and not status.answered else None) == []
    found = assess_silence(servers, status)
    assert (found is not None) is named
    if found:
        assert found.reason is Reason.RPC_UNANSWERED
        assert "None of 2 processes" in found.message
        assert found.message.endswith("restart nova-conductor.")
