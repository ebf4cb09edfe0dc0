"""What a gate answers over HTTP, besides what every agent does (status_server.py).

GET /serving   200 while this member takes requests, 404 while it drains, else 503: the proxies'
GET /ready     200 while it is healthy and settled, active or not, else 503: the kubelet's
GET /status    what this member is: a GateStatus (protocol.py), JSON
"""

from collections.abc import Callable

from stackroles.agents.gate.member import Member
from stackroles.agents.gate.protocol import SERVING_PATH, GateStatus
from stackroles.agents.status_server import StatusHandler, serve_status


class Answers:
    """A member as it is at the moment of the question: a claim ends without anybody's doing."""

    def __init__(self, member: Member, boottime: Callable[[], float]) -> None:
        self._member, self._boottime = member, boottime

    @property
    def status(self) -> GateStatus:
        """What it is."""
        return self._member.status(self._boottime())

    @property
    def ready(self) -> bool:
        """Whether it is settled."""
        return self._member.ready(self._boottime())

    @property
    def serving(self) -> int:
        """HTTP's status for the proxies."""
        return self._member.serving(self._boottime())


class GateHandler(StatusHandler):
    """Answers one request, also of a proxy."""

    def code(self, path: str) -> int | None:  # type: ignore[explicit-override]
        """Return HTTP's status for a path, None where nothing is."""
        member = self.server.member
        if path == SERVING_PATH and isinstance(member, Answers):
            return member.serving
        return super().code(path)


def serve(port: int, member: Member, boottime: Callable[[], float]) -> None:
    """Answer requests in a thread of their own until the process ends."""
    serve_status(port, Answers(member, boottime), GateHandler)
