"""Reading a client's record piece by piece: a campaign's grows for hours."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any

from lab.kubectl import Kubectl, Object
from lab.soak.accounting import Attempt


@dataclass(slots=True)
class Record:
    """A file of JSON lines in a client's pod, read from where the last reading ended.

    Attributes:
        kubectl: bound to the namespace of the pod.
        pod: the client's.
        file: its path in the pod.
    """

    kubectl: Kubectl
    pod: str
    file: str
    _offset: int = 0
    _attempts: list[Attempt] = field(default_factory=list)

    def attempts(self) -> list[Attempt]:
        """Return all attempts so far, in order of their ends.

        Raises:
            LabError: the pod does not answer.
        """
        command = ("exec", self.pod, "--", "tail", "-c", f"+{self._offset + 1}", self.file)
        # A last line that is still being written is read next time.
        whole, _, _ = self.kubectl.run(*command).rpartition("\n")
        if whole:
            self._offset += len(whole.encode()) + 1
            last = self._attempts[-1] if self._attempts else None
            self._attempts += parse(map(json.loads, whole.splitlines()), last)
        return self._attempts


def parse(lines: Iterable[Object], last: Attempt | None = None) -> list[Attempt]:
    """Return the attempts that lines of a record describe.

    A line with an error and no id is a failed try of the attempt that is then acknowledged, as the
    publisher writes it: that one began anew after the error.

    Args:
        lines: `{"id", "sent", "at"}`, some with `"error"` or `"found"`; calls have `"at"`,
            `"seconds"`, `"status"`.
        last: the attempt before the first line.
    """
    found: list[Attempt] = []
    for line in lines:
        attempt = _attempt(line)
        if last and not last.good and last.identity < 0 and attempt.good:
            attempt = replace(attempt, sent=max(attempt.sent, last.ended))
        found.append(attempt)
        last = attempt
    return found


def _attempt(line: dict[str, Any]) -> Attempt:
    if "status" in line:
        ended, good = line["at"] + line["seconds"], 200 <= line["status"] < 400
        return Attempt(identity=-1, sent=line["at"], ended=ended, good=good)
    identity, ended = line.get("id", -1), line["at"]
    good = not line.get("error")
    sent = line.get("sent", ended)
    return Attempt(identity, sent=sent, ended=ended, good=good, found=line.get("found"))
