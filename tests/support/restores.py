"""What a Restore says of itself, and what came back by it."""

from datetime import datetime

from lab.kubectl import Object
from tests.support.client import Client
from tests.support.cloud import Cloud


def phase_seconds(found: Object) -> dict[str, float]:
    """Return the seconds that each phase of a Restore took, by `<phase>_seconds`."""
    return {
        f"{phase['name']}_seconds": (
            datetime.fromisoformat(phase["completedAt"])
            - datetime.fromisoformat(phase["startedAt"])
        ).total_seconds()
        for phase in found["status"]["phases"]
    }


def check_rows(cloud: Cloud, client: Client, backup: Object, restore: Object) -> None:
    """Assert that all rows from before the copy are there, and none from after it."""
    began = datetime.fromisoformat(backup["status"]["startedAt"]).timestamp()
    ended = datetime.fromisoformat(backup["status"]["completedAt"]).timestamp()
    stopped = datetime.fromisoformat(restore["status"]["stoppedAt"]).timestamp()
    rows = [row for row in client.rows() if row.acknowledged]
    older = {row.identity for row in rows if row.at < began}
    newer = {row.identity for row in rows if row.sent > ended + 1 and row.at < stopped}
    assert older
    assert newer
    for member in cloud.members("mariadb"):
        stored = client.stored(member)
        assert not older - stored, f"{member} lost {len(older - stored)} rows of the set"
        assert not newer & stored, f"{member} holds {len(newer & stored)} rows that came later"


def check_rows_until(cloud: Cloud, client: Client, at: int, restore: Object) -> None:
    """Assert that all rows that were acknowledged before a second are there, and none from it on.

    A row that was under way at that moment may be there or not.
    """
    stopped = datetime.fromisoformat(restore["status"]["stoppedAt"]).timestamp()
    rows = [row for row in client.rows() if row.acknowledged]
    older = {row.identity for row in rows if row.at < at}
    newer = {row.identity for row in rows if row.sent >= at and row.at < stopped}
    assert older
    assert newer
    for member in cloud.members("mariadb"):
        stored = client.stored(member)
        assert not older - stored, f"{member} lost {len(older - stored)} rows from before {at}"
        assert not newer & stored, f"{member} holds {len(newer & stored)} rows from after {at}"
