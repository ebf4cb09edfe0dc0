"""Runs in a container of OpenStack's: publishes numbered messages that brokers confirm, or fetches.

    python3 broker_client.py publish QUEUE COUNT RATE
    python3 broker_client.py fetch QUEUE COUNT
    python3 broker_client.py stream QUEUE RATE
    python3 broker_client.py take QUEUE FIRST LAST SECONDS

`stream` publishes until it is ended and prints a line for each confirmed message; `take` takes what
the queue has until all of a range is there, at most for so many seconds, and prints all it took.
A message counts once it was confirmed; one whose confirmation was lost is published again. Each
prints lines of JSON, the last one with the result. The environment names the brokers: BROKER_HOSTS
(by commas), BROKER_USER, BROKER_PASSWORD; the virtual host has the user's name.
"""

import importlib
import itertools
import json
import os
import sys
import threading
import time
from typing import Any

ANSWER_SECONDS = 10
CONNECT_SECONDS = 2
RETRY_SECONDS = 0.2
REPORTED_GAP = 1.0
QUIET_SECONDS = 30
PUBLISHERS = 8
QUORUM = {"x-queue-type": "quorum"}


def say(line: dict[str, Any]) -> None:
    """Write a line of JSON."""
    sys.stdout.write(f"{json.dumps(line)}\n")
    sys.stdout.flush()


class Channel:
    """One connection at a time to any broker, made again when it fails."""

    def __init__(self, queue: str, first: int = 0) -> None:
        self._driver: Any = importlib.import_module("amqp")
        hosts = os.environ["BROKER_HOSTS"].split(",")
        self._hosts = itertools.cycle(hosts[first % len(hosts) :] + hosts[: first % len(hosts)])
        self._queue = queue
        self._connection: Any = None
        self._channel: Any = None

    def publish(self, text: str) -> None:
        """Publish a message until a broker confirms it."""
        message = self._driver.Message(text.encode(), delivery_mode=2)
        while True:
            try:
                self.open().basic_publish_confirm(
                    message, exchange="", routing_key=self._queue, mandatory=True
                )
            except Exception as error:
                self._close(error)
            else:
                return

    def open(self) -> Any:
        """Return a channel on which the queue is declared, as soon as a broker gives one."""
        while self._channel is None:
            try:
                self._connection = self._driver.Connection(
                    host=f"{next(self._hosts)}:5672",
                    userid=os.environ["BROKER_USER"],
                    password=os.environ["BROKER_PASSWORD"],
                    virtual_host=os.environ["BROKER_USER"],
                    connect_timeout=CONNECT_SECONDS,
                    read_timeout=ANSWER_SECONDS,
                    write_timeout=ANSWER_SECONDS,
                    confirm_publish=True,
                )
                self._connection.connect()
                channel = self._connection.channel()
                channel.queue_declare(
                    self._queue, durable=True, auto_delete=False, arguments=QUORUM
                )
                self._channel = channel
            except Exception as error:
                self._close(error)
        return self._channel

    def drain(self, seconds: float) -> None:
        """Take what brokers send, for so many seconds at most. Raises OSError."""
        self._connection.drain_events(timeout=seconds)

    def _close(self, error: Exception) -> None:
        say({"at": time.time(), "error": f"{type(error).__name__}: {error}"[:200]})
        self._channel = None
        if self._connection is not None:
            self._connection.collect()  # it closes the socket, and asks the broker nothing
        time.sleep(RETRY_SECONDS)


class Record:
    """What was confirmed, by all publishers."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._last = time.time()
        self.confirmed = 0
        self.longest = 0.0

    def confirm(self) -> None:
        """Count one message."""
        with self._lock:
            now = time.time()
            gap, self._last = now - self._last, now
            self.confirmed += 1
            self.longest = max(self.longest, gap)
        if gap > REPORTED_GAP:
            say({"at": now, "gap": round(gap, 1)})


def publish(queue: str, count: int, rate: float) -> None:
    """Publish messages 0 to count - 1, each until it is confirmed, at a rate a second."""
    record = Record()

    def work(first: int) -> None:
        channel = Channel(queue, first)
        for number in range(first, count, PUBLISHERS):
            channel.publish(str(number))
            record.confirm()
            time.sleep(PUBLISHERS / rate)

    began = time.time()
    threads = [threading.Thread(target=work, args=(first,)) for first in range(PUBLISHERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    seconds = round(time.time() - began, 1)
    longest = round(record.longest, 1)
    say({"confirmed": record.confirmed, "seconds": seconds, "longest": longest})


def fetch(queue: str, count: int) -> None:
    """Take all messages, and print how many of 0 to count - 1 were not among them."""
    seen: set[int] = set()
    deliveries = 0
    channel = Channel(queue)
    opened = channel.open()

    def take(message: Any) -> None:
        nonlocal deliveries
        deliveries += 1
        seen.add(int(message.body))
        opened.basic_ack(message.delivery_tag)

    opened.basic_qos(0, 500, False)
    opened.basic_consume(queue, callback=take)
    while len(seen) < count:
        try:
            channel.drain(QUIET_SECONDS)
        except OSError:
            break
    lost = len(set(range(count)) - seen)
    say({"delivered": deliveries, "distinct": len(seen), "lost": lost})


def stream(queue: str, rate: float) -> None:
    """Publish numbered messages at a rate a second, and print when each was confirmed."""
    channel = Channel(queue)
    for number in itertools.count():
        due = time.monotonic() + 1 / rate
        sent = time.time()
        channel.publish(str(number))
        say({"id": number, "sent": sent, "at": time.time()})
        time.sleep(max(0.0, due - time.monotonic()))


def take(queue: str, first: int, last: int, seconds: float) -> None:
    """Take messages until all of a range have come, and print the numbers of all that came."""
    missing, taken = set(range(first, last + 1)), set()
    channel = Channel(queue)
    opened = channel.open()

    def accept(message: Any) -> None:
        number = int(message.body)
        taken.add(number)
        missing.discard(number)
        opened.basic_ack(message.delivery_tag)

    opened.basic_qos(0, 500, False)
    opened.basic_consume(queue, callback=accept)
    deadline = time.monotonic() + seconds
    while missing and (left := deadline - time.monotonic()) > 0:
        try:
            channel.drain(left)
        except TimeoutError:
            break
    say({"taken": sorted(taken)})


def main(arguments: list[str]) -> None:
    """Do what is asked for; see the module's docstring."""
    command, queue, *rest = arguments
    if command == "publish":
        publish(queue, int(rest[0]), float(rest[1]))
    elif command == "stream":
        stream(queue, float(rest[0]))
    elif command == "take":
        take(queue, int(rest[0]), int(rest[1]), float(rest[2]))
    else:
        fetch(queue, int(rest[0]))


if __name__ == "__main__":
    main(sys.argv[1:])
