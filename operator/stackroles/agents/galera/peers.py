"""What a member learns from its peers when no operator answers."""

from collections.abc import Mapping, Sequence

from stackroles.agents import peer_http, wire
from stackroles.agents.galera.protocol import REPORT_PATH, MemberPhase, Position, Report

_SECONDS = 1.0
_LARGEST = 65536


def pull(peers: Sequence[str]) -> dict[str, Report | None]:
    """Return every peer's report by address; None where no answer came."""
    return {peer: _pull_one(peer) for peer in peers}


def _pull_one(peer: str) -> Report | None:
    host, _, port = peer.rpartition(":")
    try:
        body = peer_http.get(host, int(port), REPORT_PATH, seconds=_SECONDS, limit=_LARGEST)
        return wire.loads(Report, body)
    except (OSError, wire.WireError):
        return None


def are_synced(reports: Mapping[str, Report | None]) -> bool:
    """Return whether every peer is a synced member of the primary component."""
    views = [report.view for report in reports.values() if report and report.view]
    return len(views) == len(reports) and all(view.primary and view.synced for view in views)


def may_rejoin(
    member: str, address: str, position: Position, reports: Mapping[str, Report | None]
) -> bool:
    """Return whether a member without a decision may join on its own.

    Only a peer that is synced in the primary component makes that safe; one joins at a time, the
    lowest name first; and nobody joins a history that is not its own or is behind its own.
    """
    known = [report for report in reports.values() if report]
    primary = [report.view for report in known if report.view and report.view.synced]
    if not primary or any(report.phase is MemberPhase.STARTING for report in known):
        return False
    if any(report.activity for report in known):
        return False
    if any(report.phase is MemberPhase.WAITING and report.member < member for report in known):
        return False
    if any(address in view.addresses for view in primary):
        return False  # the component still counts this member's former self
    if position.uuid is None:
        return not position.error
    view = primary[0]
    return position.uuid == view.uuid and position.seqno <= view.committed
