"""Builds that fail on this host, counted from nova-compute's own notifications.

nova-compute emits `compute.instance.create.end` and `compute.instance.create.error` for every build
that it takes on, also for one that the scheduler then tries on another host and whose fault no user
ever sees. oslo.messaging's driver `log` hands them to Python's logging, in this process.

nova's own counter of failures (`[compute] consecutive_build_service_disable_threshold`) only makes
the scheduler's weigher prefer other hosts; since nova 17 it disables nothing.
"""

import json
import logging
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from stackroles.agents import wire
from stackroles.agents.compute.node_protocol import FAILURES_LIMIT, FAULT_LIMIT, BuildFailure
from stackroles.agents.text import shorten

FILE = Path("/var/lib/nova/stackroles-builds.json")
# oslo_messaging.notify._impl_log.LogDriver.LOGGER_BASE
LOGGER = "oslo.messaging.notification"
ENDED = "compute.instance.create.end"
FAILED = "compute.instance.create.error"
# What nova has no better code for; 4xx are the request's own faults, 503 is a host that filled up.
HOST_FAULT = 500


def read(file: Path = FILE) -> tuple[BuildFailure, ...]:
    """Return the builds that failed in a row; none where the file is missing or of another form."""
    try:
        return wire.loads(tuple[BuildFailure, ...], file.read_bytes())
    except (FileNotFoundError, wire.WireError):
        return ()


def after(
    failures: tuple[BuildFailure, ...], event: Mapping[str, Any], now: float
) -> tuple[BuildFailure, ...]:
    """Return the builds that failed in a row after one more notification.

    Args:
        failures: those so far.
        event: the notification: `event_type`, `payload` and more.
        now: seconds since the epoch.
    """
    payload = event.get("payload") or {}
    if event.get("event_type") == ENDED:
        return ()
    if event.get("event_type") != FAILED or int(payload.get("code") or HOST_FAULT) != HOST_FAULT:
        return failures
    failure = BuildFailure(
        at=int(now),
        instance=str(payload.get("instance_id", "")),
        fault=shorten(fault_of(payload), FAULT_LIMIT),
    )
    return (*failures, failure)[-FAILURES_LIMIT:]


def fault_of(payload: Mapping[str, Any]) -> str:
    """Return what failed: nova's message, or another library's exception with its text.

    Of exceptions that are not nova's the message holds the class alone
    (nova.compute.utils.exception_to_dict).
    """
    message, raised = str(payload.get("message", "")), str(payload.get("exception", ""))
    return raised if raised.startswith(f"{message}(") else message


class Recorder(logging.Handler):
    """Keeps the builds that failed in a row in a file, which the node's agent reads."""

    def __init__(self, file: Path = FILE, clock: Callable[[], float] = time.time) -> None:
        super().__init__(logging.INFO)
        self._file = file
        self._clock = clock

    def emit(self, record: logging.LogRecord) -> None:  # type: ignore[explicit-override]
        """Count one notification."""
        try:
            known = read(self._file)
            found = after(known, json.loads(record.getMessage()), self._clock())
            if found != known or not self._file.exists():
                draft = self._file.with_suffix(".new")
                draft.write_text(wire.dumps(found))
                draft.replace(self._file)
        except (OSError, ValueError, TypeError, AttributeError):
            # Nothing of a build depends on its being counted.
            self.handleError(record)


def record() -> None:
    """Count the notifications of this process from now on, and keep them out of its log."""
    logger = logging.getLogger(LOGGER)
    logger.addHandler(Recorder())
    logger.setLevel(logging.INFO)
    logger.propagate = False
