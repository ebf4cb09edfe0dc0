"""Brings a member to a file with which its server can start."""

import signal
import threading
import time
from datetime import UTC, datetime

from stackroles.agents.ovsdb.database_file import cluster_of, continue_alone, make, put_aside
from stackroles.agents.ovsdb.log import log
from stackroles.agents.ovsdb.member import Member
from stackroles.agents.ovsdb.membership import Create, Join, Wait, decide, other_cluster
from stackroles.agents.ovsdb.peers import EmptyServer
from stackroles.agents.ovsdb.protocol import Mode, OvsdbDecision, State
from stackroles.agents.ovsdb.server import has_left

PAUSE = 0.3
REMIND_AFTER = 10.0


def prepare(member: Member, refused: str = "") -> None:
    """Return once there is a file that the server may be able to use.

    A member that has left as it was to never returns.

    Args:
        member: this member.
        refused: why the server could not use the file that there is, empty before it has tried.
    """
    member.note_copies()
    decided = member.decision
    if decided is not None and decided.incident and member.path.exists():
        _apply(member, decided)
    elif not member.path.exists():
        if member.is_surplus:
            _rest(member)
        decision = _settle_empty(member)
        make(member.settings, member.ordinal, decision)
        _note(member, decision)
    elif fault := refused or _foreign(member):
        if member.is_surplus and has_left(fault):
            _rest(member)
        member.change(fault=fault)
        _replace_file(member, _settle(member, State.UNUSABLE, fault), fault)
    else:
        return
    member.begin()
    member.note_copies()


def _apply(member: Member, decided: OvsdbDecision) -> None:
    """Do with a file what the user has consented to."""
    because = (
        f"the operator has decided to {decided.mode} the cluster by consent to {decided.incident}"
    )
    if decided.mode is Mode.CONTINUE:
        aside = continue_alone(member.settings, member.ordinal, datetime.now(UTC))
        log(f"{because}; the file so far is kept as {aside}")
        member.note(f"goes on without the others, by the consent to incident {decided.incident}")
        return
    yields = decided.mode is Mode.YIELD
    decision = _settle(member, State.UNUSABLE, because) if yields else Create()
    _replace_file(member, decision, because)


def _replace_file(member: Member, decision: Create | Join, because: str) -> None:
    """Put the file aside and make a new one."""
    aside = put_aside(member.path, datetime.now(UTC))
    log(f"{member.path} is not used and is kept as {aside}: {because}")
    make(member.settings, member.ordinal, decision)
    _note(member, decision, because)


def _note(member: Member, decision: Create | Join, because: str = "") -> None:
    """Report what was made in place of data that is lost; a new database replaces none."""
    decided = member.decision
    if isinstance(decision, Join) and because:
        member.note(f"puts its file aside and joins the others anew: {because}")
    elif isinstance(decision, Create) and decided is not None and decided.incident:
        member.note(
            f"makes the database anew without data, by the consent to incident {decided.incident}"
        )


def _foreign(member: Member) -> str:
    """Return that the file is of another cluster than the others serve in, empty where not."""
    own = cluster_of(member.path)
    other = other_cluster(own, member.ask_others(), member.majority)
    return f"it is of cluster {own}, and the others serve in {other}" if other else ""


def _rest(member: Member) -> None:
    """Stay until the pod is ended: this member has left, and its StatefulSet is still to shrink."""
    member.change(state=State.LEFT, view=None, connected=False, waits_for="")
    log("this member has left the cluster")
    while True:
        signal.pause()


def _settle_empty(member: Member) -> Create | Join:
    """Return the decision of a member without a file, which says so while it waits."""
    with EmptyServer(("0.0.0.0", member.settings.port)) as server:  # noqa: S104 - a pod
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.1}).start()
        try:
            return _settle(member, State.EMPTY)
        finally:
            server.shutdown()


def _settle(member: Member, state: State, fault: str = "") -> Create | Join:
    """Return the decision once it is safe, saying now and then what is waited for."""
    member.change(state=state, view=None, connected=False)
    reported, reported_at = "", 0.0
    while True:
        answers = member.ask_others()
        decision = decide({n: a.state for n, a in answers.items()}, fault, member.decision)
        if not isinstance(decision, Wait):
            log(f"no data that can be used here: {decision}")
            member.change(waits_for="")
            return decision
        member.change(waits_for=decision.because)
        if decision.because != reported or time.monotonic() - reported_at > REMIND_AFTER:
            reported, reported_at = decision.because, time.monotonic()
            log(f"no data that can be used here: waiting, because {reported}")
        time.sleep(PAUSE)
