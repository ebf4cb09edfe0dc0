"""A daemon and the agent beside it, as real processes."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from stackroles.agents.compute import daemon

AGENT = """\
import sys
from stackroles.agents.compute import daemon


def look():
    print("up", flush=True)
    return True


sys.exit(daemon.run(("sleep", "60"), look, 0.1))
"""


@pytest.fixture
def no_handler(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave the signals of the tests' own process as they are."""
    monkeypatch.setattr("stackroles.agents.compute.daemon.signal.signal", lambda *_: None)


@pytest.mark.parametrize(("program", "status"), [("exit 3", 3), ("exit 0", 0), ("kill $$", 0)])
@pytest.mark.usefixtures("no_handler")
def test_an_agent_ends_with_its_daemon(program: str, status: int) -> None:
    assert daemon.run(("sh", "-c", program), lambda: True, 0.02) == status


@pytest.mark.usefixtures("no_handler")
def test_a_daemon_is_ended_when_it_is_of_no_use_any_more(tmp_path: Path) -> None:
    looks = iter([True, True, False])
    script = f"trap 'touch {tmp_path}/ended; exit 0' TERM; while :; do sleep .02; done"
    assert daemon.run(("sh", "-c", script), lambda: next(looks, False), 0.2) == 0
    assert next(looks, None) is None
    assert (tmp_path / "ended").exists()


def test_an_agent_that_is_asked_to_end_takes_its_daemon_along() -> None:
    with subprocess.Popen([sys.executable, "-c", AGENT], stdout=subprocess.PIPE) as agent:
        assert agent.stdout is not None
        assert agent.stdout.readline() == b"up\n"
        (child,) = Path(f"/proc/{agent.pid}/task/{agent.pid}/children").read_text().split()
        agent.send_signal(signal.SIGTERM)
        assert agent.wait(30) == 0
    assert not Path(f"/proc/{child}").exists()
