"""When an ovn-controller forgets how new the southbound database was."""

import pytest

from stackroles.agents.compute import ovn_controller
from stackroles.agents.compute.node import AgentError
from stackroles.agents.compute.ovn_controller import ChassisKeeper
from stackroles.agents.compute.southbound import PATIENCE, Southbound


def resets(*seen: tuple[float, str]) -> list[float]:
    southbound = Southbound()
    return [at for at, state in seen if southbound.needs_reset(state, at)]


AWAY, WELL = "not connected", "connected"


@pytest.mark.parametrize(
    ("seen", "at"),
    [
        (((0, WELL), (5, WELL), (100, WELL)), []),
        (((0, AWAY), (5, AWAY), (PATIENCE, AWAY)), [PATIENCE]),
        # Not at every look, and again when it did not help.
        (((0, AWAY), (15, AWAY), (20, AWAY), (30, AWAY)), [15, 30]),
        # It went from one member to the next.
        (((0, AWAY), (10, WELL), (14, AWAY), (20, AWAY)), []),
        (((0, "not there (it does not run)"), (16, "not there (it does not run)")), [16]),
    ],
)
def test_one_that_stays_away_is_told(seen: tuple[tuple[float, str], ...], at: list[float]) -> None:
    assert resets(*seen) == at


def test_telling_goes_to_the_daemon_and_may_fail(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = []

    def ask(_: object, program: str, *command: str) -> str:
        asked.append((program, *command))
        raise AgentError("ovn-controller does not run")

    monkeypatch.setattr(ovn_controller, "ask", ask)
    monkeypatch.setattr(ovn_controller, "connection", lambda: AWAY)
    monkeypatch.setattr(ovn_controller, "register", lambda _: False)
    keeper = ChassisKeeper({})
    keeper.check(0.0)
    assert asked == []
    keeper.check(PATIENCE)
    assert asked == [("ovn-controller", "sb-cluster-state-reset")]
    assert "ovn-controller does not run" in capsys.readouterr().err
