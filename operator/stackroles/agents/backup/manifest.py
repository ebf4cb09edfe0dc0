"""A recovery set's manifest: made and signed by a run, proven by whoever reads the set; pure.

Runs inside role pods: standard library only. The signature is a keyed hash (HMAC-SHA256) over the
exact bytes of the manifest, and is a tag of the manifest's snapshot: both come to be in one write.
"""

import base64
import hashlib
import hmac
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from stackroles.agents import wire
from stackroles.agents.backup.reader_protocol import (
    MANIFEST_FORGED,
    MANIFEST_OF_ANOTHER_SET,
    MANIFEST_SUPERSEDED,
    MANIFEST_UNREADABLE,
    MANIFEST_VERSION,
    PART_DAMAGED,
    PART_MISSING,
    UNSIGNED_VERSION,
    Manifest,
    ManifestPart,
)
from stackroles.agents.backup.sets import SIGNATURE_TAG, parts_of

# What the key is for: one that is derived for anything else is another.
_PURPOSE = b"stackroles.io/recovery-set: signature of a manifest, 1"
_KEY_BYTES = 32
_ELSEWHERE = "restore another Backup, and find out who else writes into the repository"


class ManifestError(ValueError):
    """A set is not what its manifest, or whoever asked for it, says.

    Attributes:
        reason: what kind of fault it is, as a condition's reason.
    """

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Identity:
    """A repository, and what proves that a manifest was made with its key.

    Attributes:
        repository: restic's id of the repository.
        signing: the key of signatures.
    """

    repository: str
    signing: bytes = field(repr=False)


def identity(config: str, master_key: str) -> Identity:
    """Return what a repository is.

    Args:
        config: the repository's configuration, as restic prints it.
        master_key: the key of the repository's data, as restic prints it.

    Raises:
        ValueError: this is not what restic prints; the message holds nothing of it.
    """
    try:
        repository = str(json.loads(config)["id"])
        # It stays when a password is changed. The other half, of restic's checksums, has bits that
        # some of restic's versions clear before they print it.
        secret = base64.b64decode(json.loads(master_key)["encrypt"], validate=True)
    except (ValueError, KeyError, TypeError):
        secret = b""
    if len(secret) != _KEY_BYTES:
        # Without the error as its cause, which might quote the key.
        raise ValueError(
            "restic's answers for the repository's id and key are of a form that this version "
            "does not know: use the image for backups of the operator's version",
        )
    return Identity(repository, hmac.digest(secret, _PURPOSE, hashlib.sha256))


def encode(manifest: Manifest) -> bytes:
    """Return the bytes of a manifest that are stored and signed."""
    return wire.dumps(manifest, indent=1, sort_keys=True).encode()


def signature_tag(text: bytes, key: Identity) -> str:
    """Return the tag that signs a manifest."""
    return SIGNATURE_TAG + hmac.new(key.signing, text, hashlib.sha256).hexdigest()


def decode(text: bytes, tags: Iterable[str], key: Identity) -> Manifest:
    """Return the manifest in a text, whose signature is proven unless it is of a former version.

    Args:
        text: what is stored.
        tags: of its snapshot.
        key: of the repository that it is in.

    Raises:
        ManifestError: it is no manifest, or not signed with this key.
    """
    signed = [tag for tag in tags if tag.startswith(SIGNATURE_TAG)]
    # Before anything in it is believed.
    right = signature_tag(text, key)
    if signed and not (len(signed) == 1 and hmac.compare_digest(signed[0], right)):
        raise ManifestError(
            MANIFEST_FORGED,
            "the manifest was not signed with this repository's key as it is now: it was changed, "
            f"or is another set's or repository's; {_ELSEWHERE}",
        )
    try:
        found = wire.loads(Manifest, text)
        if found.api_version not in (MANIFEST_VERSION, UNSIGNED_VERSION):
            raise wire.WireError(f"it is a {found.api_version}, not a {MANIFEST_VERSION}")
    except wire.WireError as error:
        raise ManifestError(
            MANIFEST_UNREADABLE,
            f"this version does not understand the manifest: {error}. Restore the set by the "
            "operator's version that took it",
        ) from error
    if found.api_version != UNSIGNED_VERSION and not signed:
        raise ManifestError(
            MANIFEST_FORGED,
            f"the manifest's snapshot lacks the tag {SIGNATURE_TAG}... that signs it: its tags "
            f"were changed, or it is no run's; {_ELSEWHERE}",
        )
    return found


def check(
    manifest: Manifest,
    name: str,
    policy: str,
    key: Identity,
    snapshots: Iterable[Mapping[str, Any]],
    *,
    uid: str = "",
) -> None:
    """Check that a manifest is the one that was asked for, and that its parts are there.

    Args:
        manifest: a set's manifest.
        name: the Backup that was asked for.
        policy: its BackupPolicy.
        key: of the repository.
        snapshots: all of the repository.
        uid: the Backup's, as the tags of the manifest's snapshot name it.

    Raises:
        ManifestError: it is another's, or a part is missing or another's.
    """
    asked = {"Backup": name, "BackupPolicy": policy}
    found = {"Backup": manifest.name, "BackupPolicy": manifest.policy}
    if manifest.signed:
        asked["repository"], found["repository"] = key.repository, manifest.repository
        asked["uid"], found["uid"] = uid, manifest.uid
    for what, value in asked.items():
        if found[what] != value:
            raise ManifestError(
                MANIFEST_OF_ANOTHER_SET,
                f"the manifest that is tagged as of {what} {value} says that it is of "
                f"{what} {found[what]}: {_ELSEWHERE}",
            )
    there = parts_of(snapshots, policy, name)
    for part in manifest.parts:
        facts = there.get(part.snapshot, {})
        if (facts.get("part"), facts.get("uid")) != (part.name, manifest.uid):
            raise ManifestError(
                PART_MISSING,
                f"{part.name} of set {name} should be in snapshot {part.snapshot[:8]}, and the "
                f"repository has no such snapshot of this part and set: {_ELSEWHERE}",
            )
    _check_newest(manifest, there)


def _check_newest(manifest: Manifest, there: Mapping[str, Mapping[str, str]]) -> None:
    """Check that nothing shows that this is an older manifest which was put back.

    Parts of another Backup of this name, which its uid tells from this one's, are what a run left
    that broke off; its manifest shows that there is a newer set.
    """
    named = {part.snapshot for part in manifest.parts}
    for snapshot, facts in there.items():
        own, is_manifest = facts["uid"] == manifest.uid, facts["part"] == "manifest"
        if snapshot in named or own is is_manifest or not manifest.time:
            continue
        if _is_later(facts["time"], manifest.time):
            raise ManifestError(
                MANIFEST_SUPERSEDED,
                f"the manifest is of {manifest.time}, and set {manifest.name} has "
                f"{facts['part']} of {facts['time'][:19]}, which it does not name: an older "
                f"manifest was put back, or a later run broke off; {_ELSEWHERE}",
            )


def _is_later(time: str, than: str) -> bool:
    return datetime.fromisoformat(time) > datetime.fromisoformat(than)


def check_part(part: ManifestPart, count: int, sha256: str) -> None:
    """Check that what was read of a part is what was written.

    Args:
        part: what the manifest says.
        count: bytes read.
        sha256: their checksum, hexadecimal.

    Raises:
        ManifestError: it is not.
    """
    if (count, sha256) != (part.bytes, part.sha256):
        raise ManifestError(
            PART_DAMAGED,
            f"{part.name} reads as {count} bytes with checksum {sha256}, and was written as "
            f"{part.bytes} with {part.sha256}: the repository is damaged, or another's data was "
            "put in its place; restore another Backup, and run restic check --read-data",
        )
