"""The file of an OVN database's member: made where there is none that can be read."""

import subprocess
import threading
import time
from collections.abc import Sequence
from pathlib import Path

from stackroles.agents.ovsdb.log import log
from stackroles.agents.ovsdb.membership import Create, Join, Wait, decide
from stackroles.agents.ovsdb.peers import EmptyServer, ask
from stackroles.agents.ovsdb.protocol import OvsdbSettings

PAUSE = 0.3
REMIND_AFTER = 10.0


def fault_of(path: Path) -> str:
    """Return why ovsdb-server could not start with a file, empty when it can.

    A file whose end is missing is none: the server drops the last record, and gets it from others.
    """
    read = subprocess.run(
        ["ovsdb-tool", "db-name", str(path)], capture_output=True, text=True, check=False
    )
    return (read.stderr.strip() or f"exit code {read.returncode}") if read.returncode else ""


def prepare(settings: OvsdbSettings, ordinal: int) -> None:
    """Make the database's file if there is none, or none that can be read."""
    path = Path(settings.path)
    others = [n for n in range(len(settings.members)) if n != ordinal]
    if not path.exists():
        decision = _settle_empty(settings, ordinal, others)
    elif fault := fault_of(path):
        decision = _settle(settings, ordinal, others, fault)
        aside = path.with_suffix(".broken")
        log(f"{path} cannot be read and is kept as {aside}: {fault}")
        path.rename(aside)
    else:
        return
    new = path.with_suffix(".new")
    new.unlink(missing_ok=True)
    made = subprocess.run(_tool(settings, ordinal, decision, new), check=False)
    if made.returncode:
        raise SystemExit(f"ovsdb: {path} could not be made: ovsdb-tool says why above")
    new.rename(path)


def _settle_empty(settings: OvsdbSettings, ordinal: int, others: Sequence[int]) -> Create | Join:
    """Return the decision of a member without a file, which says so while it waits."""
    with EmptyServer(("0.0.0.0", settings.port)) as server:  # noqa: S104 - a pod
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.1}).start()
        try:
            return _settle(settings, ordinal, others)
        finally:
            server.shutdown()


def _settle(
    settings: OvsdbSettings, ordinal: int, others: Sequence[int], fault: str = ""
) -> Create | Join:
    """Return the decision once it is safe, saying now and then what is waited for."""
    reported, reported_at = "", 0.0
    while True:
        peers = {n: ask(settings.members[n], settings.port, settings.database) for n in others}
        decision = decide(ordinal, peers, fault)
        if not isinstance(decision, Wait):
            log(f"no data that can be used here: {decision}")
            return decision
        if decision.because != reported or time.monotonic() - reported_at > REMIND_AFTER:
            reported, reported_at = decision.because, time.monotonic()
            log(f"no data that can be used here: waiting, because {reported}")
        time.sleep(PAUSE)


def _tool(settings: OvsdbSettings, ordinal: int, decision: Create | Join, path: Path) -> list[str]:
    local = settings.raft(ordinal)
    match decision:
        case Create():
            timer = f"--election-timer={settings.election_timer_ms}"
            return ["ovsdb-tool", timer, "create-cluster", str(path), settings.schema, local]
        case Join(through):
            remotes = [settings.raft(n) for n in through]
            return ["ovsdb-tool", "join-cluster", str(path), settings.database, local, *remotes]
