"""What an operator and an agent of different versions make of each other's messages."""

import json
from pathlib import Path
from typing import Any

import pytest

from stackroles.agents import wire
from stackroles.agents.galera.agent import Agent
from stackroles.agents.galera.protocol import (
    Activity,
    Decision,
    MemberPhase,
    Mode,
    Position,
    Report,
    Transfer,
    View,
)
from stackroles.agents.galera.settings import MemberSettings
from stackroles.agents.galera.volume import AppliedDecision
from stackroles.domains.database.decide import decide
from stackroles.domains.database.model import Member, PersistedState, Verdict

HISTORY = "57536cfa-e693-11f1-bcb2-eb91ac8f95a5"
# As agents answered before the protocol was a module; kept as they came.
OLD_POSITION = {
    "empty": False, "uuid": HISTORY, "seqno": 12, "safe": True, "prepared": False,
    "transfer": False, "error": "",
}  # fmt: skip
OLD_VIEW = {
    "primary": True, "ready": True, "connected": True, "state": 2, "comment": "Donor/Desynced",
    "uuid": HISTORY, "committed": 40, "size": 3, "view": 7,
    "addresses": ["10.0.0.1", "10.0.0.2"], "synced": False,
}  # fmt: skip


def old_report(n: int, **changed: Any) -> str:
    answer = {
        "member": f"m-{n}", "podUid": f"pod-{n}", "volumeId": f"vol-{n}", "address": f"10.0.0.{n}",
        "creating": False, "failedStarts": 0, "failure": "", "appliedEpoch": 3, "backingOff": False,
        "nonPrimarySeconds": 0, "wsrep": None, "attempt": f"attempt-{n}", "phase": "Waiting",
        "position": OLD_POSITION, "mode": None, "activity": None,
    }  # fmt: skip
    return json.dumps({**answer, **changed})


def test_reports_of_older_agents_lead_to_the_same_decision() -> None:
    members = [
        Member(
            name=f"m-{n}",
            ordinal=n,
            pod_uid=f"pod-{n}",
            report=wire.loads(
                Report, old_report(n, position={**OLD_POSITION, "seqno": 10 + n, "safe": False})
            ),
        )
        for n in range(3)
    ]

    outcome = decide(members, PersistedState(uuid=HISTORY, complete=True), "leader")

    assert outcome.verdict is Verdict.STARTING
    assert outcome.decisions == {
        "m-2": Decision(attempt="attempt-2", epoch=4, mode=Mode.BOOTSTRAP, uuid=HISTORY, seqno=12)
    }


def test_a_running_member_of_an_older_agent_is_understood() -> None:
    answer = old_report(0, phase="Running", mode="join", wsrep=OLD_VIEW, activity="Donor")
    report = wire.loads(Report, answer)

    assert report.phase is MemberPhase.RUNNING
    assert report.activity is Activity.DONOR
    assert report.view == View(
        primary=True,
        synced=False,
        uuid=HISTORY,
        committed=40,
        size=3,
        state=2,
        addresses=frozenset({"10.0.0.1", "10.0.0.2"}),
    )
    assert report.view.donor


@pytest.mark.parametrize("activity", [None, "Donor", "Joining", "SST"])
def test_a_member_joins_while_its_server_is_not_synced(activity: str | None) -> None:
    report = wire.loads(Report, old_report(0, activity=activity))

    assert report.joining is (activity in ("Joining", "SST"))


def test_an_agent_that_has_just_begun_reports_neither_mode_nor_activity() -> None:
    answer = json.loads(old_report(0, phase="Recovering", position=None))
    del answer["mode"], answer["activity"]

    assert wire.loads(Report, json.dumps(answer)).phase is MemberPhase.RECOVERING


@pytest.mark.parametrize("missing", sorted(OLD_POSITION))
def test_a_position_is_taken_whole_or_not_at_all(missing: str) -> None:
    half = {name: value for name, value in OLD_POSITION.items() if name != missing}

    assert wire.loads(Report, old_report(0)).position == Position(uuid=HISTORY, seqno=12, safe=True)
    with pytest.raises(wire.WireError, match=f"position has no {missing}"):
        wire.loads(Report, old_report(0, position=half))


def test_what_an_older_operator_reads_is_still_reported(tmp_path: Path) -> None:
    settings = MemberSettings(
        member="m-0", pod_uid="uid", address="10.0.0.1", ordinal=0, peers=(), volume=tmp_path
    )
    agent = Agent(settings)
    agent.volume.record_applied(AppliedDecision("a", 40))

    answer = wire.encode(agent.report())

    assert answer.keys() >= json.loads(old_report(0)).keys()
    assert (answer["podUid"], answer["phase"], answer["appliedEpoch"]) == ("uid", "Recovering", 40)
    assert wire.encode(Position()).keys() == OLD_POSITION.keys()
    view = View(primary=True, synced=True, uuid=HISTORY, committed=1)
    assert wire.encode(view).keys() >= {
        "primary", "synced", "uuid", "committed", "size", "state", "addresses"
    }  # fmt: skip


def test_a_decision_of_an_older_operator_may_lack_what_came_later() -> None:
    least = '{"attempt": "a", "epoch": 1, "mode": "join"}'

    assert wire.loads(Decision, least) == Decision(
        attempt="a", epoch=1, mode=Mode.JOIN, transfer=Transfer.MARIABACKUP
    )
