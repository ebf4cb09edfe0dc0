"""What an agent reports of what it did by itself."""

from datetime import UTC, datetime, timedelta

from stackroles.agents.actions import KEPT, add_action

START = datetime(2026, 1, 1, tzinfo=UTC)


def test_the_newest_few_are_kept_by_their_time() -> None:
    actions: dict[str, str] = {}
    for n in range(KEPT + 2):
        actions = add_action(actions, f"does {n}", START + timedelta(seconds=n))
    assert list(actions.values()) == [f"does {n}" for n in range(2, KEPT + 2)]
    assert [datetime.fromisoformat(at) for at in actions] == [
        START + timedelta(seconds=n) for n in range(2, KEPT + 2)
    ]


def test_a_long_text_is_shortened_and_what_was_known_stays_as_it_was() -> None:
    known = {START.isoformat(): "does something"}
    found = add_action(known, "a " * 4000, START + timedelta(seconds=1))
    assert len(list(found.values())[-1]) <= 512
    assert known == {START.isoformat(): "does something"}
