"""What one run of restic is watched for."""

import sys
import time
from collections.abc import Iterator

import pytest

from stackroles.agents.backup import restic_process
from stackroles.agents.backup.restic_process import ResticProcess, Stalled
from tests.support.alarm import alarm

# Longer than a program takes to start on a busy machine.
STALL = 3.0
RETRY = "Save(<data/1>) returned error, retrying after 1s: request timeout"
DONE = "Save(<data/1>) operation successful after 2 retries"


@pytest.fixture(autouse=True)
def _ends() -> Iterator[None]:
    with alarm(180):
        yield


def process(program: str, *, feed: bool = False, stall: float = STALL) -> ResticProcess:
    return ResticProcess((sys.executable, "-u", "-c", program), feed=feed, stall=stall)


# Copies a lot within itself, so that bytes move, and says what it is given.
BUSY = """
import os, sys, time
for line in {lines!r}:
    print(line, file=sys.stderr)
end = time.monotonic() + 8
while time.monotonic() < end:
    with open("/dev/zero", "rb") as zero:
        zero.read(65536)
    time.sleep(0.05)
print("done")
"""


def test_what_keeps_failing_is_given_up_though_bytes_move() -> None:
    child = process(BUSY.format(lines=[RETRY]))

    with pytest.raises(Stalled, match="has failed for 3 s"):
        child.finish()

    child.end()
    assert child.errors == RETRY


def test_a_stall_is_reported_without_the_output_of_its_end() -> None:
    program = (
        "import signal, sys, time\n"
        "signal.signal(15, lambda *_: sys.exit('signal terminated received, cleaning up'))\n"
        "print('unable to open repository', file=sys.stderr); time.sleep(600)"
    )
    child = process(program, stall=2)

    with pytest.raises(Stalled) as stalled:
        child.finish()
    child.end()

    assert "signal terminated" in child.errors
    assert stalled.value.complaint == "unable to open repository"


def test_what_is_sent_again_and_again_is_no_progress() -> None:
    child = process(
        "import time\n"
        "end = time.monotonic() + 30\n"
        "while time.monotonic() < end:\n"
        "    with open('/dev/null', 'wb') as sink: sink.write(bytes(1 << 20))\n"
        "    time.sleep(0.05)\n"
    )

    with pytest.raises(Stalled, match="no progress for 3 s"):
        child.finish()

    child.end()


def test_what_keeps_it_is_reported_before_it_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(restic_process, "NOTICE_SECONDS", 0.5)
    troubles: list[str] = []
    program = "import sys, time; time.sleep(2.5); print(len(sys.stdin.buffer.read()))"
    command = (sys.executable, "-c", program)
    child = ResticProcess(command, feed=True, stall=20, trouble=troubles.append)

    child.write(bytes(4 << 20))
    time.sleep(1)
    child.write(bytes(4 << 20))

    assert child.finish() == (0, b"8388608\n")
    assert troubles[0].startswith("no progress for ")
    assert troubles[-1] == ""


@pytest.mark.parametrize("lines", [[], [RETRY, DONE]])
def test_what_moves_bytes_and_recovers_may_take_its_time(lines: list[str]) -> None:
    child = process(BUSY.format(lines=lines))

    assert child.finish() == (0, b"done\n")


def test_a_slow_source_is_not_held_against_the_repository() -> None:
    child = process("import sys; print(len(sys.stdin.buffer.read()))", feed=True, stall=STALL)

    for _ in range(2):
        time.sleep(STALL + 0.2)  # the source's own time
        child.write(b"x")

    assert child.finish() == (0, b"2\n")


def test_the_text_of_an_error_is_taken_out_of_its_json() -> None:
    error = '{"message_type":"exit_error","code":12,"message":"Fatal: wrong password"}'
    child = process(f"import sys; print({error!r}, file=sys.stderr); sys.exit(12)")

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
