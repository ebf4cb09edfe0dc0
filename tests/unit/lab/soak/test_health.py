"""What counts as full strength."""

from typing import Any

import pytest

from lab.errors import LabError
from lab.soak import health

BED: Any = None


@pytest.mark.parametrize(
    ("detail", "text"), [("", "no answer"), ("a\n", "no answer"), ("a\nb", "b")]
)
def test_a_check_that_fails_is_never_taken_for_whole(detail: str, text: str) -> None:
    def check(_: Any) -> str:
        raise LabError("no answer", detail=detail)

    assert health._checked(check, BED) == text


def test_members_are_asked_only_once_the_objects_are_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    state = {"_cloud": "cloud: rolls", "_pods": ""}

    def answer(name: str) -> Any:
        def check(*_: Any) -> str:
            asked.append(name)
            return state.get(name, "")

        return check

    for name in ("_cloud", "_pool", "_pods", "_database", "_brokers", "_ovn", "_active"):
        monkeypatch.setattr(health, name, answer(name))
    assert health.missing(BED, {}) == "cloud: rolls"
    assert asked == ["_cloud"]
    state["_cloud"] = ""
    assert health.missing(BED, {}) == ""
    assert {"_database", "_brokers", "_ovn", "_active"} <= set(asked)
