"""Real runs into a repository of the real restic, and what notices that it was corrupted.

All kinds, several times each: tests/support/corruption_campaign.py.
"""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.alarm import alarm
from tests.support.corruption import (
    CHECK,
    MANIFEST,
    NOTHING,
    OTHER_SET,
    PART,
    Case,
    Noticed,
    cases,
    notice,
    run_case,
)
from tests.support.corruption_bed import Bed, make_bed, opened, restic
from tests.support.corruption_campaign import CLEAN, WRONG, every_case, failures, table

SEED = 0
CASES = {case.kind: case for case in cases(1)}


@pytest.fixture(scope="module")
def bed(tmp_path_factory: pytest.TempPathFactory) -> Bed:
    return make_bed(tmp_path_factory.mktemp("bed"), SEED)


@pytest.fixture(autouse=True)
def _ends() -> Iterator[None]:
    with alarm(300):
        yield


@pytest.mark.parametrize("base", ["once", "twice"])
def test_what_runs_made_is_complained_of_by_nothing(bed: Bed, tmp_path: Path, base: str) -> None:
    assert notice(bed, bed.copy(base, tmp_path / "copy")) == Noticed(NOTHING)


def test_a_set_outlives_a_changed_password(bed: Bed, tmp_path: Path) -> None:
    copy = bed.copy("once", tmp_path / "copy")
    (tmp_path / "password").write_text("another")
    with opened(copy):
        restic("key", "passwd", "--new-password-file", str(tmp_path / "password"))

    assert notice(bed, copy, "another") == Noticed(NOTHING)
    assert notice(bed, copy).reason == "WrongEncryptionKey"


@pytest.mark.parametrize(
    ("kind", "by", "reason"),
    [
        ("config: a bit flipped", MANIFEST, "StepFailed"),
        ("index: a bit flipped", MANIFEST, "StepFailed"),
        ("manifest's snapshot: truncated", MANIFEST, "SetUnfinished"),
        ("part's snapshot: exchanged", MANIFEST, "PartMissing"),
        ("database's pack: a bit flipped", PART, "StepFailed"),
        ("others' pack: a block blank", CHECK, "StepFailed"),
        ("other set's snapshot: removed", OTHER_SET, "PartMissing"),
        ("manifest: the other set's, by its text", MANIFEST, "ManifestOfAnotherSet"),
        ("manifest: another repository's", MANIFEST, "ManifestForged"),
        ("manifest: signed with a wrong key", MANIFEST, "ManifestForged"),
        ("manifest: its signature's tag removed", MANIFEST, "ManifestForged"),
        ("manifest: an older one put back, its parts there", MANIFEST, "ManifestSuperseded"),
        ("part: exchanged, and signed with the right key", MANIFEST, "PartMissing"),
        ("part: exchanged with an earlier run's, and signed", PART, "PartDamaged"),
        ("password: another", MANIFEST, "WrongEncryptionKey"),
    ],
)
def test_a_corruption_is_noticed(bed: Bed, tmp_path: Path, kind: str, by: str, reason: str) -> None:
    found = run_case(bed, CASES[kind], tmp_path, SEED)

    assert (found.by, found.reason) == (by, reason)


def test_the_campaign_has_the_cases_that_it_is_to_have() -> None:
    found = list(every_case(4, 50))

    corruptions = [case for case in found if case.kind != CLEAN]
    assert len({(case.kind, case.number) for case in corruptions}) == len(corruptions) >= 200
    assert sum(case.kind == CLEAN for case in found) == 50


def result(kind: str, by: str, reason: str = "") -> str:
    return json.dumps({"kind": kind, "number": 0, "by": by, "reason": reason, "message": ""})


def test_the_campaign_fails_by_what_was_not_noticed_and_by_a_false_alarm() -> None:
    good = [result(CLEAN, NOTHING), result("key: removed", MANIFEST, "WrongEncryptionKey")]
    bad = [result(CLEAN, PART), result("key: removed", NOTHING), result("key: removed", WRONG)]

    assert failures(good) == []
    assert failures([*good, *bad]) == [json.loads(line) for line in bad]


def test_the_campaigns_table_counts_what_noticed_each_kind() -> None:
    rows = table([result("a", MANIFEST, "X"), result("a", PART, "Y"), result("b", CHECK)])

    assert rows.splitlines()[2:] == [
        "| a | 2 | 1 | 1 |  |  |  |  | `X`, `Y` |",
        "| b | 1 |  |  | 1 |  |  |  |  |",
        "| in all | 3 | 1 | 1 | 1 |  |  |  |  |",
    ]


def test_a_case_leaves_the_repository_of_the_others_as_it_was(bed: Bed, tmp_path: Path) -> None:
    before = {p: p.read_bytes() for p in (bed.folder / "once").rglob("*") if p.is_file()}

    def corrupt(_: Bed, repository: Path, __: object) -> None:
        for path in [p for p in repository.rglob("*") if p.is_file()]:
            path.unlink()

    run_case(bed, Case("all gone", 0, corrupt), tmp_path, SEED)

    assert before == {p: p.read_bytes() for p in before}
    assert not list(tmp_path.iterdir())
