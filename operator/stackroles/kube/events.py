"""Kubernetes Events: which transitions deserve one, and what it looks like."""

from collections import OrderedDict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from stackroles import naming
from stackroles.agents.text import shorten
from stackroles.api.v1alpha1.conditions import type_of
from stackroles.constants import MANAGED_BY
from stackroles.kube.kinds import ref_of, uid_of

Object = dict[str, Any]

NORMAL: Final = "Normal"
WARNING: Final = "Warning"
_NOTE_LIMIT: Final = 1024  # events.k8s.io/v1 refuses a longer note
_REMEMBERED: Final = 1024


@dataclass(frozen=True)
class EventRecord:
    """One thing worth an Event: its type (Normal or Warning), a stable reason and a sentence."""

    type: str
    reason: str
    message: str


def transitions(
    before: Iterable[Mapping[str, Any]], after: Iterable[Mapping[str, Any]]
) -> tuple[EventRecord, ...]:
    """Return what changed between two lists of conditions, one entry per changed reason.

    Several conditions that turned for the same reason are one record, the first one's.
    """
    known = {c["type"]: (c["status"], c.get("reason")) for c in before}
    found: dict[str, EventRecord] = {}
    for condition in after:
        kind, status, reason = condition["type"], condition["status"], condition.get("reason", "")
        known_type = type_of(kind)
        good = known_type.good if known_type else None
        if good is None or known.get(kind) == (status, reason):
            continue
        # A trouble shows only once there is some; what is still missing is no trouble at first.
        trouble = good == "False"
        if kind not in known and (status == "Unknown" or (trouble and status == good)):
            continue
        bad = status not in {good, "Unknown"}
        was_good = kind in known and known[kind][0] == good
        warn = bad and (was_good or trouble)
        record = EventRecord(WARNING if warn else NORMAL, reason, condition.get("message", ""))
        found.setdefault(reason, record)
    return tuple(found.values())


def build_event(regarding: Object, record: EventRecord, now: datetime, instance: str) -> Object:
    """Return the manifest of an Event (events.k8s.io/v1) about an object.

    Args:
        regarding: the object, with kind, apiVersion and uid.
        record: what happened.
        now: when, timezone-aware.
        instance: which replica reports, its pod's name.
    """
    ref = ref_of(regarding)
    # Two things may happen in one microsecond.
    what = naming.digest([record.reason, record.message], 6)
    suffix = f"{int(now.timestamp() * 1_000_000):x}{what}"
    return {
        "apiVersion": "events.k8s.io/v1",
        "kind": "Event",
        "metadata": {
            "name": f"{ref.name[:230]}.{suffix}",
            "namespace": ref.namespace or "default",
        },
        "eventTime": now.strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        "type": record.type,
        "reason": record.reason[:128],
        "note": shorten(record.message, _NOTE_LIMIT),
        "action": "Reconcile",
        "reportingController": MANAGED_BY,
        "reportingInstance": instance[:128] or MANAGED_BY,
        "regarding": {
            "apiVersion": regarding["apiVersion"],
            "kind": ref.kind,
            "name": ref.name,
            "namespace": ref.namespace,
            "uid": uid_of(regarding),
        },
    }


class EventDeduplicator:
    """Remembers the last message of each object and reason."""

    def __init__(self) -> None:
        self._last_messages: OrderedDict[tuple[str, str], str] = OrderedDict()

    def is_new(self, uid: str, record: EventRecord) -> bool:
        """Return whether this was not the last message of this object and reason; remember it."""
        key = (uid, record.reason)
        if self._last_messages.get(key) == record.message:
            return False
        self._last_messages[key] = record.message
        self._last_messages.move_to_end(key)
        while len(self._last_messages) > _REMEMBERED:
            self._last_messages.popitem(last=False)
        return True

    def forget_others(self, uid: str, reason: str) -> None:
        """Forget other reasons of this object, so that their return is recorded again."""
        for key in [key for key in self._last_messages if key[0] == uid and key[1] != reason]:
            del self._last_messages[key]
