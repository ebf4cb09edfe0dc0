"""PID 1 of an endpoint: runs HAProxy and tells it where the members of each API are.

It follows the members' EndpointSlices and sets HAProxy's servers at run time. Without the API
server the known members stay, and HAProxy's own checks go on. Where slices say that a role is
paused, its requests are refused at once; the endpoint stays ready. After SIGTERM connections are
still accepted until every node has withdrawn this pod from its Services; then HAProxy stops softly,
and the sessions that are left are completed.
"""

import os
import signal
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from stackroles.agents import wire
from stackroles.agents.endpoint.haproxy_process import HaproxyProcess
from stackroles.agents.endpoint.members import MemberServers, log
from stackroles.agents.endpoint.pauses import Pauses
from stackroles.agents.endpoint.protocol import EndpointSettings, EndpointStatus
from stackroles.agents.endpoint.runtime import RuntimeApi
from stackroles.agents.endpoint.watch import Api, SliceWatch
from stackroles.agents.kube_api import KubeApi, Object
from stackroles.agents.signals import Wakeup
from stackroles.agents.status_server import serve_status

# Servers are compared so often, also when no member came or left.
_COMPARE_SECONDS: Final = 10.0
# So often while HAProxy starts, its members were not checked yet, or it refused a change.
_RETRY_SECONDS: Final = 0.2


@dataclass
class Endpoint:
    """HAProxy's process, its members, and whether clients may come.

    Attributes:
        settings: what the operator gives.
        haproxy: HAProxy.
        slices: EndpointSlices by name; None until they were listed.
        watch: who follows them.
        wakeup: ends the main thread's wait when there is something to do.
    """

    settings: EndpointSettings
    haproxy: HaproxyProcess
    slices: Mapping[str, Object] | None = None
    watch: SliceWatch | None = None
    wakeup: Wakeup = field(default_factory=Wakeup)
    _settled: bool = False
    _stop_asked: float | None = None
    _problem: str = ""

    def __post_init__(self) -> None:
        api = RuntimeApi(self.settings.socket)
        self._servers = MemberServers(api, self.settings.backends)
        self._pauses = Pauses(api, self.settings)

    @property
    def ready(self) -> bool:
        """Whether clients may come."""
        return self._settled and self._stop_asked is None

    @property
    def status(self) -> EndpointStatus:
        """What the members are to HAProxy, and which backends are paused."""
        try:
            status = replace(self._servers.status(), paused=self._pauses.current())
        except OSError as error:
            return EndpointStatus(message=f"HAProxy does not answer: {error}")
        problem = self.watch.problem if self.watch else ""
        return replace(status, message="; ".join(filter(None, (status.message, problem))))

    def publish(self, slices: Mapping[str, Object]) -> None:
        """Take what the API server says of the members."""
        self.slices = slices
        self.wakeup.notify()

    def stop(self) -> None:
        """Begin to leave; called by a signal's handler."""
        if self._stop_asked is None:
            self._stop_asked = time.monotonic()

    def run(self) -> int:
        """Keep HAProxy's servers until it is asked to leave; return the exit status."""
        while (pause := self._drained_in()) > 0:
            status = self.haproxy.poll()
            if status is not None and not self.haproxy.start_again(status):
                return status if status > 0 else 1
            done = self._keep()
            self.wakeup.wait(min(pause, _COMPARE_SECONDS if done else _RETRY_SECONDS))
        self.haproxy.stop(self.settings.stop_seconds)
        return 0

    def _drained_in(self) -> float:
        """Return for how many seconds more connections are accepted."""
        if self._stop_asked is None:
            return float("inf")
        return self._stop_asked + self.settings.drain_seconds - time.monotonic()

    def _keep(self) -> bool:
        """Set HAProxy's servers and pauses; return whether nothing is left to be done."""
        if self.slices is None or not Path(self.settings.socket).exists():
            return False
        try:
            # Members come first: a pause that cannot be set costs no role its members.
            self._servers.apply(self.slices)
            self._pauses.apply(self.slices)
            if not self._settled and self._servers.settled():
                self._settled = True
                log("ready: its members are set and were checked")
        except OSError as error:
            self._report(f"HAProxy is not set: {error}")
            return False
        self._report("")
        return self._settled

    def _report(self, problem: str) -> None:
        if problem and problem != self._problem:
            log(problem)
        self._problem = problem


def serve(settings: EndpointSettings, kubernetes: Api) -> int:
    """Run the endpoint until it is asked to stop; return the exit status."""
    # Until HAProxy runs there is nothing to drain. PID 1 has no default action for signals.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    with HaproxyProcess(settings) as haproxy:
        endpoint = Endpoint(settings, haproxy)
        signal.signal(signal.SIGTERM, lambda *_: endpoint.stop())
        ended = threading.Event()
        endpoint.watch = SliceWatch(kubernetes, settings, endpoint.publish)
        serve_status(settings.port, endpoint)
        threading.Thread(target=endpoint.watch.run, args=(ended,), daemon=True).start()
        haproxy.start()
        status = endpoint.run()
        ended.set()
    return status


def main(arguments: Sequence[str]) -> int:
    """Run the endpoint with the settings in a file; return the exit status."""
    settings = wire.loads(EndpointSettings, Path(arguments[0]).read_bytes())
    return serve(settings, KubeApi.in_pod(os.environ))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
