"""PID 1 of a RabbitMQ member: no member makes a second cluster, and none waits for what is lost.

A broker that lost its volume is still a member to the others: they refuse it as inconsistent, and
after its retries it boots as a cluster of its own (rabbit_mnesia:can_join_cluster,
rabbit_peer_discovery, seen with 4.0.5). Clients that land there share no queue with the rest. So a
member without data asks all the others first: one that serves is made to forget the member's former
self, and then is joined; a new cluster is formed only when all the others have answered that they
have no data either. No answer means unknown, never empty.

A member whose data the others have forgotten puts it aside and joins anew. Which of the others a
broker waits for, which of two clusters gives way and when is in membership.py.
"""

import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from stackroles.agents import wire
from stackroles.agents.broker.member import BrokerMember, log
from stackroles.agents.broker.protocol import BrokerMode, BrokerSettings, State
from stackroles.agents.broker.watch import BrokerWatch, End
from stackroles.agents.status_server import serve_status

SERVER = "/usr/lib/rabbitmq/bin/rabbitmq-server"
# A start beside others that start may fail; who waits for the kubelet waits longer every time.
STARTS = 3


def install_cookie(settings: BrokerSettings) -> None:
    """Copy the cookie: Erlang refuses one that others may read, and a Secret's file is a link."""
    path = Path(settings.home) / ".erlang.cookie"
    path.unlink(missing_ok=True)
    path.touch(mode=0o600)
    path.write_bytes(Path(settings.cookie).read_bytes())
    path.chmod(0o400)


def run_once(member: BrokerMember) -> End:
    """Start the broker when that is safe, and follow it until it ends; return how it ended."""
    # PID 1 has no default action for signals: without a handler SIGTERM would be ignored.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    member.begin()
    if member.volume.leaving:
        leave(member)
    if member.volume.has_data():
        member.leave_former_cluster()
    if not member.volume.has_data():
        member.prepare()
    if member.starts_first or member.volume.continuing:
        member.force_boot()
    # In a group of its own: a broker that waits for others is killed with all its programs.
    server = subprocess.Popen([SERVER], start_new_session=True)
    watch = BrokerWatch(member, server)
    signal.signal(signal.SIGTERM, lambda *_: watch.stop())
    return watch.run()


def leave(member: BrokerMember) -> None:
    """Be forgotten by the others, and rest until the pod goes or is wanted again after all."""
    while not member.depart():
        if not member.volume.leaving:
            return
        member.pause()
    log("it has left the cluster")
    while member.is_to_leave:
        member.pause()
    member.volume.put_aside()
    member.begin()


def wait_for_consent(member: BrokerMember) -> None:
    """Wait until a person has consented that this member puts its data aside."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    while True:
        decision = member.decision()
        if decision is not None and decision.mode is BrokerMode.YIELD:
            member.note(
                "puts its data aside and joins the others anew, "
                f"by the consent to incident {decision.incident}"
            )
            member.volume.give_way(decision.incident)
            return
        member.pause()


def main(arguments: Sequence[str]) -> int:
    """Run the member; return its exit status."""
    settings = wire.loads(BrokerSettings, Path(arguments[0]).read_bytes())
    member = BrokerMember(settings, os.environ["POD_NAME"], os.environ["POD_UID"])
    install_cookie(settings)
    # Before anybody can ask: others form a cluster where a member with data answers it has none.
    member.begin()
    serve_status(settings.port, member)
    failed = 0
    while True:
        end = run_once(member)
        failed = 0 if end.again else failed + 1
        if member.status.state is State.SPLIT:
            # A restart would only start the second cluster again.
            if member.may_yield:
                member.note(
                    "puts its data aside, which holds no message, and joins the others anew"
                )
                member.volume.put_aside()
            else:
                wait_for_consent(member)
        elif end.stopped or failed == STARTS:
            return 0 if end.status == -signal.SIGTERM else end.status
        else:
            log(f"its broker ended with {end.status}, and is started again")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
