"""The operator's program."""

import asyncio
import socket
from collections.abc import Coroutine
from typing import Any

import pytest

from stackroles import main
from stackroles.agents.known_addresses import KnownAddresses
from stackroles.runtime import logs
from stackroles.settings import Settings


def test_the_operator_keeps_the_addresses_of_the_clouds_it_asks(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen: list[object] = []

    def run(program: Coroutine[Any, Any, None]) -> None:
        seen.append(getattr(socket.getaddrinfo, "__self__", None))
        program.close()

    # Noted, so that it is put back afterwards.
    monkeypatch.setattr(socket, "getaddrinfo", socket.getaddrinfo)
    monkeypatch.setattr(logs, "configure", lambda _: None)
    monkeypatch.setattr(main, "from_environment", lambda *_, **__: Settings())
    monkeypatch.setattr(asyncio, "run", run)
    main.main()

    assert isinstance(seen[0], KnownAddresses)
