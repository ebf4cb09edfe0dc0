"""What a member learns from its peers when no operator answers."""

import http.client
import json
from collections.abc import Mapping, Sequence
from typing import Any

_SECONDS = 1.0
_LARGEST = 65536


def pull(peers: Sequence[str]) -> dict[str, Mapping[str, Any] | None]:
    """Return every peer's report by address; None where no answer came."""
    return {peer: _pull_one(peer) for peer in peers}


def _pull_one(peer: str) -> Mapping[str, Any] | None:
    host, _, port = peer.rpartition(":")
    connection = http.client.HTTPConnection(host, int(port), timeout=_SECONDS)
    try:
        connection.request("GET", "/report")
        found = json.loads(connection.getresponse().read(_LARGEST))
    except (OSError, ValueError, http.client.HTTPException):
        return None
    finally:
        connection.close()
    return found if isinstance(found, dict) else None


def may_rejoin(
    member: str,
    address: str,
    position: Mapping[str, Any],
    reports: Mapping[str, Mapping[str, Any] | None],
) -> bool:
    """Return whether a member without a decision may join on its own.

    Only a peer that is synced in the primary component makes that safe; one joins at a time, the
    lowest name first; and nobody joins a history that is not its own or is behind its own.
    """
    known = [report for report in reports.values() if report]
    primary = [r for r in known if (r.get("wsrep") or {}).get("synced")]
    if not primary or any(r.get("phase") == "Starting" for r in known):
        return False
    if any(r.get("activity") for r in known):
        return False
    if any(r.get("phase") == "Waiting" and str(r.get("member")) < member for r in known):
        return False
    view = primary[0]["wsrep"]
    if any(address in r["wsrep"]["addresses"] for r in primary):
        return False  # the component still counts this member's former self
    if position.get("uuid") is None:
        return not position.get("error")
    return bool(position["uuid"] == view["uuid"] and position["seqno"] <= view["committed"])
