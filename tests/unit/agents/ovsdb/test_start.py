"""With which file a member starts, by a stand-in for ovsdb-tool."""

import json
import os
import signal
from dataclasses import replace
from pathlib import Path

import pytest

from stackroles.agents import wire
from stackroles.agents.ovsdb import start
from stackroles.agents.ovsdb.member import Member
from stackroles.agents.ovsdb.membership import Answer, Peer
from stackroles.agents.ovsdb.protocol import (
    DECISION_ANNOTATION,
    Mode,
    OvsdbDecision,
    OvsdbSettings,
    State,
)
from stackroles.roles import ovn
from tests.support.clouds import cloud

OWN, OTHER = "dff2e511-204a-4b4f-af15-33918c4eaa84", "5b2f991a-c17a-407c-8fe2-dc30ac4bf95c"
TOOL = f"""#!/bin/sh
case "$1" in
db-cid) [ -s "$2" ] && echo {OWN};;
join-cluster) echo "joined $5" > "$2";;
cluster-to-standalone) cat "$3" > "$2";;
--election-timer=*) echo "created of $(cat $4)" > "$3";;
*) exit 9;;
esac
"""
NO_HEADER = "ovsdb error: /var/lib/ovn/ovnnb_db.db: cannot identify file type"
MADE_ANEW = "makes the database anew without data, by the consent to incident 0123abcd"
LEFT = "ovsdb error: record 7 indicates server has left the cluster; it cannot be added back"


class Resting(Exception):  # noqa: N818
    """The member waits for a signal."""


@pytest.fixture
def member(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Member:
    """A member of three whose file is empty."""
    tool = tmp_path / "ovsdb-tool"
    tool.write_text(TOOL)
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    monkeypatch.setattr(start, "PAUSE", 0.0)
    (tmp_path / "nb.db").touch()
    settings = wire.loads(OvsdbSettings, ovn.NORTH.settings(cloud()))
    return Member(
        replace(settings, path=str(tmp_path / "nb.db"), annotations=str(tmp_path / "annotations")),
        "demo-ovn-nb-0",
        "uid",
    )


def answers(monkeypatch: pytest.MonkeyPatch, *rounds: dict[int, Answer]) -> None:
    left = list(rounds)
    monkeypatch.setattr(Member, "ask_others", lambda _: left.pop(0) if len(left) > 1 else left[0])


SILENT = {1: Answer(), 2: Answer()}
WAITING = {1: Answer(Peer.WAITING, OWN), 2: Answer()}
SERVING = {1: Answer(Peer.SERVING, OWN), 2: Answer(Peer.SERVING, OWN)}
ELSEWHERE = {1: Answer(Peer.SERVING, OTHER), 2: Answer(Peer.SERVING, OTHER)}


def did(member: Member) -> list[str]:
    """Return what the member answers that it did by itself."""
    return list(member.status.actions.values())


def test_a_broken_file_is_kept_aside_and_the_cluster_joined_anew(
    member: Member, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers(monkeypatch, SILENT, WAITING, SERVING)

    start.prepare(member, NO_HEADER)

    assert member.path.read_text().startswith("joined")
    (aside,) = member.status.aside
    assert Path(aside).read_text() == ""
    assert member.status.fault == NO_HEADER
    assert did(member) == [f"puts its file aside and joins the others anew: {NO_HEADER}"]


def test_a_broken_file_stays_where_it_is_while_nobody_serves(
    member: Member, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []

    def end(_: float) -> None:
        seen.append(member.status)
        raise Resting

    answers(monkeypatch, WAITING)
    monkeypatch.setattr("stackroles.agents.ovsdb.start.time.sleep", end)

    with pytest.raises(Resting):
        start.prepare(member, NO_HEADER)

    assert seen[0].state is State.UNUSABLE
    assert "no other member serves" in seen[0].waits_for
    assert member.path.exists()


@pytest.mark.parametrize("others", [SILENT, WAITING, SERVING])
def test_a_file_that_can_be_used_is_left_alone(
    member: Member, monkeypatch: pytest.MonkeyPatch, others: dict[int, Answer]
) -> None:
    member.path.write_text("whole")
    answers(monkeypatch, others)

    start.prepare(member)

    assert member.path.read_text() == "whole"
    assert member.status.aside == ()
    assert did(member) == []


@pytest.mark.parametrize(
    ("refused", "others", "fault"),
    [
        ("", ELSEWHERE, f"it is of cluster {OWN}, and the others serve in {OTHER}"),
        # It was removed from the cluster, and is wanted.
        (LEFT, SERVING, LEFT),
    ],
)
def test_a_file_of_no_use_is_kept_aside(
    member: Member,
    monkeypatch: pytest.MonkeyPatch,
    refused: str,
    others: dict[int, Answer],
    fault: str,
) -> None:
    member.path.write_text("former")
    answers(monkeypatch, others)

    start.prepare(member, refused)

    assert member.path.read_text().startswith("joined")
    assert Path(member.status.aside[0]).read_text() == "former"
    assert member.status.fault == fault


@pytest.mark.parametrize(("content", "refused"), [("it has left", LEFT), (None, "")])
def test_a_member_too_many_that_has_left_stays_out(
    member: Member, monkeypatch: pytest.MonkeyPatch, content: str | None, refused: str
) -> None:
    leaver = Member(member.settings, "demo-ovn-nb-4", "uid")
    if content is None:
        member.path.unlink()
    else:
        member.path.write_text(content)
    answers(monkeypatch, SERVING)

    def rest() -> None:
        raise Resting

    monkeypatch.setattr(signal, "pause", rest)

    with pytest.raises(Resting):
        start.prepare(leaver, refused)

    assert leaver.status.state is State.LEFT
    assert leaver.status.aside == ()


def tell(member: Member, mode: Mode) -> None:
    decided = OvsdbDecision(attempt=member.status.attempt, mode=mode, incident="0123abcd")
    text = f"{DECISION_ANNOTATION}={json.dumps(wire.dumps(decided))}\n"
    Path(member.settings.annotations).write_text(text)


def test_a_survivor_continues_with_its_data_and_keeps_what_it_was(member: Member) -> None:
    member.path.write_text("data")
    attempt = member.status.attempt
    tell(member, Mode.CONTINUE)

    start.prepare(member)

    assert member.path.read_text() == "created of data\n"
    (aside,) = member.status.aside
    assert Path(aside).read_text() == "data"
    assert member.status.attempt != attempt
    assert member.decision is None
    assert did(member) == ["goes on without the others, by the consent to incident 0123abcd"]


def test_by_consent_a_lost_database_is_made_anew(
    member: Member, monkeypatch: pytest.MonkeyPatch
) -> None:
    member.path.unlink()
    schema = member.path.with_name("schema")
    schema.write_text("schema")
    member.settings = replace(member.settings, schema=str(schema))
    answers(monkeypatch, SILENT)
    tell(member, Mode.CREATE)

    start.prepare(member)

    assert member.path.read_text() == "created of schema\n"
    assert did(member) == [MADE_ANEW]


def test_a_new_database_and_a_new_member_replace_nothing(
    member: Member, monkeypatch: pytest.MonkeyPatch
) -> None:
    member.path.unlink()
    answers(monkeypatch, SERVING)

    start.prepare(member)

    assert member.path.read_text().startswith("joined")
    assert did(member) == []


def test_by_consent_a_file_of_no_use_gives_way_to_a_new_database(member: Member) -> None:
    member.path.write_text("joins nobody")
    schema = member.path.with_name("schema")
    schema.write_text("schema")
    member.settings = replace(member.settings, schema=str(schema))
    tell(member, Mode.CREATE)

    start.prepare(member)

    assert member.path.read_text() == "created of schema\n"
    assert [Path(aside).read_text() for aside in member.status.aside] == ["joins nobody"]
    assert did(member) == [MADE_ANEW]


def test_who_gives_way_by_consent_joins_those_who_serve(
    member: Member, monkeypatch: pytest.MonkeyPatch
) -> None:
    member.path.write_text("of the former cluster")
    tell(member, Mode.YIELD)
    answers(monkeypatch, SILENT, {1: Answer(Peer.SERVING, OTHER), 2: Answer()})

    start.prepare(member)

    assert member.path.read_text().startswith("joined")
    assert [Path(aside).read_text() for aside in member.status.aside] == ["of the former cluster"]
    (action,) = did(member)
    assert action.startswith("puts its file aside and joins the others anew: ")
    assert "by consent to 0123abcd" in action
