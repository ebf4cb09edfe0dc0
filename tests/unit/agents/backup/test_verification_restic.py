"""Verifications at level Repository of sets that the real restic holds, and of damaged ones."""

import random
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from stackroles.agents.backup.repository import Restic
from stackroles.agents.backup.verification import Verification
from stackroles.agents.backup.verification_protocol import (
    Level,
    VerificationOutcome,
    VerificationSettings,
)
from tests.support.alarm import alarm
from tests.support.binaries import binary
from tests.support.corruption import change
from tests.support.corruption_bed import POLICIES, Bed, make_bed, opened, silent


@pytest.fixture(scope="module")
def bed(tmp_path_factory: pytest.TempPathFactory) -> Bed:
    return make_bed(tmp_path_factory.mktemp("bed"), 0)


@pytest.fixture(autouse=True)
def _ends() -> Iterator[None]:
    with alarm(300):
        yield


def verified(repository: Path, percent: int = 100) -> VerificationOutcome:
    """Verify set one."""
    settings = VerificationSettings(
        name="one", policy=POLICIES["one"], level=Level.REPOSITORY, percent=percent
    )
    with opened(repository):
        restic = Restic(str(binary("restic")), stall=60.0, progress=silent())
        return Verification(settings, restic, silent()).run()


def pack(bed: Bed, part: str, name: str = "one") -> str:
    """Return a pack of a part's data: the largest of its files."""
    files = [bed.folder / "once" / path for path in bed.sets[name].files[part]]
    packs = [path for path in files if path.exists() and path.parts[-3] == "data"]
    return str(max(packs, key=lambda path: path.stat().st_size).relative_to(bed.folder / "once"))


def test_a_repository_as_runs_made_it_passes(bed: Bed) -> None:
    outcome = verified(bed.folder / "once")

    assert (outcome.ok, outcome.damaged, outcome.message) == (True, False, "")


@pytest.mark.parametrize("percent", [0, 100])
@pytest.mark.parametrize("fault", ["a bit flipped", "truncated", "removed"])
@pytest.mark.parametrize("part", ["database", "state"])
def test_a_damaged_pack_condemns_the_set_whose_it_is_and_names_the_part(
    bed: Bed, tmp_path: Path, part: str, fault: str, percent: int
) -> None:
    copy = bed.copy("once", tmp_path / "copy")
    change(copy, pack(bed, part), fault, random.Random(1), bed)

    outcome = verified(copy, percent)

    assert (outcome.ok, outcome.damaged, outcome.reason) == (False, True, "PartDamaged")
    assert f"these are damaged: {part}; {part} cannot be read" in outcome.message


def test_a_damaged_index_condemns_the_set(bed: Bed, tmp_path: Path) -> None:
    copy = bed.copy("once", tmp_path / "copy")
    for path in sorted(copy.glob("index/*")):
        change(copy, f"index/{path.name}", "a bit flipped", random.Random(1), bed)

    outcome = verified(copy)

    assert (outcome.damaged, outcome.reason) == (True, "PartDamaged")
    assert outcome.message.startswith("manifest cannot be read")


def test_a_damaged_pack_of_another_set_does_not_condemn_this_one(bed: Bed, tmp_path: Path) -> None:
    copy = bed.copy("once", tmp_path / "copy")
    change(copy, pack(bed, "database", "two"), "a bit flipped", random.Random(1), bed)

    outcome = verified(copy)

    assert (outcome.ok, outcome.damaged, outcome.reason) == (False, False, "StepFailed")
    assert "All parts of this set read as they were written" in outcome.message


@pytest.mark.parametrize("fault", ["a bit flipped", "removed"])
def test_a_repository_that_does_not_open_says_nothing_of_the_set(
    bed: Bed, tmp_path: Path, fault: str
) -> None:
    copy = bed.copy("once", tmp_path / "copy")
    change(copy, "config", fault, random.Random(1), bed)

    outcome = verified(copy)

    assert (outcome.ok, outcome.damaged) == (False, False)


def test_a_repository_that_is_away_says_nothing_of_the_set(bed: Bed, tmp_path: Path) -> None:
    copy = bed.copy("once", tmp_path / "copy")
    shutil.rmtree(copy)

    outcome = verified(copy)

    assert (outcome.ok, outcome.damaged, outcome.reason) == (False, False, "SetMissing")
