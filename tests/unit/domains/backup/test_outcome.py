import json
from typing import Any

import pytest

from stackroles.agents import wire
from stackroles.agents.backup.protocol import RunOutcome, StepResult
from stackroles.domains.backup.outcome import read_outcome

GOOD = RunOutcome(ok=True, verified=True, steps=(StepResult("a", bytes=3),))


def test_success_needs_a_verified_outcome() -> None:
    good = read_outcome(wire.dumps(GOOD))
    unverified = read_outcome(wire.dumps(RunOutcome(ok=True)))

    assert good is not None
    assert (good.ok, good.size) == (True, 3)
    assert unverified is not None
    assert not unverified.ok
    assert read_outcome("killed") is None
    assert read_outcome("[1]") is None
    assert read_outcome("") is None


@pytest.mark.parametrize(
    "changed",
    [
        {"steps": [{"name": "a", "bytes": "many"}]},
        {"steps": [{"bytes": 3}]},
        {"steps": ["x"]},
        {"steps": 3},
        {"stored": {}},
    ],
)
def test_an_outcome_of_another_form_is_none(changed: dict[str, Any]) -> None:
    assert read_outcome(json.dumps({**wire.encode(GOOD), **changed})) is None
