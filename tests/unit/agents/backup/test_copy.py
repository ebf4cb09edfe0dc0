"""Sets are copied between two repositories of the real restic, each with a key of its own."""

import json
import os
import shutil
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path

import pytest

from stackroles.agents.backup.copy import copy, plan, source_environment
from stackroles.agents.backup.protocol import (
    RetentionInput,
    RetentionRules,
    RunOutcome,
    Versions,
)
from stackroles.agents.backup.reader_protocol import Manifest
from stackroles.agents.backup.recovery_set import Meanwhile, RecoverySet
from stackroles.agents.backup.repository import Part, Restic
from stackroles.agents.backup.run import Plan, run
from stackroles.agents.backup.sets import set_tags
from stackroles.agents.backup.streams import Sink
from tests.support.alarm import alarm
from tests.support.binaries import binary
from tests.support.corruption_bed import silent

SIZES = {"database": 3 << 20, "secrets": 6_000}
RULES = RetentionInput(rules=RetentionRules(last=1), backups=())
ALL = RetentionInput(rules=RetentionRules(last=9), backups=())
VERSIONS = Versions(operator="0.1.0", release="2025.1", images={})


@pytest.fixture(autouse=True)
def _ends() -> Iterator[None]:
    with alarm(180):
        yield


class Repository:
    """A repository in a folder, with a password of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.variables = {
            **os.environ,
            "RESTIC_REPOSITORY": str(folder),
            "RESTIC_PASSWORD": folder.name,
        }

    def open(self, name: str = "", uid: str = "") -> Restic:
        tags = set_tags(name, "daily", uid) if name else ()
        program = str(binary("restic"))
        return Restic(program, tags, "cloud", progress=silent(), environment=self.variables)

    def opened(self, _: Meanwhile) -> Restic:
        return self.open()

    def recovery_set(self, name: str, uid: str = "") -> RecoverySet:
        return RecoverySet(name, "daily", self.opened, uid=uid)

    def take(self, name: str, fill: bytes, uid: str = "") -> None:
        """Have a run store a set whose parts hold `fill`."""
        parts = tuple(Part(part, part, writer(fill, size)) for part, size in SIZES.items())
        began = datetime.now(UTC).isoformat(timespec="seconds")
        work = Plan(name, "cloud", "daily", VERSIONS, parts, ALL, began, "c", "p", uid)
        assert run(work, self.open(name, uid), now).ok

    def names(self) -> set[str]:
        """Return the sets that have a manifest."""
        found = json.loads(self.open().run("test", "snapshots", "--json", "--tag", "part=manifest"))
        tags = [tag for snapshot in found for tag in snapshot["tags"]]
        return {tag.removeprefix("set=") for tag in tags if tag.startswith("set=")}

    def read(self, name: str) -> dict[str, bytes]:
        """Return the parts of a set, once its manifest is proven."""
        found = self.recovery_set(name)
        _, manifest = found.manifest(quiet)
        return {part.name: b"".join(found.part(part, quiet)) for part in manifest.parts}


def writer(fill: bytes, size: int):  # type: ignore[no-untyped-def]
    def write(sink: Sink) -> Mapping[str, str]:
        sink.write(fill * (size // len(fill)))
        return {"position": "uuid:7"}

    return write


def now() -> datetime:
    return datetime.now(UTC)


def quiet() -> None:
    """Nothing happens meanwhile."""


@pytest.fixture(scope="module")
def taken(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a repository with a set that a run took; tests work on a copy of it."""
    made = Repository(tmp_path_factory.mktemp("taken") / "near")
    made.take("one", b"abcd")
    return made.folder


@pytest.fixture
def near(tmp_path: Path, taken: Path) -> Repository:
    return Repository(shutil.copytree(taken, tmp_path / "near"))


@pytest.fixture
def far(tmp_path: Path) -> Repository:
    return Repository(tmp_path / "far")


def copied(
    near: Repository, far: Repository, name: str, rules: RetentionInput = RULES
) -> RunOutcome:
    found = near.recovery_set(name)
    return copy(found, lambda wanted: far.open(wanted.name, wanted.uid), rules, now)


def test_a_copy_is_a_set_of_its_own_repository(near: Repository, far: Repository) -> None:
    outcome = copied(near, far, "one")

    assert (outcome.ok, outcome.verified, outcome.message) == (True, True, "")
    assert far.read("one") == near.read("one")
    there, here = (repository.recovery_set("one").manifest(quiet)[1] for repository in (far, near))
    assert (there.time, there.position, there.cloud_uid) == (here.time, "uuid:7", "c")
    assert there.repository != here.repository, "it is signed with the key of where it is"


def test_a_set_that_is_there_is_not_written_again(near: Repository, far: Repository) -> None:
    first = copied(near, far, "one")
    before = sorted(far.folder.rglob("*"))

    again = copied(near, far, "one")

    assert (again.ok, again.snapshot) == (True, first.snapshot)
    assert sorted(far.folder.rglob("*")) == before


def test_another_set_of_the_same_name_takes_its_place(near: Repository, far: Repository) -> None:
    assert copied(near, far, "one").ok
    near.open().forget("test", [s["id"] for s in near.open().snapshots("test")])
    near.take("one", b"wxyz")

    assert copied(near, far, "one").ok
    assert far.read("one") == near.read("one")


def test_a_name_that_is_used_again_costs_no_set_that_the_rules_keep(
    near: Repository, far: Repository
) -> None:
    for uid in ("u1", "u2"):
        near.take("again", uid.encode(), uid)
        assert copied(near, far, "again", ALL).ok

    for uid in ("u1", "u2"):
        _, manifest = far.recovery_set("again", uid).manifest(quiet)
        assert manifest.uid == uid


def test_the_rules_hold_for_the_copies_too(near: Repository, far: Repository) -> None:
    near.take("two", b"efgh")
    for name in ("one", "two"):
        assert copied(near, far, name).ok

    assert far.names() == {"two"}


def test_a_set_that_is_damaged_is_not_copied(near: Repository, far: Repository) -> None:
    for pack in near.folder.glob("data/*/*"):
        pack.chmod(0o600)
        pack.write_bytes(b"x" * pack.stat().st_size)

    outcome = copied(near, far, "one")

    assert not outcome.ok
    assert outcome.message
    assert not far.folder.exists() or far.names() == set()


def test_a_copy_that_broke_off_is_made_anew(near: Repository, far: Repository) -> None:
    far.open().open()
    far.open("one").save(Part("database", "database", writer(b"half", 2 << 20)))

    assert copied(near, far, "one").ok
    assert far.read("one") == near.read("one")


def test_each_repository_has_variables_of_its_own() -> None:
    variables = {
        "PATH": "/bin",
        "RESTIC_REPOSITORY": "s3:there",
        "RESTIC_CACERT": "/ca",
        "AWS_ACCESS_KEY_ID": "there",
        "REPOSITORY_UPLOAD_MEBIBYTES": "5",
        "SOURCE_RESTIC_REPOSITORY": "/source/repository",
    }

    assert source_environment(variables) == {
        "PATH": "/bin",
        "RESTIC_REPOSITORY": "/source/repository",
    }


def test_a_plan_takes_over_what_the_manifest_says(near: Repository) -> None:
    found = near.recovery_set("one")
    manifest: Manifest = found.manifest(quiet)[1]

    made = plan(found, manifest, RULES)

    assert (made.name, made.cloud, made.policy, made.began) == (
        "one", "cloud", "daily", manifest.time,
    )  # fmt: skip
    assert [part.name for part in made.parts] == list(SIZES)
