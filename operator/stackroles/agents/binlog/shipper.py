"""Ships the binary logs of a cloud's database into the repository of a policy, piece by piece.

The main program of a Deployment's single pod; standard library only. GET /report answers its
ShipperReport. When it is asked to end it stores what is new first; killed anywhere, it goes on from
what the repository has.
"""

import os
import signal
import sys
import time
from pathlib import Path

from stackroles.agents import signals
from stackroles.agents.backup.progress import Progress
from stackroles.agents.backup.protocol import from_environment
from stackroles.agents.backup.repository import Restic
from stackroles.agents.binlog.member import Member
from stackroles.agents.binlog.protocol import (
    PORT,
    REPORT_PATH,
    ShipperReport,
    ShipperSettings,
    environment_below,
)
from stackroles.agents.binlog.shipping import Shipping
from stackroles.agents.binlog.store import PieceStore
from stackroles.agents.status_server import StatusHandler, serve_status


class _Status:
    """What is answered."""

    ready = True

    def __init__(self, shipping: Shipping) -> None:
        self._shipping = shipping

    @property
    def status(self) -> ShipperReport:
        """How it is."""
        return self._shipping.report()


class ReportHandler(StatusHandler):
    """Answers the report, and nothing else."""

    def code(self, path: str) -> int | None:  # type: ignore[explicit-override]
        """Return HTTP's status for a path, None where nothing is."""
        return 200 if path == REPORT_PATH else None


def ship(shipping: Shipping, interval: float, stopping: signals.StopRequest) -> None:
    """Make rounds until asked to end, and one more then."""
    wakeup = signals.Wakeup()
    while not stopping.is_set():
        due = time.monotonic() + interval
        shipping.round()
        while not stopping.is_set() and (left := due - time.monotonic()) > 0:
            wakeup.wait(left)
    shipping.round()
    wakeup.close()


def main() -> int:
    """Ship what the environment says until SIGTERM; return 0."""
    settings = from_environment(ShipperSettings, os.environ)
    token = Path(settings.token_file).read_text(encoding="utf-8").strip()
    quiet = Progress(write=lambda _: None)
    binlogs = Restic(host=settings.cloud, progress=quiet, environment=environment_below(os.environ))
    store = PieceStore(binlogs, settings.policy, Restic(progress=quiet))
    members = [Member(url, token) for url in settings.members.split(",")]
    shipping = Shipping(settings.policy, members, store)
    stopping = signals.StopRequest()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.ask())
    serve_status(PORT, _Status(shipping), ReportHandler)
    ship(shipping, settings.interval, stopping)
    print("The shipper ends, as it was asked to", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
