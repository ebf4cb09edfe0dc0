from typing import Any

import pytest
from aiohttp import web

from stackroles.agents.galera import Agent
from stackroles.agents.galera_settings import Settings
from stackroles.members import parse_report, parse_writer, pull_reports
from stackroles.plan.galera_model import Phase, Position


def test_what_an_agent_says_is_understood(tmp_path: Any) -> None:
    settings = Settings(
        member="m-0", pod_uid="uid", address="10.0.0.1", ordinal=0, peers=(), volume=tmp_path
    )
    agent = Agent(settings)
    agent.volume.record_obeyed({"attempt": "a", "epoch": 40})

    report = parse_report(agent.report())

    assert report is not None
    assert (report.pod_uid, report.volume_id, report.address) == (
        "uid",
        agent.volume_id,
        "10.0.0.1",
    )
    assert report.phase is Phase.RECOVERING
    assert report.position is None
    assert report.obeyed == 40


@pytest.mark.parametrize(
    "answer",
    [None, "text", [], {}, {"podUid": "u", "volumeId": "v", "attempt": "a", "phase": "Dancing"}],
)
def test_what_is_no_report_is_unknown(answer: Any) -> None:
    assert parse_report(answer) is None


def test_a_position_is_taken_whole_or_not_at_all() -> None:
    said = {"podUid": "u", "volumeId": "v", "attempt": "a", "phase": "Waiting"}
    position = {
        "empty": False, "uuid": "x", "seqno": 4, "safe": True, "prepared": False,
        "transfer": False, "error": "",
    }  # fmt: skip

    report = parse_report({**said, "position": position})
    assert report is not None
    assert report.position == Position(uuid="x", seqno=4, safe=True)
    del position["seqno"]
    assert parse_report({**said, "position": position}) is None


@pytest.mark.parametrize(
    ("answer", "expected"), [("2\n", 2), ("0", 0), ("", None), (None, None), ("-1", None)]
)
def test_a_writer_is_a_number(answer: Any, expected: int | None) -> None:
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
    monkeypatch.setattr("stackroles.members.AGENT_PORT", unused_tcp_port)

    assert await pull_reports({"m-0": "127.0.0.1", "m-1": "127.0.0.2"}) == {
        "m-0": None,
        "m-1": None,
    }
    await runner.cleanup()
