from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from stackroles.agents.ovsdb import database_file

NOW = datetime(2026, 5, 4, 3, 2, 1, tzinfo=UTC)
MEBIBYTE = 1 << 20


def test_files_put_aside_are_kept_newest_first_and_not_for_ever(tmp_path: Path) -> None:
    path = tmp_path / "ovnnb_db.db"
    (tmp_path / "ovnnb_db.broken").write_text("of an older version")
    (tmp_path / "ovnsb_db.20260101T000000Z.broken").write_text("of another database")
    for n in range(5):
        path.write_text(f"file {n}")
        database_file.put_aside(path, NOW + timedelta(seconds=n))
    assert not path.exists()
    assert [copy.read_text() for copy in database_file.copies(path)] == ["file 4", "file 3"]
    assert (tmp_path / "ovnsb_db.20260101T000000Z.broken").exists()


def test_name_of_a_file_put_aside_says_when(tmp_path: Path) -> None:
    path = tmp_path / "ovnnb_db.db"
    path.touch()
    assert database_file.put_aside(path, NOW).name == "ovnnb_db.20260504T030201Z.broken"


@pytest.mark.parametrize(
    ("sizes", "free", "kept"),
    [
        ([1, 1, 1], 1000, 2),
        ([1], 1000, 1),
        ([], 0, 0),
        # The newest goes too where the database would have no room beside it.
        ([600 * MEBIBYTE], 400 * MEBIBYTE, 0),
        ([400 * MEBIBYTE, 400 * MEBIBYTE], 200 * MEBIBYTE, 1),
        ([100, 0], 0, 0),
    ],
)
def test_files_put_aside_leave_room_for_the_database(
    sizes: list[int], free: int, kept: int
) -> None:
    assert database_file.kept(sizes, free) == kept
