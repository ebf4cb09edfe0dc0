"""A claim on each namespace: two operators never act on the same resources.

An installation claims a namespace by a Lease in it before it acts on what is there. Its replicas
share the claim, so that a change of the leader waits for nothing; which of them acts is for the
installation's own Lease (leader.py), whose election this repeats with longer times.
"""

import asyncio
from collections.abc import Callable
from datetime import datetime
from typing import Final

import structlog

from stackroles.errors import LeadershipLost
from stackroles.kube.client import KubeClient
from stackroles.runtime.leader import Elector, Leadership, Times

LEASE: Final = "stackroles-operator"
# Whoever removes an operator and installs another elsewhere waits a minute, or deletes the Lease.
TIMES: Final = Times(lease=60.0, renew=40.0, retry=10.0)
log = structlog.get_logger(__name__)


class NamespaceClaims:
    """The namespaces that this installation has claimed.

    Args:
        client: the Kubernetes API.
        installation: the same for all replicas of an installation, and for no other.
        boottime: seconds that never go back and also pass while the machine sleeps.
        now: the wall clock.
        times: of the claims.
    """

    def __init__(
        self,
        client: KubeClient,
        installation: str,
        *,
        boottime: Callable[[], float],
        now: Callable[[], datetime],
        times: Times = TIMES,
    ) -> None:
        self._client = client
        self.installation = installation
        self._boottime = boottime
        self._now = now
        self._times = times
        self._claims: dict[str, Claim] = {}
        self._wanted = asyncio.Event()

    def holds(self, namespace: str) -> bool:
        """Return whether this installation may act in a namespace; from now on it competes for it.

        Args:
            namespace: the namespace; "" for what has none, which nobody claims.
        """
        if not namespace:
            return True
        claim = self._claims.get(namespace)
        if claim is None:
            self._claims[namespace] = claim = self._claim(namespace)
            self._wanted.set()
        return claim.ask()

    def holder(self, namespace: str) -> str:
        """Return which other installation holds a namespace, empty where none is known."""
        claim = self._claims.get(namespace)
        return claim.other if claim else ""

    def refused(self) -> dict[str, str]:
        """Return the installation that holds each namespace in which this one may not act."""
        return {name: claim.other for name, claim in self._claims.items() if claim.other}

    async def run(self) -> None:
        """Compete for every namespace that was asked for, until cancelled.

        Raises:
            LeadershipLost: another installation took a namespace that was held; what is under way
                there ends with the process.
        """
        begun: set[Claim] = set()
        async with asyncio.TaskGroup() as group:
            while True:
                self._wanted.clear()
                for claim in set(self._claims.values()) - begun:
                    begun.add(claim)
                    group.create_task(self._compete(claim))
                await self._wanted.wait()

    async def _compete(self, claim: "Claim") -> None:
        try:
            await claim.run()
        except LeadershipLost:
            if claim.other:
                raise
            log.warning("Namespace could not be claimed anew", namespace=claim.namespace)
        # The next that asks for it competes again.
        del self._claims[claim.namespace]

    def _claim(self, namespace: str) -> "Claim":
        def elector(leadership: Leadership) -> Elector:
            return Elector(
                self._client,
                leadership,
                namespace=namespace,
                name=LEASE,
                identity=self.installation,
                boottime=self._boottime,
                now=self._now,
                times=self._times,
            )

        return Claim(namespace, self.installation, self._boottime, self._times, elector)


class Claim:
    """The claim on one namespace."""

    def __init__(
        self,
        namespace: str,
        installation: str,
        boottime: Callable[[], float],
        times: Times,
        elector: Callable[[Leadership], Elector],
    ) -> None:
        self.namespace = namespace
        self._installation = installation
        self._boottime = boottime
        self._times = times
        self._leadership = Leadership(boottime, times)
        self._elector = elector(self._leadership)
        self._asked = boottime()

    @property
    def other(self) -> str:
        """The other installation that holds it, empty where none is known to."""
        holder = self._elector.holder
        return "" if self._leadership.leading or holder == self._installation else holder

    def ask(self) -> bool:
        """Return whether this installation may act there now."""
        self._asked = self._boottime()
        return self._leadership.leading

    async def run(self) -> None:
        """Compete until nobody asks for what is not held.

        Raises:
            LeadershipLost: what was held is not any more.
        """
        competing = asyncio.create_task(self._elector.run())
        try:
            await self._watch(competing)
        finally:
            competing.cancel()
        if competing.done() and not competing.cancelled():
            competing.result()

    async def _watch(self, competing: "asyncio.Task[None]") -> None:
        """Report who else holds it, until the competition ends or nobody needs it."""
        reported = ""
        while not competing.done():
            held = self._leadership.leading
            if not held and self._boottime() - self._asked > self._times.lease:
                return
            if self.other != reported:
                reported = self.other
                log.warning(
                    "Namespace is served by another operator; nothing is done there. Take it from "
                    f"the watchNamespaces of one of them, or delete Lease {LEASE} there once the "
                    "other one is gone"
                    if reported
                    else "Namespace is not served by another operator any more",
                    namespace=self.namespace,
                    operator=reported,
                )
            await asyncio.wait([competing], timeout=self._times.retry / 2)
