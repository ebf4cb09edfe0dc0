"""What a Restore says of itself."""

from datetime import datetime

from lab.kubectl import Object


def phase_seconds(found: Object) -> dict[str, float]:
    """Return the seconds that each phase of a Restore took, by `<phase>_seconds`."""
    return {
        f"{phase['name']}_seconds": (
            datetime.fromisoformat(phase["completedAt"])
            - datetime.fromisoformat(phase["startedAt"])
        ).total_seconds()
        for phase in found["status"]["phases"]
    }
