"""A cluster through kubectl: the demo and the end-to-end tests do what a person could type."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lab import shell
from lab.errors import LabError

Object = dict[str, Any]
Notify = Callable[[str], None]
PERIOD = 1.0


def discard(_: str) -> None:
    """Say nothing."""


@dataclass(frozen=True, slots=True)
class Kubectl:
    """kubectl bound to one cluster and one namespace."""

    program: Path
    kubeconfig: Path
    namespace: str = "default"
    env: Mapping[str, str] = field(default_factory=dict)

    def run(self, *arguments: str, stdin: str | None = None, timeout: float = 120) -> str:
        """Run kubectl and return what it printed; raises LabError with kubectl's own message."""
        flags = ("--kubeconfig", str(self.kubeconfig), "-n", self.namespace)
        command = [str(self.program), *flags, *arguments]
        return shell.output(command, env=self.env, stdin=stdin, timeout=timeout)

    def within(self, namespace: str) -> Kubectl:
        """Return the same for another namespace."""
        return Kubectl(self.program, self.kubeconfig, namespace, self.env)

    def apply(self, *manifests: Object | Path) -> None:
        """Apply manifests or files, server-side."""
        for manifest in manifests:
            if isinstance(manifest, Path):
                self.run("apply", "--server-side", "-f", str(manifest))
            else:
                self.run("apply", "--server-side", "-f", "-", stdin=json.dumps(manifest))

    def get(self, kind: str, name: str) -> Object | None:
        """Return an object, or None where it does not exist."""
        text = self.run("get", kind, name, "--ignore-not-found", "-o", "json")
        return json.loads(text) if text.strip() else None

    def items(self, kind: str, selector: str = "") -> list[Object]:
        """Return the objects of a kind, by label selector."""
        arguments = ["get", kind, "-o", "json", *(["-l", selector] if selector else [])]
        found: list[Object] = json.loads(self.run(*arguments))["items"]
        return found

    def wait(
        self,
        what: str,
        check: Callable[[], tuple[bool, str]],
        *,
        seconds: float,
        period: float = PERIOD,
        notify: Notify = discard,
    ) -> None:
        """Check until it is so.

        Args:
            what: what is waited for, for the message.
            check: returns whether it is so, and what is seen otherwise.
            seconds: the deadline.
            period: seconds between two checks.
            notify: called with what is seen, each time it changes.

        Raises:
            LabError: it was not so in time; the detail is what was seen last.
        """
        deadline = time.monotonic() + seconds
        seen = ""
        while True:
            done, now = check()
            if done:
                return
            if now != seen:
                seen = now
                notify(now)
            if time.monotonic() > deadline:
                raise LabError(f"{what} did not come true in {seconds:.0f} s", detail=seen)
            time.sleep(period)

    def wait_condition(
        self,
        kind: str,
        name: str,
        condition: str = "Ready",
        *,
        seconds: float,
        notify: Notify = discard,
    ) -> Object:
        """Wait until a condition is True of the newest generation and return the object."""
        last: list[Object] = []

        def check() -> tuple[bool, str]:
            found = self.get(kind, name)
            if found is None:
                return False, f"{kind}/{name} does not exist"
            last[:] = [found]
            return holds(found, condition)

        self.wait(f"{condition} of {kind}/{name}", check, seconds=seconds, notify=notify)
        return last[0]


def condition_of(found: Object, condition: str) -> Object:
    """Return a condition of an object, empty where it has none of that type."""
    conditions = found.get("status", {}).get("conditions", [])
    return next((dict(c) for c in conditions if c["type"] == condition), {})


def holds(found: Object, condition: str) -> tuple[bool, str]:
    """Return whether a condition is True of the newest generation, and its message otherwise."""
    now = condition_of(found, condition)
    if not now:
        return False, "the operator has not reconciled it yet"
    fresh = now.get("observedGeneration", 0) >= found["metadata"].get("generation", 0)
    state = f"{now['reason']}: {now.get('message', '')}"
    return now["status"] == "True" and fresh, state
