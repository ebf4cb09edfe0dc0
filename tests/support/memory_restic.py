"""A repository in memory, in the place of restic's: for tests of what is stored, not of how."""

import hashlib
from collections.abc import Callable, Generator, Iterable
from typing import Any

from stackroles.agents.backup.protocol import StepResult
from stackroles.agents.backup.repository import Part, StepFailed
from tests.support.fake_restic import CONFIG, MASTER_KEY


class MemoryRestic:
    """Has the methods of `Restic` that a store of binary logs uses.

    Attributes:
        fails: what every command fails with; empty while none does.
        locked: whether a dead process left a lock.
    """

    def __init__(self) -> None:
        self.found: dict[str, tuple[dict[str, Any], bytes]] = {}
        self.exists_now, self.locked, self.fails = False, False, ""
        self.tags: tuple[str, ...] = ()
        self.clock: Callable[[], str] = lambda: "2026-01-01T00:00:00Z"
        self._count = 0

    def _check(self, step: str) -> None:
        if self.fails:
            raise StepFailed(step, self.fails)

    def exists(self) -> bool:
        self._check("repository")
        return self.exists_now

    def config(self) -> str | None:
        return CONFIG if self.exists() else None

    def open(self) -> bool:
        was, self.exists_now = self.exists(), True
        return not was

    def unlock(self) -> None:
        self._check("repository")
        self.locked = False

    def run(self, step: str, *arguments: str) -> str:
        self._check(step)
        command, *rest = arguments
        if command == "forget":
            assert not self.locked
            for name in rest:
                del self.found[name]
        elif command == "cat":
            return MASTER_KEY if "masterkey" in rest else CONFIG
        return ""

    def forget(self, step: str, snapshots: Iterable[str]) -> None:
        self.run(step, "forget", *snapshots)

    def snapshots(self, step: str) -> list[dict[str, Any]]:
        self._check(step)
        return [dict(snapshot) for snapshot, _ in self.found.values()]

    all_snapshots = snapshots

    def save(self, part: Part) -> tuple[StepResult, dict[str, str], int]:
        self._check(part.name)
        data = bytearray()

        class Target:
            def write(self, chunk: bytes) -> int:
                data.extend(chunk)
                return len(chunk)

        part.write(Target())
        self._count += 1
        name = f"{self._count:064x}"
        tags = [*self.tags, f"part={part.name}", *part.tags]
        self.found[name] = ({"id": name, "time": self.clock(), "tags": tags}, bytes(data))
        sha256 = hashlib.sha256(data).hexdigest()
        return StepResult(part.name, len(data), 0.0, sha256, name), {}, len(data)

    def dump(self, step: str, snapshot: str, *_: str) -> Generator[bytes, None, None]:
        self._check(step)
        data = self.found[snapshot][1]
        yield from (data[at : at + 50_000] for at in range(0, len(data), 50_000))
