"""PID 1 of an OVN database: joins the cluster that exists, or makes the one that never did.

A file that cannot be used is put aside; a member that joined anew removes its former self; one that
is not wanted any more leaves when it is asked to.
"""

import os
import signal
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from stackroles.agents import wire
from stackroles.agents.ovsdb.member import Member
from stackroles.agents.ovsdb.protocol import OvsdbSettings
from stackroles.agents.ovsdb.server import OvsdbServer
from stackroles.agents.ovsdb.start import prepare
from stackroles.agents.ovsdb.watch import Watch
from stackroles.agents.status_server import serve_status

# A server that was killed is started again at once; one that ends soon after its start is left to
# the kubelet, which waits longer and longer and shows it.
SOON = 10.0


@dataclass
class Run:
    """One start of the server after the other, in one container.

    Attributes:
        member: this member.
        refused: why the server could not use its file at its last start.
        stopping: whether the container is to end.
    """

    member: Member
    refused: str = ""
    stopping: bool = False

    def once(self) -> int | None:
        """Run the server once; return the agent's exit status, None when it is to be run again."""
        # PID 1 has no default action for signals: without a handler SIGTERM would be ignored.
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
        prepare(self.member, self.refused)
        began = time.monotonic()
        server = OvsdbServer(self.member.settings)
        signal.signal(signal.SIGTERM, lambda *_: self._stop(server))
        watch = Watch(self.member, server)
        watch.run()
        self.refused = server.fault or watch.fault
        if self.stopping:
            return 0 if server.status in (0, -signal.SIGTERM) else server.status
        if watch.again or server.fault:
            return None
        if time.monotonic() - began > SOON:
            self.member.note(f"starts its server again, which ended with {server.status}")
            return None
        return server.status

    def _stop(self, server: OvsdbServer) -> None:
        self.stopping = True
        server.terminate()


def main(arguments: Sequence[str]) -> int:
    """Run the database; return its exit status."""
    settings = wire.loads(OvsdbSettings, Path(arguments[0]).read_bytes())
    member = Member(settings, os.environ["POD_NAME"], os.environ.get("POD_UID", ""))
    serve_status(settings.agent_port, member)
    run = Run(member)
    while (status := run.once()) is None:
        pass
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
