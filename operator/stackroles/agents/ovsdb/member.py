"""One member of an OVN database: who it is, and what it answers."""

import time
import uuid
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from stackroles.agents import wire
from stackroles.agents.actions import add_action
from stackroles.agents.annotations import read_annotation
from stackroles.agents.leaving_protocol import LEAVE_ANNOTATION
from stackroles.agents.ovsdb.database_file import copies
from stackroles.agents.ovsdb.log import log
from stackroles.agents.ovsdb.membership import Answer
from stackroles.agents.ovsdb.peers import ask_all
from stackroles.agents.ovsdb.protocol import (
    DECISION_ANNOTATION,
    OvsdbDecision,
    OvsdbSettings,
    OvsdbStatus,
    State,
)

# All members that begin together find one another sooner.
STUCK_SECONDS = 60.0


@dataclass
class Member:
    """This member.

    Attributes:
        settings: what the operator configures.
        pod: name of its pod.
        uid: identity of its pod.
        status: what it answers.
    """

    settings: OvsdbSettings
    pod: str
    uid: str
    # Until it was seen that there is no file nothing may say so.
    status: OvsdbStatus = field(default_factory=lambda: OvsdbStatus(state=State.STARTING))

    def __post_init__(self) -> None:
        self._ready_at = time.monotonic()
        self.begin()

    def begin(self) -> None:
        """Begin another attempt: what was decided for the last one has been done."""
        self.change(attempt=uuid.uuid4().hex)

    @property
    def ordinal(self) -> int:
        """Its number."""
        return int(self.pod.rpartition("-")[2])

    @property
    def path(self) -> Path:
        """Its file."""
        return Path(self.settings.path)

    @property
    def ready(self) -> bool:
        """Whether clients may come: writes need a leader and a majority, and so do most readers."""
        status = self.status
        return (
            status.state is State.MEMBER
            and status.connected
            and status.view is not None
            and status.view.is_member
        )

    @property
    def majority(self) -> int:
        """How many members are a majority of those that there are to be."""
        return len(self.settings.members) // 2 + 1

    @property
    def is_surplus(self) -> bool:
        """Whether the cluster is to have fewer members than would count this one in."""
        return self.ordinal >= len(self.settings.members)

    @property
    def is_to_leave(self) -> bool:
        """Whether the operator has asked this member to leave the cluster."""
        return self.is_surplus and self._annotation(LEAVE_ANNOTATION) == self.uid

    @property
    def decision(self) -> OvsdbDecision | None:
        """What the operator has decided for this attempt, None where it has decided nothing."""
        try:
            found = wire.loads(OvsdbDecision, self._annotation(DECISION_ANNOTATION) or "")
        except wire.WireError:
            return None
        return found if found.attempt == self.status.attempt else None

    def _annotation(self, name: str) -> str | None:
        try:
            text = Path(self.settings.annotations).read_text(encoding="utf-8")
        except OSError:
            return None
        return read_annotation(text, name)

    def ask_others(self) -> dict[int, Answer]:
        """Return what each of the other members answers, by ordinal."""
        hosts = {n: h for n, h in enumerate(self.settings.members) if n != self.ordinal}
        return ask_all(hosts, self.settings.port, self.settings.database)

    def change(self, **changes: Any) -> None:
        """Replace parts of what it answers."""
        self.status = replace(self.status, **changes)
        now = time.monotonic()
        if self.ready:
            self._ready_at = now
        stuck = now - self._ready_at > STUCK_SECONDS
        if stuck != self.status.stuck:
            self.status = replace(self.status, stuck=stuck)

    def note(self, action: str) -> None:
        """Answer from now on, and log, what is done about a loss; the pod is its subject."""
        log(f"{self.pod} {action}")
        self.change(actions=add_action(self.status.actions, action, datetime.now(UTC)))

    def note_copies(self) -> None:
        """Answer from now on which files are kept aside."""
        self.change(aside=tuple(str(copy) for copy in copies(self.path)))
