"""Publishes confirmed messages while brokers in containers are killed, frozen and lose volumes.

    python -m tests.containers.broker_campaign [MESSAGES [RATE]]

Prints a line for each fault: after how many seconds all brokers served with every queue whole.
The last one says how many messages were confirmed and are lost, and the longest time without any.
"""

import json
import sys
import time
from collections.abc import Callable

from tests.support.broker_members import BrokerMembers
from tests.support.ovn_members import image

QUEUE = "acknowledged"
WHOLE_SECONDS = 600
FROZEN_SECONDS = 45
STAGGER_SECONDS = 5
REST_SECONDS = 5


def stagger(brokers: BrokerMembers) -> None:
    """Kill all, one after the other, and start them together."""
    for member in range(brokers.size):
        brokers.stop(member)
        time.sleep(STAGGER_SECONDS)
    for member in range(brokers.size):
        brokers.start(member)


def freeze(brokers: BrokerMembers) -> None:
    """Stop the last for a while."""
    brokers.freeze(brokers.size - 1, frozen=True)
    time.sleep(FROZEN_SECONDS)
    brokers.freeze(brokers.size - 1, frozen=False)


def lose(brokers: BrokerMembers) -> None:
    """Take a volume."""
    brokers.lose(1)
    brokers.start(1)


def lose_among_killed(brokers: BrokerMembers) -> None:
    """Kill all, and take the volume of one."""
    brokers.lose(2)
    brokers.kill(0, 1)
    brokers.start(2)


FAULTS: dict[str, Callable[[BrokerMembers], None]] = {
    "one killed": lambda brokers: brokers.kill(1),
    "two killed": lambda brokers: brokers.kill(0, 1),
    "all killed": lambda brokers: brokers.kill(0, 1, 2),
    "all killed one after the other": stagger,
    "one frozen for 45 s": freeze,
    "one volume lost": lose,
    "all killed, one volume lost": lose_among_killed,
}


def main(arguments: list[str]) -> int:
    """Run the campaign; return 1 where a message is lost."""
    count = int(arguments[0]) if arguments else 100_000
    rate = float(arguments[1]) if arguments[1:] else 250.0
    with BrokerMembers("broker-campaign", image("rabbitmq"), image("nova")) as brokers:
        brokers.await_whole(WHOLE_SECONDS)
        publisher = brokers.begin_publishing(QUEUE, count, rate)
        for name, fault in FAULTS.items():
            time.sleep(REST_SECONDS)
            began = time.monotonic()
            fault(brokers)
            brokers.await_whole(WHOLE_SECONDS)
            say({"fault": name, "whole_seconds": round(time.monotonic() - began, 1)})
        publisher.wait()
        lines = brokers.published()
        found = brokers.fetch(QUEUE, count)
        say({**lines[-1], **found, "gaps": [line["gap"] for line in lines if "gap" in line]})
    return 1 if found["lost"] else 0


def say(line: dict[str, object]) -> None:
    """Write a line of JSON."""
    sys.stdout.write(f"{json.dumps(line)}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
