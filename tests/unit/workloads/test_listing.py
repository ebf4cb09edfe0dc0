"""Lists in messages."""

import pytest

from stackroles.workloads.listing import list_some


@pytest.mark.parametrize(
    ("items", "total", "text"),
    [
        ([], 0, ""),
        (["a", "b"], 0, "a, b"),
        (["a", "b", "c"], 0, "a, b and 1 more"),
        (["a"], 5, "a and 4 more"),
        (["a", "b", "c"], 7, "a, b and 5 more"),
    ],
)
def test_what_is_left_out_is_counted(items: list[str], total: int, text: str) -> None:
    assert list_some(items, 2, total=total) == text


def test_items_that_hold_commas_are_set_apart() -> None:
    assert list_some(["a, b", "c"], 2, separator="; ") == "a, b; c"
