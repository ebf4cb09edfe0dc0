"""The one error that a user of the lab is shown."""

from __future__ import annotations

LAB = ".venv/bin/python -m lab"
"""How the lab is called, as messages say it."""


class LabError(Exception):
    """Something a user can act on: what went wrong, where it is written, what to do about it."""

    def __init__(self, what: str, *, remedy: str = "", detail: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.remedy = remedy
        self.detail = detail

    def render(self) -> str:
        """Return the message as it is printed: the error, its detail, and what to do."""
        parts = [self.what]
        if self.detail:
            parts.append(self.detail.rstrip())
        if self.remedy:
            parts.append(f"what to do: {self.remedy}")
        return "\n".join(parts)
