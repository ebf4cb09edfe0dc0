"""How the data of a stopped member is made ready for a start, and by what command that happens."""

import subprocess
import sys
import tempfile

from stackroles.agents.galera.protocol import Decision, Mode, Position
from stackroles.agents.galera.settings import MemberSettings
from stackroles.agents.galera.volume import Volume

_OPTIONS_SECONDS = 60.0


def check_options(settings: MemberSettings) -> None:
    """Raise ValueError with the server's errors when it would reject its options.

    A server looks at most of them only after it has joined; to leave then stops all writes until
    the others have dropped it.
    """
    with tempfile.TemporaryDirectory() as nowhere:
        command = [settings.server, *settings.options(), f"--datadir={nowhere}"]
        done = subprocess.run(
            [*command, "--verbose", "--help"],
            capture_output=True,
            text=True,
            timeout=_OPTIONS_SECONDS,
            check=False,
        )
    if done.returncode != 0:
        errors = [line for line in done.stderr.splitlines() if "[ERROR]" in line]
        raise ValueError("; ".join(errors[:3]) or f"it refuses its options ({done.returncode})")


def prepare(
    settings: MemberSettings, volume: Volume, decision: Decision, position: Position
) -> list[str]:
    """Make the data ready and return the server's command.

    Raises:
        OSError, subprocess.SubprocessError: the data cannot be made ready.
    """
    command = [settings.server, *settings.options()]
    if decision.mode is Mode.JOIN:
        volume.begin_join()
    if decision.mode is Mode.CREATE:
        volume.begin_creation()
        subprocess.run(settings.install_command(), check=True, stdout=sys.stderr)
        return [*command, "--wsrep-new-cluster"]
    if decision.mode is Mode.BOOTSTRAP:
        volume.allow_bootstrap()
        command.append("--wsrep-new-cluster")
    elif position.uuid is None or decision.full:
        # A joiner that names no position is sent everything.
        if position.empty:
            volume.clear()
            volume.end_creation()
        if decision.full and position.uuid is not None:
            volume.forget_position()
        return [*command, f"--wsrep-sst-method={decision.transfer}"]
    start = f"--wsrep-start-position={position.uuid}:{position.seqno}"
    return [*command, start, f"--wsrep-sst-method={decision.transfer}"]
