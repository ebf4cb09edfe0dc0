"""Repeats what changes something outside of Kubernetes: until it is done, then so that it stays."""

from collections.abc import Callable
from typing import Final

import structlog
from typing_extensions import override

from stackroles.errors import LeadershipLost
from stackroles.kube.kinds import Key, PartRef
from stackroles.kube.writer import Fence
from stackroles.runtime.poller import AsyncPoller, Poll

log = structlog.get_logger(__name__)

_LEAST_SECONDS: Final = 1.0


class Tasks(AsyncPoller):
    """Runs actions as `AsyncPoller` runs polls, each only while it may act.

    An action is idempotent and returns what it made true. Before each run the resource it belongs
    to must exist and not be suspended, whatever its own pass has seen so far, and this process must
    hold the Lease for long enough.
    """

    def __init__(
        self,
        enqueue: Callable[[Key], None],
        monotonic: Callable[[], float],
        *,
        is_active: Callable[[Key], bool],
        fence: Fence,
    ) -> None:
        """Make a runner without actions.

        Args:
            enqueue: reconciles what an action belongs to, when its result differs from the last.
            monotonic: seconds that never go back.
            is_active: returns whether a resource exists and is not suspended.
            fence: seconds for which this process may write.
        """
        super().__init__(enqueue, monotonic)
        self._is_active = is_active
        self._fence = fence

    @override
    def _may_call(self, poll: Poll) -> bool:
        whole = poll.notify.whole if isinstance(poll.notify, PartRef) else poll.notify
        if not self._is_active(whole):
            log.debug("A task rests: its resource is gone or suspended")
            return False
        try:
            return self._fence() > _LEAST_SECONDS
        except LeadershipLost:
            return False
