"""What the operator writes while nobody touches a settled cloud: the API server's audit log tells.

A window is how long the cloud is watched, in seconds.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from lab.install import RELEASE, SYSTEM, Site
from lab.kubectl import Object, condition_of, holds
from tests.support.audit import Call, writes
from tests.support.cloud import Cloud
from tests.support.measurements import Measurements

ACCOUNT = f"system:serviceaccount:{SYSTEM}:{RELEASE}"
LEASE = "stackroles-leader"
QUIET = timedelta(seconds=20)
QUIET_SECONDS = 180
START_SECONDS = 120


@dataclass(frozen=True, slots=True)
class Watcher:
    """Watches what the operator of a site writes."""

    site: Site
    measurements: Measurements

    def settle(self, cloud: Cloud) -> None:
        """Wait until nothing is under way: all is Ready and nothing was written for a while."""
        cloud.wait_ready()

        def check() -> tuple[bool, str]:
            unready = [
                f"{kind}/{item['metadata']['name']}: {holds(item, 'Ready')[1]}"
                for kind in ("cloudcontrollers", "computepools")
                for item in self.site.cloud.items(kind)
                if not holds(item, "Ready")[0]
            ]
            now = datetime.now(UTC)
            recent = self.written(now - QUIET, now)
            return not unready and not recent, "\n".join([*unready, _listed(recent)])

        self.site.cloud.wait("a settled cloud", check, seconds=QUIET_SECONDS)

    def check_idle(self, window: float) -> None:
        """Assert that an operator with nothing to do writes its Lease and nothing else."""
        since = datetime.now(UTC)
        written = self._watch(since, window)
        leases = [call for call in self._calls(since, datetime.now(UTC)) if _is_lease(call)]
        self.measurements.record("idle", seconds=window, writes_but_lease=len(written))
        assert leases, "the audit log knows nothing of the operator: nothing was counted"
        assert not written, _listed(written)

    def check_restart(self, window: float) -> None:
        """Assert that replicas which have just started write nothing to a settled cloud."""
        before = {pod["metadata"]["name"] for pod in self.operators()}
        since = datetime.now(UTC)
        self.site.system.run("delete", "pod", *sorted(before))
        self._wait_leader(before)
        taken = (datetime.now(UTC) - since).total_seconds()
        written = self._watch(since, window)
        self.measurements.record(
            "restart of the operator",
            new_leader_seconds=taken,
            watched_seconds=window,
            writes_but_lease=len(written),
        )
        assert not written, _listed(written)

    def operators(self) -> list[Object]:
        """Return the operator's pods that are not on their way out."""
        found = self.site.system.items("pods", f"app.kubernetes.io/name={RELEASE}")
        return [pod for pod in found if not pod["metadata"].get("deletionTimestamp")]

    def written(self, since: datetime, until: datetime) -> list[Call]:
        """Return what the operator wrote within a time, without its Lease."""
        return [call for call in self._calls(since, until) if not _is_lease(call)]

    def _calls(self, since: datetime, until: datetime) -> Iterable[Call]:
        return writes(self.site.cluster.directory / "audit", ACCOUNT, since, until)

    def _watch(self, since: datetime, window: float) -> list[Call]:
        """Watch for the window and return what was written from a moment to its end."""
        start = datetime.now(UTC)

        def check() -> tuple[bool, str]:
            passed = (datetime.now(UTC) - start).total_seconds()
            return passed >= window, f"{passed:.0f} s"

        self.site.cloud.wait("the end of the window", check, seconds=window + 30)
        return self.written(since, datetime.now(UTC))

    def _wait_leader(self, before: set[str]) -> None:
        """Wait until a replica that was not there before leads, and all are ready."""

        def check() -> tuple[bool, str]:
            found = self.operators()
            ready = [
                pod["metadata"]["name"]
                for pod in found
                if condition_of(pod, "Ready").get("status") == "True"
            ]
            lease = self.site.system.get("lease", LEASE) or {}
            holder = lease.get("spec", {}).get("holderIdentity", "")
            fresh = holder not in before and any(name in holder for name in ready)
            return len(ready) == len(before) and fresh, f"ready: {ready}, leader: {holder}"

        self.site.system.wait("a new leader", check, seconds=START_SECONDS)


def _is_lease(call: Call) -> bool:
    return call.resource == "leases"


def _listed(calls: Iterable[Call]) -> str:
    return "\n".join(call.line() for call in calls)
