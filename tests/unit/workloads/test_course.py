"""How a role stands by what its members' agents report."""

from datetime import UTC, datetime

import pytest

from stackroles.workloads.course import Course, Decided, course_of

AT = datetime(2026, 1, 1, 0, 0, 5, tzinfo=UTC)


@pytest.mark.parametrize(
    ("serving", "unsettled", "down"),
    [
        ({"a": True, "b": True, "c": True}, False, False),
        ({"a": True, "b": True, "c": False}, True, False),
        ({"a": False, "b": False, "c": False}, True, True),
        # No answer means unknown, never down.
        ({"a": True, "b": None, "c": None}, False, False),
        ({"a": False, "b": False, "c": None}, True, False),
        ({}, False, False),
    ],
)
def test_what_members_say_of_themselves(
    serving: dict[str, bool | None], unsettled: bool, down: bool
) -> None:
    assert course_of({}, serving) == Course(unsettled=unsettled, down=down, decided=())


def test_what_members_did_by_themselves_is_in_order_and_names_them() -> None:
    actions = {
        "b": {AT.isoformat(): "joins the others anew", "2026-01-01T00:00:01": "has no zone"},
        "a": {"2026-01-01T00:00:01+00:00": "starts its server again", "yesterday": "has no time"},
        "c": {},
    }
    assert course_of(actions, {}).decided == (
        Decided(AT.replace(second=1), "a starts its server again", by="a"),
        Decided(AT, "b joins the others anew", by="b"),
    )
