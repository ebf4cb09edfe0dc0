"""Corruptions of a recovery set's repository, and what notices each of them.

A corruption is either of the repository's files, as by a disk or whoever can write there, or by
restic commands, as by somebody who has the password.
"""

import json
import random
import re
import shutil
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

from stackroles.agents.backup.manifest import Identity, signature_tag
from stackroles.agents.backup.reader_protocol import MANIFEST_VERSION, UNSIGNED_VERSION
from stackroles.agents.backup.repository import Restic, StepFailed
from tests.support.binaries import binary
from tests.support.corruption_bed import (
    PASSWORD,
    Bed,
    opened,
    recovery_set,
    restic,
    silent,
)

# What notices a corruption, the first of them: reading the set's manifest or parts, else restic's
# check with all data, else reading the other policy's set.
MANIFEST, PART, CHECK, OTHER_SET = "manifest", "part", "check", "the other set"
NOTHING: Final = "nothing"
Corrupt = Callable[[Bed, Path, random.Random], None]
_PARTS: Final = ("database", "secrets", "state")


class SilentlyWrongError(AssertionError):
    """A set was read without a complaint, and is not what was written."""


@dataclass(frozen=True)
class Noticed:
    """What noticed a corruption of set `one` first.

    Attributes:
        by: MANIFEST, PART, CHECK, OTHER_SET or NOTHING.
        reason: of the failure.
        message: of the failure.
    """

    by: str
    reason: str = ""
    message: str = ""


@dataclass(frozen=True)
class Case:
    """One corruption.

    Attributes:
        kind: what is done to what.
        number: which of its kind.
        corrupt: does it to a copy of `base`; the chance selects what is left open.
        base: the repository of the bed.
        password: what it is read with.
    """

    kind: str
    number: int
    corrupt: Corrupt
    base: str = "once"
    password: str = PASSWORD


def notice(bed: Bed, repository: Path, password: str = PASSWORD) -> Noticed:
    """Return what notices a corruption of a repository first.

    Raises:
        SilentlyWrongError: nothing did before wrong bytes were taken for right.
    """
    with opened(repository, password):
        by = MANIFEST
        try:
            for stage in _read(bed, "one"):
                by = stage
            by = CHECK
            Restic(str(binary("restic")), progress=silent()).run(CHECK, "check", "--read-data")
            by = OTHER_SET
            for _ in _read(bed, "two"):
                pass
        except StepFailed as error:
            return Noticed(by, error.reason, str(error))
    return Noticed(NOTHING)


def _read(bed: Bed, name: str) -> Iterable[str]:
    """Read a whole set as a restore does; yield what comes next.

    Raises:
        StepFailed: it cannot be read.
        SilentlyWrongError: it can, and is another.
    """
    found, taken = recovery_set(name), bed.sets[name]
    text, manifest = found.manifest(lambda: None)
    for part in manifest.parts:
        yield PART
        sum_ = sha256()
        for chunk in found.part(part, lambda: None):
            sum_.update(chunk)
        if sum_.hexdigest() != taken.checksums[part.name]:
            raise SilentlyWrongError(f"{part.name} of {name} is another")
    if text != taken.manifest:
        raise SilentlyWrongError(f"the manifest of {name} is another: {text.decode()}")


def run_case(bed: Bed, case: Case, folder: Path, seed: int) -> Noticed:
    """Corrupt a copy of a repository; return what notices it.

    Args:
        bed: the repositories.
        case: the corruption.
        folder: where the copy is made, and removed after.
        seed: selects what the case leaves open.

    Raises:
        SilentlyWrongError: nothing did before wrong bytes were taken for right.
    """
    copy = bed.copy(case.base, folder / "copy")
    try:
        with opened(copy):
            case.corrupt(bed, copy, random.Random(f"{seed} {case.kind} {case.number}"))
        return notice(bed, copy, case.password)
    finally:
        shutil.rmtree(copy)


# Faults of files: how the bytes of one become others, with a neighbour of the same kind.
def _flip(data: bytes, _: bytes, chance: random.Random) -> bytes:
    place = chance.randrange(len(data))
    return data[:place] + bytes([data[place] ^ 1 << chance.randrange(8)]) + data[place + 1 :]


def _truncate(data: bytes, _: bytes, chance: random.Random) -> bytes:
    return data[: chance.randrange(len(data))]


def _blank(data: bytes, _: bytes, chance: random.Random) -> bytes:
    """Blank a block, as a disk does that lost a write."""
    start = chance.randrange(len(data))
    while not data[start]:  # it would change nothing at the end of a pack
        start = chance.randrange(len(data))
    end = min(len(data), start + 512)
    return data[:start] + bytes(end - start) + data[end:]


def _swap(_: bytes, other: bytes, __: random.Random) -> bytes:
    return other


def _remove(_: bytes, __: bytes, ___: random.Random) -> None:
    return None


_FILE_FAULTS: Final[Mapping[str, Callable[[bytes, bytes, random.Random], bytes | None]]] = {
    "a bit flipped": _flip,
    "truncated": _truncate,
    "a block blank": _blank,
    "exchanged": _swap,
    "removed": _remove,
}
# Those that can be done to a file in one way only.
_WHOLE: Final = frozenset({"exchanged", "removed"})


def _packs(bed: Bed, parts: Iterable[str] | None, kind: str) -> list[str]:
    """Return the packs that hold blobs of a kind, data or tree.

    Args:
        bed: the repositories.
        parts: of set one; None for all packs that are not of that set.
        kind: of the blobs.
    """
    indexes = [
        json.loads(restic("cat", "--no-lock", "index", name))
        for name in restic("list", "--no-lock", "index").split()
    ]
    packs = [pack for index in indexes for pack in index["packs"]]
    ids = {pack["id"] for pack in packs if any(blob["type"] == kind for blob in pack["blobs"])}
    brought = bed.sets["one"].files
    own = {Path(path).name for part in parts or brought for path in brought[part]}
    chosen = ids - own if parts is None else ids & own
    return sorted(f"data/{name[:2]}/{name}" for name in chosen)


def _snapshots(bed: Bed, name: str, parts: Iterable[str]) -> list[str]:
    return [f"snapshots/{bed.sets[name].snapshots[part]}" for part in parts]


# Objects: which files of a repository are one, by what they are.
_OBJECTS: Final[Mapping[str, Callable[[Bed, Path], list[str]]]] = {
    "config": lambda _, __: ["config"],
    "key": lambda _, at: [f"keys/{path.name}" for path in at.glob("keys/*")],
    "index": lambda _, at: sorted(f"index/{path.name}" for path in at.glob("index/*")),
    "manifest's snapshot": lambda bed, _: _snapshots(bed, "one", ["manifest"]),
    "part's snapshot": lambda bed, _: _snapshots(bed, "one", _PARTS),
    "other set's snapshot": lambda bed, _: _snapshots(bed, "two", [*_PARTS, "manifest"]),
    "database's pack": lambda bed, _: _packs(bed, ["database"], "data"),
    "secrets' pack": lambda bed, _: _packs(bed, ["secrets"], "data"),
    "state's pack": lambda bed, _: _packs(bed, ["state"], "data"),
    "manifest's pack": lambda bed, _: _packs(bed, ["manifest"], "data"),
    "tree pack": lambda bed, _: _packs(bed, [*_PARTS, "manifest"], "tree"),
    "others' pack": lambda bed, _: _packs(bed, None, "data"),
    "others' tree pack": lambda bed, _: _packs(bed, None, "tree"),
}


def _file_case(what: str, fault: str, number: int) -> Case:
    def corrupt(bed: Bed, repository: Path, chance: random.Random) -> None:
        found = _OBJECTS[what](bed, repository)
        path = found[number % len(found)]
        change(repository, path, fault, chance, bed)

    return Case(f"{what}: {fault}", number, corrupt)


def change(repository: Path, path: str, fault: str, chance: random.Random, bed: Bed) -> None:
    """Do what a fault of files does to one of them; the original of a hard link stays."""
    target, kind = repository / path, path.split("/", maxsplit=1)[0]
    # A repository has one config and one key: those of another come in their place.
    for beside in (repository / kind, bed.folder / "other" / kind):
        files = [beside] if beside.is_file() else beside.rglob("*")
        others = sorted(found for found in files if found.is_file() and found != target)
        if others:
            break
    data = target.read_bytes()
    changed = _FILE_FAULTS[fault](data, chance.choice(others).read_bytes(), chance)
    target.unlink()
    if changed is not None:
        assert changed != data
        target.write_bytes(changed)


# Objects of which a repository has one.
_SINGLE: Final = frozenset(
    {"config", "key", "manifest's snapshot", "secrets' pack", "state's pack", "manifest's pack"}
)


# What somebody can do who has the password.
def _put(text: bytes, *tags: str) -> None:
    """Store a manifest as set one's."""
    words = [word for tag in ("set=one", "policy=daily", "part=manifest", *tags)
             for word in ("--tag", tag)]  # fmt: skip
    restic("backup", "--stdin", "--stdin-filename", "manifest.json", *words, data=text)


def _signature(tags: Iterable[str]) -> str:
    return next(tag for tag in tags if tag.startswith("signature="))


def _edited(bed: Bed, **changed: Any) -> bytes:
    return json.dumps(json.loads(bed.sets["one"].manifest) | changed).encode()


def _with_part(bed: Bed, snapshot: str, chance: random.Random, **more: Any) -> bytes:
    """Return the manifest with another snapshot of one of its parts."""
    parts = json.loads(bed.sets["one"].manifest)["parts"]
    part = parts[0]
    part["snapshot"] = snapshot
    return _edited(bed, parts=parts, **more)


def _put_instead(bed: Bed, text: bytes, *tags: str) -> None:
    _forget(bed, "manifest")
    _put(text, *tags)


def _wrong_key(bed: Bed, chance: random.Random) -> Identity:
    return Identity(bed.key.repository, chance.randbytes(32))


def _swapped(bed: Bed, _: Path, chance: random.Random) -> None:
    other = bed.sets["two"]
    _put_instead(bed, other.manifest, _signature(other.tags))


def _swapped_by_tag(bed: Bed, _: Path, chance: random.Random) -> None:
    tags = ("--set", ",".join(("set=one", "policy=daily", "part=manifest",
                               _signature(bed.sets["two"].tags))))  # fmt: skip
    restic("tag", *tags, bed.sets["two"].snapshots["manifest"])
    _forget(bed, "manifest")


def _foreign(bed: Bed, _: Path, chance: random.Random) -> None:
    _put_instead(bed, bed.foreign.manifest, _signature(bed.foreign.tags))


def _changed(bed: Bed, _: Path, chance: random.Random) -> None:
    text = bytearray(bed.sets["one"].manifest)
    digits = [found.start() for found in re.finditer(rb"[0-9a-f]", bytes(text))]
    place = chance.choice(digits)
    text[place] = ord("0") if text[place] != ord("0") else ord("1")
    _put_instead(bed, bytes(text), _signature(bed.sets["one"].tags))


def _signed_by_wrong_key(bed: Bed, _: Path, chance: random.Random) -> None:
    text = _edited(bed, position=f"u:{chance.randrange(10**6)}")
    _put_instead(bed, text, signature_tag(text, _wrong_key(bed, chance)))


def _unsigned(bed: Bed, _: Path, chance: random.Random) -> None:
    _put_instead(bed, bed.sets["one"].manifest)


def _signature_untagged(bed: Bed, _: Path, chance: random.Random) -> None:
    taken = bed.sets["one"]
    restic("tag", "--remove", _signature(taken.tags), taken.snapshots["manifest"])


def _signature_changed(bed: Bed, _: Path, chance: random.Random) -> None:
    taken = bed.sets["one"]
    whole = _signature(taken.tags)
    cut = whole[: -chance.randrange(1, 65)]
    tags = ",".join(cut if tag == whole else tag for tag in taken.tags)
    restic("tag", "--set", tags, taken.snapshots["manifest"])


def _signed_twice(bed: Bed, _: Path, chance: random.Random) -> None:
    other = f"signature=hmac-sha256:{chance.randbytes(32).hex()}"
    restic("tag", "--add", other, bed.sets["one"].snapshots["manifest"])


def _former_version(bed: Bed, _: Path, chance: random.Random) -> None:
    text = bed.sets["one"].manifest.replace(MANIFEST_VERSION.encode(), UNSIGNED_VERSION.encode())
    _put_instead(bed, text, _signature(bed.sets["one"].tags))


def _former_version_other_part(bed: Bed, _: Path, chance: random.Random) -> None:
    other = bed.sets["two"].snapshots["database"]
    _put_instead(bed, _with_part(bed, other, chance, apiVersion=UNSIGNED_VERSION))


def _exchanged(bed: Bed, _: Path, chance: random.Random) -> None:
    text = _with_part(bed, bed.sets["two"].snapshots["database"], chance)
    _put_instead(bed, text, _signature(bed.sets["one"].tags))


def _exchanged_signed(bed: Bed, _: Path, chance: random.Random) -> None:
    text = _with_part(bed, bed.sets["two"].snapshots["database"], chance)
    _put_instead(bed, text, signature_tag(text, bed.key))


def _exchanged_earlier(bed: Bed, _: Path, chance: random.Random) -> None:
    text = _with_part(bed, bed.earlier.snapshots["database"], chance, time="2100-01-01T00:00:00Z")
    _put_instead(bed, text, signature_tag(text, bed.key))


def _forget(bed: Bed, part: str) -> None:
    restic("forget", bed.sets["one"].snapshots[part])


def _older_put_back(bed: Bed, _: Path, chance: random.Random) -> None:
    _put(bed.earlier.manifest, _signature(bed.earlier.tags))


def _forgotten(part: str) -> Corrupt:
    return lambda bed, _, __: _forget(bed, part)


def _retagged(part: str, tags: str) -> Corrupt:
    def corrupt(bed: Bed, _: Path, chance: random.Random) -> None:
        restic("tag", "--set", f"{tags},part={part}", bed.sets["one"].snapshots[part])

    return corrupt


def _nothing_done(bed: Bed, _: Path, chance: random.Random) -> None:
    """Leave it as it is: what differs is the password."""


_COMMANDS: Final[Mapping[str, tuple[Corrupt, str]]] = {
    "manifest: the other set's, by its text": (_swapped, "once"),
    "manifest: the other set's, by its tags": (_swapped_by_tag, "once"),
    "manifest: another repository's": (_foreign, "once"),
    "manifest: a digit changed": (_changed, "once"),
    "manifest: signed with a wrong key": (_signed_by_wrong_key, "once"),
    "manifest: stored anew without a signature": (_unsigned, "once"),
    "manifest: its signature's tag removed": (_signature_untagged, "once"),
    "manifest: its signature cut short": (_signature_changed, "once"),
    "manifest: a second signature": (_signed_twice, "once"),
    "manifest: called one of the former version": (_former_version, "once"),
    "manifest: an unsigned one with another set's part": (_former_version_other_part, "once"),
    "manifest: an older one put back, its parts gone": (_older_put_back, "once"),
    "manifest: an older one put back, its parts there": (_older_put_back, "twice"),
    "manifest: removed, an older one left": (_forgotten("manifest"), "twice"),
    "manifest: removed": (_forgotten("manifest"), "once"),
    "part: exchanged with one of the same size": (_exchanged, "once"),
    "part: exchanged, and signed with the right key": (_exchanged_signed, "once"),
    "part: exchanged with an earlier run's, and signed": (_exchanged_earlier, "twice"),
    **{f"part: snapshot of {part} removed": (_forgotten(part), "once") for part in _PARTS},
    **{
        f"part: snapshot of {part} tagged {tags}": (_retagged(part, tags), "once")
        for part in _PARTS
        for tags in ("policy=weekly,set=one", "policy=daily,set=two", "policy=daily")
    },
}
_BY_CHANCE: Final = frozenset({_changed, _signed_by_wrong_key, _signature_changed, _signed_twice})


def cases(each: int) -> list[Case]:
    """Return the corruptions, each another one.

    Args:
        each: how many of a kind that leaves something to chance, at most.
    """
    files = [
        _file_case(what, fault, number)
        for what in _OBJECTS
        for fault in _FILE_FAULTS
        for number in range(1 if fault in _WHOLE and what in _SINGLE else each)
    ]
    commands = [
        Case(kind, number, corrupt, base)
        for kind, (corrupt, base) in _COMMANDS.items()
        for number in range(each if corrupt in _BY_CHANCE else 1)
    ]
    wrong = [
        Case("password: another", number, _nothing_done, password=f"{PASSWORD}{number}")
        for number in range(each)
    ]
    return files + commands + wrong
