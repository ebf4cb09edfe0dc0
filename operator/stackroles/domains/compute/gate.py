"""Whether the scheduler may choose a host: closed while no guest runs on it, opened by a probe.

nova's own `[compute] consecutive_build_service_disable_threshold` disables nothing since nova 17:
it only feeds the scheduler's BuildFailureWeigher, which prefers other hosts where there are any.
So this decides alone about closing, and the weigher, which stays on, about order.

A user can make builds fail on any host (an image that no QEMU starts). Hence a closed host is
opened by a probe guest within minutes, and never more than half of a pool's hosts are closed for
failed builds at a time.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from stackroles.agents.compute.node_protocol import FAILURES_LIMIT, BuildFailure

FAILING = "builds fail here: "
UNPROVEN = "no probe guest runs here: "
# nova.objects.service.Service.disabled_reason
_REASON_LIMIT = 255
_REQUEST = "guests-failing-"
_POLLED_SINCE = timedelta(minutes=2)


@dataclass(frozen=True, slots=True, kw_only=True)
class HostGate:
    """What is known of a host that stays in its pool.

    Attributes:
        enabled: whether the scheduler may choose it.
        reason: why it is disabled, in nova's record.
        failures: builds that failed since the last one that succeeded, the newest last; None while
            the node's agent says nothing.
        counted_from: failures before it have been answered by a probe guest that ran.
        proven: whether a probe guest ran; None where that is not known.
        proof: what the last probe guest ended with.
        answered: the request that the last probe answered.
        request: the request that was made when the host was closed, empty for none.
    """

    enabled: bool
    reason: str = ""
    failures: tuple[BuildFailure, ...] | None = None
    counted_from: datetime | None = None
    proven: bool | None = None
    proof: str = ""
    answered: str = ""
    request: str = ""

    @property
    def counted(self) -> tuple[BuildFailure, ...]:
        """The failures in a row that no probe guest has answered."""
        start = self.counted_from.timestamp() if self.counted_from else 0.0
        return tuple(failure for failure in self.failures or () if failure.at >= start)

    @property
    def fault(self) -> str:
        """The fault for which builds closed the host, empty where they did not."""
        if self.enabled or not self.reason.startswith(FAILING):
            return ""
        last = self.counted[-1].fault if self.counted else ""
        return last or self.reason.removeprefix(FAILING)

    @property
    def closed(self) -> bool:
        """Whether its service was disabled for what this module decides about."""
        return not self.enabled and self.reason.startswith((FAILING, UNPROVEN))


@dataclass(frozen=True, slots=True, kw_only=True)
class GateAction:
    """What is done about one host.

    Attributes:
        close: the reason under which its service is disabled, empty to leave it.
        open: whether its service is enabled.
        request: the probe that is asked for, empty for none.
    """

    close: str = ""
    open: bool = False
    request: str = ""


def decide(hosts: Mapping[str, HostGate], threshold: int, now: datetime) -> dict[str, GateAction]:
    """Return what is done about each host; hosts that are left as they are are not in it.

    Args:
        hosts: the pool's hosts by name.
        threshold: failed builds in a row that close a host; 0 for never. A node keeps the last
            FAILURES_LIMIT of them, so that more are as many.
        now: the time of this decision.
    """
    actions: dict[str, GateAction] = {}
    closed = sum(host.reason.startswith(FAILING) for host in hosts.values() if not host.enabled)
    for name, host in sorted(hosts.items()):
        if host.enabled and host.proven is False:
            actions[name] = GateAction(close=f"{UNPROVEN}{host.proof}"[:_REASON_LIMIT])
        elif host.enabled and threshold and len(host.counted) >= min(threshold, FAILURES_LIMIT):
            if 2 * (closed + 1) > len(hosts):
                continue
            closed += 1
            reason = f"{FAILING}{host.counted[-1].fault}"
            request = host.request or request_at(now)
            actions[name] = GateAction(close=reason[:_REASON_LIMIT], request=request)
        elif host.closed and _may_open(host):
            actions[name] = GateAction(open=True)
        elif _lacks_request(host, now):
            actions[name] = GateAction(request=request_at(now))
    return actions


def _lacks_request(host: HostGate, now: datetime) -> bool:
    """Return whether nobody has asked for the probe that opens a host.

    What nova was last seen to say of a host that was just opened may be older than that.
    """
    answered = host.counted_from is not None and now - host.counted_from < _POLLED_SINCE
    return host.closed and host.reason.startswith(FAILING) and not host.request and not answered


def request_at(now: datetime) -> str:
    """Return the name of a probe that is asked for at a time."""
    return f"{_REQUEST}{now:%Y%m%dt%H%M%Sz}"


def _may_open(host: HostGate) -> bool:
    if not host.proven:
        return False
    return host.reason.startswith(UNPROVEN) or (
        bool(host.request) and host.answered == host.request
    )
