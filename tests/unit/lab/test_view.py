"""The demo's view of its phases."""

import io

import pytest
from rich.console import Console

from lab.errors import LabError
from lab.view import Journey, Notify, Phase

WAITS = "None of 2 nodes serves instances yet."


def lines(phase: Phase) -> tuple[list[str], BaseException | None]:
    """Run one phase where there is no terminal; return what was printed, and its error."""
    out = io.StringIO()
    try:
        Journey("demo", [phase], Console(file=out, width=200)).run()
    except LabError as error:
        return out.getvalue().splitlines(), error
    return out.getvalue().splitlines(), None


def wait(notify: Notify) -> None:
    notify(WAITS)


def fail(notify: Notify) -> None:
    notify(WAITS)
    raise LabError("the nodes did not serve")


def test_a_phase_that_is_done_shows_nothing_that_it_waited_for() -> None:
    *before, last = lines(Phase("compute nodes", wait))[0]
    assert any(WAITS in line for line in before)
    assert last.endswith("compute nodes: done")


def test_a_phase_that_failed_shows_what_it_waited_for() -> None:
    printed, error = lines(Phase("compute nodes", fail))
    assert printed[-1].endswith(f"failed - {WAITS}")
    with pytest.raises(LabError, match="did not serve"):
        raise error or AssertionError("no error")
