"""Database cluster: observe the members, decide, record, tell them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from stackroles.config.cloud import Cloud
from stackroles.plan.galera import Verdict
from stackroles.reconcile.context import Context


@dataclass(frozen=True, slots=True)
class GaleraResult:
    """How the database stands, for the cloud's status.

    Attributes:
        ready: all members are synced.
        primary: somebody serves.
        writer: pod of the member that all proxies send clients to; None when not known.
        verdict: one word, the reason of a condition; `verdict.needs_person` for one that stops.
        message: the same as a sentence, with what to do.
        members: phase of each member, by pod name ("Unknown" without an answer).
    """

    ready: bool
    primary: bool
    writer: str | None
    verdict: Verdict
    message: str
    members: Mapping[str, str]


async def reconcile_galera(context: Context, owner: dict[str, Any], cloud: Cloud) -> GaleraResult:
    """Bring the cloud's database members together; call it on every pass over the cloud.

    It asks for another pass by itself while something is under way. Not called for a resource that
    is suspended or being deleted.

    Args:
        context: the cluster and the poller.
        owner: the CloudController as in the cache.
        cloud: the same, resolved.
    """
    raise NotImplementedError
