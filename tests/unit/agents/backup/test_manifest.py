"""The manifest of a recovery set: signed, proven, and compared with what the repository holds."""

import base64
import hashlib
import json
from dataclasses import replace
from typing import Any

import pytest

from stackroles.agents.backup.manifest import (
    ManifestError,
    check,
    check_part,
    decode,
    encode,
    identity,
    signature_tag,
)
from stackroles.agents.backup.protocol import Versions
from stackroles.agents.backup.reader_protocol import UNSIGNED_VERSION, Manifest, ManifestPart
from stackroles.agents.backup.sets import snapshots_of


def master_key(byte: int, r: str = "r") -> str:
    return json.dumps({"mac": {"k": "k", "r": r}, "encrypt": base64.b64encode(bytes([byte]) * 32)
                       .decode()})  # fmt: skip


KEY = identity('{"id": "repository-1"}', master_key(1))
OTHER_KEY = identity('{"id": "repository-1"}', master_key(2))
PART = ManifestPart(name="database", filename="d", bytes=3, sha256="a" * 64, snapshot="1" * 64)
SET = Manifest(
    name="one",
    cloud="cloud",
    policy="daily",
    versions=Versions(operator="0.1.0", release="2025.1", images={}),
    position=None,
    time="2026-01-01T00:00:00+00:00",
    repository="repository-1",
    parts=(PART,),
)
TEXT = encode(SET)
SIGNED = ("part=manifest", signature_tag(TEXT, KEY))


def snapshot(id: str, part: str = "database", name: str = "one", **more: Any) -> dict[str, Any]:
    tags = ["policy=daily", f"set={name}", f"part={part}"]
    return {"id": id, "time": "2026-01-01T00:01:00.123456789Z", "tags": tags} | more


def reason(text: bytes, tags: tuple[str, ...], key: Any = KEY) -> str:
    with pytest.raises(ManifestError) as caught:
        decode(text, tags, key)
    return caught.value.reason


def refused(manifest: Manifest, *snapshots: dict[str, Any], name: str = "one") -> str:
    with pytest.raises(ManifestError) as caught:
        check(manifest, name, "daily", KEY, snapshots)
    return caught.value.reason


def test_a_signed_manifest_is_what_was_signed() -> None:
    assert decode(TEXT, SIGNED, KEY) == SET


def test_a_signature_stays_when_a_version_of_restic_prints_the_other_half_differently() -> None:
    assert identity('{"id": "repository-1"}', master_key(1, "masked")) == KEY


def test_the_signature_is_no_hash_with_the_key_of_the_data_itself() -> None:
    assert KEY.signing != bytes([1]) * 32
    assert "signing" not in repr(KEY)
    assert len(signature_tag(TEXT, KEY).rsplit(":", 1)[1]) == hashlib.sha256().digest_size * 2


@pytest.mark.parametrize("config", ["", "{}", "[]", '{"id": "a"}'])
@pytest.mark.parametrize("key", ["", "{}", "null", '{"encrypt": "c2VjcmV0"}', '{"encrypt": "!"}'])
def test_an_unknown_answer_of_restic_is_refused_and_not_quoted(config: str, key: str) -> None:
    with pytest.raises(ValueError, match="of a form that this version does not know") as caught:
        identity(config, key)

    assert "c2VjcmV0" not in str(caught.value)
    assert (caught.value.__cause__, caught.value.__context__) == (None, None)


@pytest.mark.parametrize(
    "tags",
    [
        (),
        ("part=manifest",),
        ("signature=hmac-sha256:",),
        (SIGNED[1][:-1],),
        (SIGNED[1], signature_tag(b"other", KEY)),
        (signature_tag(TEXT, OTHER_KEY),),
    ],
)
def test_a_manifest_without_its_signature_is_refused(tags: tuple[str, ...]) -> None:
    assert reason(TEXT, tags) == "ManifestForged"


@pytest.mark.parametrize("place", range(0, len(TEXT), 7))
def test_a_manifest_of_which_any_byte_differs_is_refused(place: int) -> None:
    changed = bytes([*TEXT[:place], TEXT[place] ^ 1, *TEXT[place + 1 :]])

    assert reason(changed, SIGNED) == "ManifestForged"


def test_a_manifest_that_another_repository_signed_is_refused() -> None:
    assert reason(TEXT, SIGNED, OTHER_KEY) == "ManifestForged"


def test_a_manifest_of_the_former_version_needs_no_signature_and_takes_no_wrong_one() -> None:
    former = replace(SET, api_version=UNSIGNED_VERSION, repository="")

    assert decode(encode(former), ("part=manifest",), KEY) == former
    assert not former.signed
    assert reason(encode(former), SIGNED) == "ManifestForged"
    check(former, "one", "daily", KEY, [snapshot(PART.snapshot)])


@pytest.mark.parametrize("text", [b"", b"{}", encode(replace(SET, api_version="v9"))])
def test_a_manifest_of_an_unknown_form_is_unreadable(text: bytes) -> None:
    assert reason(text, (signature_tag(text, KEY),)) == "ManifestUnreadable"


@pytest.mark.parametrize(
    "changed", [{"name": "two"}, {"policy": "weekly"}, {"repository": "repository-2"}]
)
def test_a_manifest_of_another_set_is_refused(changed: dict[str, Any]) -> None:
    found = refused(replace(SET, **changed), snapshot(PART.snapshot))

    assert found == "ManifestOfAnotherSet"


@pytest.mark.parametrize(
    "there",
    [
        [],
        [snapshot("2" * 64)],
        [snapshot(PART.snapshot, part="secrets")],
        [snapshot(PART.snapshot, name="two")],
        [snapshot(PART.snapshot, tags=["policy=weekly", "set=one", "part=database"])],
        [snapshot(PART.snapshot, tags=["policy=daily", "set=one"])],
    ],
)
def test_a_part_whose_snapshot_is_missing_or_of_something_else_is_named(
    there: list[dict[str, Any]],
) -> None:
    assert refused(SET, *there) == "PartMissing"


def test_parts_of_a_later_run_show_that_the_manifest_is_an_older_one() -> None:
    assert refused(SET, snapshot(PART.snapshot), snapshot("2" * 64)) == "ManifestSuperseded"


def test_parts_of_an_earlier_run_or_another_set_are_no_fault() -> None:
    earlier = snapshot("2" * 64, time="2026-01-01T00:59:59+01:00")

    check(SET, "one", "daily", KEY, [snapshot(PART.snapshot), earlier, snapshot("3", name="two")])


@pytest.mark.parametrize(("count", "sha256"), [(2, "a" * 64), (3, "b" * 64)])
def test_a_part_of_another_size_or_checksum_is_damaged(count: int, sha256: str) -> None:
    check_part(PART, PART.bytes, PART.sha256)

    with pytest.raises(ManifestError, match="restic check --read-data") as caught:
        check_part(PART, count, sha256)

    assert caught.value.reason == "PartDamaged"


def of(uid: str, id: str, part: str = "database", day: int = 1) -> dict[str, Any]:
    """Return a snapshot of a Backup with a uid."""
    found = snapshot(id, part, time=f"2026-01-{day:02}T00:01:00Z")
    return {**found, "tags": [*found["tags"], f"backup-uid={uid}"]}


OWNED = replace(SET, uid="a")


def test_what_a_later_run_of_the_same_name_left_is_no_part_of_the_set() -> None:
    own = of("a", "1" * 64)

    check(OWNED, "one", "daily", KEY, [own, of("b", "2" * 64, day=9)], uid="a")
    # A former version's.
    check(OWNED, "one", "daily", KEY, [own, snapshot("2" * 64, time="2026-01-09T00:00:00Z")],
          uid="a")  # fmt: skip


def test_an_older_manifest_that_was_put_back_is_refused() -> None:
    own, again = of("a", "1" * 64), of("a", "3" * 64, "manifest", 20)
    newer = of("b", "2" * 64, "manifest", 9)

    assert superseded(own, again, newer) == "ManifestSuperseded"
    assert superseded(own, again, of("a", "4" * 64, day=9)) == "ManifestSuperseded"


def superseded(*snapshots: dict[str, Any]) -> str:
    with pytest.raises(ManifestError) as caught:
        check(OWNED, "one", "daily", KEY, snapshots, uid="a")
    return caught.value.reason


@pytest.mark.parametrize("uid", ["b", ""])
def test_a_manifest_under_the_tags_of_another_backup_of_its_name_is_refused(
    uid: str,
) -> None:
    with pytest.raises(ManifestError) as caught:
        check(OWNED, "one", "daily", KEY, [of("a", "1" * 64)], uid=uid)

    assert caught.value.reason == "ManifestOfAnotherSet"


def test_a_part_of_another_backup_of_the_same_name_is_refused() -> None:
    with pytest.raises(ManifestError) as caught:
        check(OWNED, "one", "daily", KEY, [of("b", "1" * 64)], uid="a")

    assert caught.value.reason == "PartMissing"


def test_a_set_is_found_by_the_uid_of_its_backup() -> None:
    snapshots = [
        of("a", "d1"), of("a", "m1", "manifest", 2), of("b", "d2"), snapshot("d0"),
        snapshot("m0", "manifest"),
    ]  # fmt: skip

    assert snapshots_of(snapshots, "daily", "one", "a") == (("m1",), ("d1",))
    assert snapshots_of(snapshots, "daily", "one", "b") == ((), ("d2",))
    # A former version took it.
    assert snapshots_of(snapshots, "daily", "one", "c") == (("m0",), ("d0",))
    assert snapshots_of(snapshots, "daily", "one") == (("m0", "m1"), ("d1", "d2", "d0"))
