"""Asks role pods what they are: HTTP at pod addresses, without the Kubernetes API.

No answer is None: unknown, never down.
"""

from collections.abc import Mapping
from typing import Any, Final

from stackroles.domains.database.model import MemberPhase, Position, Report, View
from stackroles.reconcile.pod_http import get_all, url_of
from stackroles.roles.haproxy import STATS_PORT
from stackroles.roles.mariadb import AGENT_PORT

_DONOR: Final = 2


async def pull_reports(addresses: Mapping[str, str]) -> dict[str, Report | None]:
    """Return each database member's report by pod name, asked side by side within a second.

    Args:
        addresses: pod address by pod name.
    """
    answers = await get_all(
        {name: url_of(ip, AGENT_PORT, "/report") for name, ip in addresses.items()}
    )
    return {name: parse_report(answer) for name, answer in answers.items()}


async def pull_writers(addresses: Mapping[str, str]) -> dict[str, int | None]:
    """Return the number of the member each proxy sends clients to, by pod name.

    0 means that no client has come yet; None that the proxy did not answer.

    Args:
        addresses: pod address by pod name.
    """
    urls = {name: url_of(ip, STATS_PORT, "/writer") for name, ip in addresses.items()}
    return {name: parse_writer(answer) for name, answer in (await get_all(urls)).items()}


def parse_writer(answer: Any) -> int | None:
    """Return a proxy's answer as a number, None when it is none."""
    text = str(answer).strip()
    return int(text) if text.isdecimal() else None


def parse_report(answer: Any) -> Report | None:
    """Return an agent's report, or None when it is not one."""
    if not isinstance(answer, dict):
        return None
    try:
        return Report(
            pod_uid=str(answer["podUid"]),
            volume_id=str(answer["volumeId"]),
            attempt=str(answer["attempt"]),
            phase=MemberPhase(answer["phase"]),
            mode=answer.get("mode"),
            position=_position(answer.get("position")),
            view=_view(answer.get("wsrep")),
            joining=answer.get("activity") in ("SST", "Joining"),
            creating=bool(answer.get("creating")),
            failed_starts=int(answer.get("failedStarts", 0)),
            non_primary_seconds=int(answer.get("nonPrimarySeconds", 0)),
            address=str(answer.get("address", "")),
            failure=str(answer.get("failure", "")),
            backing_off=bool(answer.get("backingOff")),
            applied_epoch=int(answer.get("appliedEpoch", 0)),
        )
    except (KeyError, TypeError, ValueError):
        return None


def _position(found: Mapping[str, Any] | None) -> Position | None:
    if found is None:
        return None
    return Position(
        empty=bool(found["empty"]),
        uuid=found["uuid"],
        seqno=int(found["seqno"]),
        safe=bool(found["safe"]),
        prepared=bool(found["prepared"]),
        transfer=bool(found["transfer"]),
        error=str(found["error"]),
    )


def _view(found: Mapping[str, Any] | None) -> View | None:
    if found is None:
        return None
    return View(
        primary=bool(found["primary"]),
        synced=bool(found["synced"]),
        uuid=str(found["uuid"]),
        committed=int(found["committed"]),
        size=int(found["size"]),
        donor=found["state"] == _DONOR,
        addresses=frozenset(str(address) for address in found.get("addresses", ())),
    )
