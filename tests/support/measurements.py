"""Figures that tests measured, kept beside the cluster's files; nothing asserts on them."""

import json
import threading
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path


@dataclass(slots=True)
class Measurements:
    """A JSON file: case -> figures of its last run, with the time they were taken."""

    file: Path
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def record(self, case: str, **figures: float | int | str) -> None:
        """Keep a case's figures, print them, and leave those of other cases as they are."""
        rounded = {
            name: round(value, 2) if isinstance(value, float) else value
            for name, value in figures.items()
        }
        print(f"{case}: " + ", ".join(f"{name} {value}" for name, value in rounded.items()))  # noqa: T201
        with self._lock:
            known = json.loads(self.file.read_text()) if self.file.is_file() else {}
            known[case] = {**rounded, "measured": datetime.now(UTC).isoformat(timespec="seconds")}
            written = self.file.with_suffix(".new")
            written.write_text(json.dumps(known, indent=1, sort_keys=True) + "\n")
            written.replace(self.file)
