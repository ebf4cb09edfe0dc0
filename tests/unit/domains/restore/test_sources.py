"""Where a set comes from, and what besides the database comes back with it."""

import base64
import io
import tarfile
from dataclasses import replace
from typing import Any

import pytest

from stackroles.agents.backup.reader_protocol import Manifest, ManifestPart
from stackroles.domains.restore import client, reconcile_reader
from stackroles.workloads.restoring import Stopped
from tests.support.restore_cloud import SET, UUID
from tests.support.restore_world import PART, RestoreWorld

RING = "demo-keystone-credential-keys"
SECRETS = ManifestPart(name="secrets", filename="s", bytes=1, sha256="a", snapshot="s")
FROM_REPOSITORY: dict[str, Any] = {
    "recoverySet": {"policy": "nightly", "name": SET},
    "overwrite": "demo",
}


def archive(secret: str, values: dict[str, str]) -> bytes:
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w|") as opened:
        for key, text in values.items():
            info = tarfile.TarInfo(f"{secret}/{key}")
            info.size = len(text)
            opened.addfile(info, io.BytesIO(text.encode()))
    return target.getvalue()


def says(world: RestoreWorld, **changed: Any) -> None:
    assert isinstance(world.answer, Manifest)
    world.answer = replace(world.answer, **changed)


async def test_a_set_without_a_backup_comes_back_from_its_repository(world: RestoreWorld) -> None:
    world.remove("Backup", SET)
    says(world, time="2025-12-31T03:00:00+00:00")
    world.declare_restore(**FROM_REPOSITORY)

    await world.play()

    assert world.told()[0] == "Restored"
    assert world.data == [UUID] * 3
    found = world.restored()
    assert (found["recoverySet"], found["recoveryPoint"]) == (SET, "2025-12-31T03:00:00Z")


async def test_when_a_set_was_taken_may_not_be_known(world: RestoreWorld) -> None:
    world.declare_restore(**{**FROM_REPOSITORY, "overwrite": "other"})
    for _ in range(6):
        await world.reconcile()
        await world.follow()

    assert "what was written since the set was taken is lost" in world.told()[1]


@pytest.mark.parametrize(
    ("present", "wanted", "added"),
    [
        ({"0": "y", "1": "x"}, {"0": "y", "1": "b", "2": "a", "3": "x"}, 2),
        ({"0": "c", "1": "a", "2": "b"}, {"0": "c", "1": "a", "2": "b"}, 0),
    ],
)
async def test_keys_that_the_cloud_lacks_are_added_as_the_oldest(
    world: RestoreWorld,
    monkeypatch: pytest.MonkeyPatch,
    present: dict[str, str],
    wanted: dict[str, str],
    added: int,
) -> None:
    async def read_part(_: str, __: str, part: ManifestPart) -> bytes:
        assert part is SECRETS
        return archive(RING, {"0": "b", "1": "a"})

    monkeypatch.setattr(client, "read_part", read_part)
    says(world, parts=(PART, SECRETS))
    world.secret(RING, **present)
    world.declare_restore(overwrite="demo")

    await world.play()

    secret = world.api.get("secrets", "ns", RING) or {}
    held = {key: base64.b64decode(value).decode() for key, value in secret["data"].items()}
    assert held == wanted
    assert world.restored()["addedKeys"] == added
    assert not any(key in str(world.restored()) for key in ("'a'", "'x'"))


async def test_a_part_that_does_not_come_whole_is_asked_for_again(
    world: RestoreWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = [None, None, archive("other", {"0": "a"})]

    async def read_part(*_: object) -> bytes | None:
        return answers.pop(0) if len(answers) > 1 else answers[0]

    monkeypatch.setattr(client, "read_part", read_part)
    says(world, parts=(PART, SECRETS))
    told: list[str] = []
    world.declare_restore(overwrite="demo")

    await world.play(after=lambda: told.append(world.told()[1]))

    assert "Keys: Part secrets of the set could not be read yet." in told
    assert world.told()[0] == "Restored"


async def test_a_damaged_set_is_refused_also_where_it_is_the_newest(world: RestoreWorld) -> None:
    found = {"level": "Database", "since": "2026-01-01T00:00:00Z", "message": "a table differs"}
    world.apply_set(quarantine=[found])
    world.declare_restore(recoverySet={"policy": "nightly"}, overwrite="demo")
    await world.play(until=lambda: world.told()[0] == "PreflightFailed")

    assert "a table differs" in world.told()[1]


async def test_a_set_that_came_after_the_restore_began_does_not_take_the_place_of_its_own(
    world: RestoreWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A reader that was asked for the newest one is started anew before anything is read of it."""
    asked: list[str] = []

    async def read(*_: str) -> Any:
        settings = {}
        if job := world.api.get("jobs", "ns", "back-reader"):
            [container] = job["spec"]["template"]["spec"]["containers"]
            settings = {e["name"]: e.get("value") for e in container["env"]}
        name = next(v for k, v in settings.items() if k.endswith("_NAME"))
        record = world.record()
        asked.append(name)
        assert isinstance(world.answer, Manifest)
        newest = SET if record is None or record.stopped is Stopped.NOTHING else "tuesday"
        return replace(world.answer, name=name or newest)

    monkeypatch.setattr(reconcile_reader, "read_manifest", read)
    world.declare_restore(recoverySet={"policy": "nightly"}, overwrite="demo", safetyBackup="Never")
    await world.play()

    assert world.told()[0] == "Restored", world.told()
    assert (asked[0], asked[-1]) == ("", SET)
    assert world.restored()["recoverySet"] == SET


async def test_a_damaged_set_is_restored_with_the_consent_to_it(world: RestoreWorld) -> None:
    found = {"level": "Database", "since": "2026-01-01T00:00:00Z", "message": "a table differs"}
    world.apply_set(quarantine=[found])
    world.declare_restore(overwrite="demo", allowQuarantined=SET)

    await world.play()

    assert world.told()[0] == "Restored"


async def test_a_cloud_that_is_gone_beside_its_policy_is_said_to_be_made_from_the_set(
    world: RestoreWorld,
) -> None:
    world.remove("CloudController", "demo")
    world.declare_restore(overwrite="demo")

    await world.reconcile()

    assert world.told()[0] == "PreflightFailed"
    assert "CloudController demo does not exist in ns: apply it; or, to have" in world.told()[1]
    assert "spec.controller" not in world.told()[1]
