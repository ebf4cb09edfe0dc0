"""Who wrote what, from the API server's audit log."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

READS = frozenset({"get", "list", "watch"})


@dataclass(frozen=True, slots=True)
class Call:
    """One call of the API that would change something."""

    at: datetime
    verb: str
    resource: str
    name: str
    code: int

    def line(self) -> str:
        """Return the call as one line."""
        return f"{self.at:%H:%M:%S} {self.verb} {self.resource} {self.name} -> {self.code}"


def writes(folder: Path, user: str, since: datetime, until: datetime) -> Iterator[Call]:
    """Return a user's writes within a time, oldest file first; answers that failed are among them.

    Args:
        folder: where the API server keeps its audit log and those it rotated away.
        user: the user's name, as the API server knows it.
        since: the first moment that counts.
        until: the first moment that no longer counts.
    """
    for file in sorted(folder.glob("audit*.log"), key=lambda file: file.stat().st_mtime):
        if file.stat().st_mtime < since.timestamp():
            continue
        with file.open() as lines:
            for line in lines:
                # the policy records no bodies, so this text is the user's name and nothing else
                if user not in line:
                    continue
                call = _read(json.loads(line), user)
                if call is not None and since <= call.at < until:
                    yield call


def _read(entry: dict[str, object], user: str) -> Call | None:
    who, target = entry.get("user"), entry.get("objectRef") or {}
    answer = entry.get("responseStatus") or {}
    assert isinstance(who, dict)
    assert isinstance(target, dict)
    assert isinstance(answer, dict)
    if who.get("username") != user or entry["verb"] in READS:
        return None
    resource = "/".join(filter(None, (target.get("resource"), target.get("subresource"))))
    return Call(
        at=datetime.fromisoformat(str(entry["requestReceivedTimestamp"])),
        verb=str(entry["verb"]),
        resource=resource,
        name=str(target.get("name", "")),
        code=int(answer.get("code", 0)),
    )
