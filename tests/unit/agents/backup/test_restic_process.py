"""What one run of restic is watched for."""

import sys
import time
from collections.abc import Iterator

import pytest

from stackroles.agents.backup.restic_process import ResticProcess, Stalled
from tests.support.alarm import alarm

RETRY = "Save(<data/1>) returned error, retrying after 1s: request timeout"
DONE = "Save(<data/1>) operation successful after 2 retries"


@pytest.fixture(autouse=True)
def _ends() -> Iterator[None]:
    with alarm(60):
        yield


def process(program: str, *, feed: bool = False, stall: float = 1.0) -> ResticProcess:
    return ResticProcess((sys.executable, "-u", "-c", program), feed=feed, stall=stall)


# Copies a lot within itself, so that bytes move, and says what it is given.
BUSY = """
import os, sys, time
for line in {lines!r}:
    print(line, file=sys.stderr)
end = time.monotonic() + 3
while time.monotonic() < end:
    with open("/dev/zero", "rb") as zero:
        zero.read(65536)
    time.sleep(0.05)
print("done")
"""


def test_what_keeps_failing_is_given_up_though_bytes_move() -> None:
    child = process(BUSY.format(lines=[RETRY]))

    with pytest.raises(Stalled, match="has failed for 1 s"):
        child.finish()

    child.end()
    assert child.errors == RETRY


@pytest.mark.parametrize("lines", [[], [RETRY, DONE]])
def test_what_moves_bytes_and_recovers_may_take_its_time(lines: list[str]) -> None:
    child = process(BUSY.format(lines=lines))

    assert child.finish() == (0, b"done\n")


def test_a_slow_source_is_not_held_against_the_repository() -> None:
    child = process("import sys; print(len(sys.stdin.buffer.read()))", feed=True, stall=1.0)

    for _ in range(3):
        time.sleep(1.2)  # the source's own time
        child.write(b"x")

    assert child.finish() == (0, b"3\n")


def test_the_text_of_an_error_is_taken_out_of_its_json() -> None:
    said = '{"message_type":"exit_error","code":12,"message":"Fatal: wrong password"}'
    child = process(f"import sys; print({said!r}, file=sys.stderr); sys.exit(12)")

    assert child.finish() == (12, b"")
    assert child.errors == "Fatal: wrong password"


def test_an_end_in_the_middle_takes_a_process_that_ignores_it() -> None:
    program = (
        "import os, signal, time\n"
        "signal.signal(15, signal.SIG_IGN); os.write(1, b'1'); time.sleep(600)"
    )
    child = process(program, feed=True, stall=60)
    assert next(child.chunks()) == b"1"

    child.end()
