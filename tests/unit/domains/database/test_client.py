import asyncio
from collections.abc import Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import web

from stackroles.domains.database.client import parse_writer, pull_reports, pull_writers


@pytest.mark.parametrize(
    ("answer", "expected"), [("2\n", 2), ("0", 0), ("", None), (None, None), ("-1", None)]
)
def test_a_writer_is_a_number(answer: str | None, expected: int | None) -> None:
    assert parse_writer(answer) == expected


async def test_members_that_do_not_answer_are_unknown(
    unused_tcp_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refuse(_: web.Request) -> web.Response:
        return web.json_response({"podUid": "u"}, status=503)

    application = web.Application()
    application.router.add_get("/report", refuse)
    runner = web.AppRunner(application)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", unused_tcp_port)
    await site.start()
    monkeypatch.setattr("stackroles.domains.database.client.PORT", unused_tcp_port)

    assert await pull_reports({"m-0": "127.0.0.1", "m-1": "127.0.0.2"}) == {
        "m-0": None,
        "m-1": None,
    }
    await runner.cleanup()


@asynccontextmanager
async def pod(port: int, **answers: Callable[[web.Request], Awaitable[web.StreamResponse]]) -> Any:
    """Serve what a pod answers on 127.0.0.1, by path."""
    application = web.Application()
    for path, answer in answers.items():
        application.router.add_get(f"/{path}", answer)
    runner = web.AppRunner(application)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    yield
    await runner.cleanup()


async def test_a_pod_cannot_send_the_operator_elsewhere(
    unused_tcp_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    async def redirect(_: web.Request) -> web.StreamResponse:
        raise web.HTTPFound("/elsewhere")

    async def elsewhere(request: web.Request) -> web.StreamResponse:
        asked.append(request.path)
        return web.Response(text="2")

    monkeypatch.setattr("stackroles.domains.database.client.STATS_PORT", unused_tcp_port)
    async with pod(unused_tcp_port, writer=redirect, elsewhere=elsewhere):
        assert await pull_writers({"p-0": "127.0.0.1"}) == {"p-0": None}
    assert asked == []


@pytest.mark.parametrize("kind", ["application/json", "text/plain"])
@pytest.mark.parametrize("packed", [False, True])
async def test_no_more_of_an_answer_is_read_than_an_agent_says(
    kind: str, packed: bool, unused_tcp_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent = []

    async def endless(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": kind})
        if packed:
            response.enable_compression(web.ContentCoding.gzip)
        await response.prepare(request)
        for _ in range(64):
            await response.write(b'"' + b" " * 2**20)
            sent.append(2**20)
        return response

    monkeypatch.setattr("stackroles.domains.database.client.STATS_PORT", unused_tcp_port)
    monkeypatch.setattr("stackroles.reconcile.pod_http._SECONDS", 20.0)
    async with pod(unused_tcp_port, writer=endless):
        assert await pull_writers({"p-0": "127.0.0.1"}) == {"p-0": None}
    assert packed or len(sent) < 64


async def test_an_answer_that_comes_in_pieces_is_read_whole(
    unused_tcp_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def pieces(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/plain"})
        await response.prepare(request)
        await response.write(b"1")
        await asyncio.sleep(0.1)
        await response.write(b"2")
        return response

    monkeypatch.setattr("stackroles.domains.database.client.STATS_PORT", unused_tcp_port)
    async with pod(unused_tcp_port, writer=pieces):
        assert await pull_writers({"p-0": "127.0.0.1"}) == {"p-0": 12}
