"""Ports for programs under test that take a number and not a socket."""

import random
import socket

# Below the range from which Linux draws ports for outgoing connections (32768 and above): between
# this answer and the program's own bind no client of another test can come by it.
_FIRST, _LAST = 10_000, 29_999
_TRIES = 100


def free_port() -> int:
    """Return a port that nobody uses at any address.

    Raises:
        RuntimeError: a hundred drawn at random are all in use.
    """
    draw = random.SystemRandom()
    for _ in range(_TRIES):
        port = draw.randint(_FIRST, _LAST)
        try:
            with socket.create_server(("0.0.0.0", port)):  # noqa: S104 - one for all addresses
                return port
        except OSError:
            continue
    raise RuntimeError(f"{_TRIES} ports of {_FIRST} to {_LAST} are all in use")
