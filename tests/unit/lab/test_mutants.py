"""Scores of mutants, from what mutmut notes."""

from lab import mutants
from lab.paths import REPOSITORY

CODES = {"a": 1, "b": 0, "c": 36, "d": 33, "e": None, "f": 1, "g": -24}


def test_mutants_with_which_a_test_failed_or_did_not_end_are_found() -> None:
    found = mutants.score("join", CODES)

    assert (found.found, found.total) == (4, 7)
    assert found.left == ("b", "d", "e"), "not tested is not found"


def test_the_percentage_is_of_all_mutants_together() -> None:
    scores = [mutants.Score("a", 9, 10, ()), mutants.Score("b", 0, 10, ())]

    assert mutants.percent(scores) == 45.0
    assert mutants.percent([]) == 0.0
    assert mutants.table(scores).splitlines()[1].split() == ["a", "9", "10"]


def test_of_a_mutant_the_lines_that_differ_are_shown() -> None:
    shown = "# name: survived\n--- a.py\n+++ a.py\n@@ -1,2 +1,2 @@\n same\n-a = -1\n+a = +1\n"

    assert mutants.changed_lines(shown) == "-a = -1\n+a = +1"


def test_the_workspace_has_what_is_to_be_mutated_and_its_tests() -> None:
    for name in mutants._MODULES:
        assert (REPOSITORY / "operator" / mutants._PACKAGE / f"{name}.py").is_file()
    for name in mutants._FILES:
        assert (REPOSITORY / mutants._TESTS / f"{name}.py").is_file()
