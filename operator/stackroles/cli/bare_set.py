"""A recovery set that a user names without its Backup, also one in a repository alone; pure."""

import urllib.parse
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from stackroles.cli.ask import CommandError

Object = dict[str, Any]
_S3: Final = "s3:"
_CLAIM: Final = "claim:"
_FORMS: Final = "s3:https://HOST/BUCKET/PREFIX, or claim:NAME for one on a volume"


@dataclass(frozen=True, slots=True, kw_only=True)
class BareSet:
    """The options that name a set, as they were given; None or empty where they were not.

    Attributes:
        policy: the BackupPolicy under which it was taken.
        name: the set.
        repository: where it is, in restic's form.
        encryption_secret: the Secret that opens the repository.
        credentials_secret: the Secret with the keys of its bucket.
        ca_secret: the Secret with the authority of its server.
        region: the region of its server.
    """

    policy: str | None = None
    name: str | None = None
    repository: str | None = None
    encryption_secret: str | None = None
    credentials_secret: str | None = None
    ca_secret: str | None = None
    region: str | None = None


def source_of(backup: str | None, bare: BareSet) -> Object:
    """Return what a Restore restores, as fields of its spec.

    Args:
        backup: the Backup, None where none was named.
        bare: the options.

    Raises:
        CommandError: they do not name one set.
    """
    given = _given(bare)
    if backup is not None and not given:
        return {"backup": backup}
    if backup is not None:
        raise CommandError(f"Name a Backup or a set by {', '.join(given)}, not both.")
    if bare.policy is None:
        raise CommandError(
            "Name what is restored: a Backup, or by --policy the BackupPolicy under which the set "
            "was taken."
        )
    if bare.repository is None:
        if further := [name for name in given if name not in ("--policy", "--set")]:
            raise CommandError(f"{', '.join(further)} go with --repository {_FORMS}.")
        return {"recoverySet": _named(bare)}
    if bare.encryption_secret is None:
        raise CommandError("--repository needs --encryption-secret: the Secret that opens it.")
    return {
        "recoverySet": {
            **_named(bare),
            "repository": _repository(bare, bare.repository),
            "encryptionSecret": bare.encryption_secret,
        }
    }


def set_of(source: Mapping[str, Any]) -> str:
    """Return what a source restores, as a phrase."""
    if backup := source.get("backup"):
        return f"Backup {backup}"
    recovery_set = source["recoverySet"]
    name = recovery_set.get("name")
    return f"set {name}" if name else f"the newest set of policy {recovery_set['policy']}"


def _given(bare: BareSet) -> list[str]:
    options = {
        "--policy": bare.policy,
        "--set": bare.name,
        "--repository": bare.repository,
        "--encryption-secret": bare.encryption_secret,
        "--credentials-secret": bare.credentials_secret,
        "--ca-secret": bare.ca_secret,
        "--region": bare.region,
    }
    return [option for option, value in options.items() if value is not None]


def _named(bare: BareSet) -> Object:
    named = {"policy": bare.policy}
    return named | ({"name": bare.name} if bare.name else {})


def _repository(bare: BareSet, address: str) -> Object:
    in_bucket = {
        "credentialsSecret": bare.credentials_secret,
        "caSecret": bare.ca_secret,
        "region": bare.region,
    }
    if claim := address.removeprefix(_CLAIM) if address.startswith(_CLAIM) else "":
        if any(in_bucket.values()):
            raise CommandError(
                "--credentials-secret, --ca-secret and --region are of a bucket, not of a volume."
            )
        return {"volume": {"claimName": claim}}
    url = urllib.parse.urlsplit(address.removeprefix(_S3))
    bucket, _, prefix = url.path.strip("/").partition("/")
    known = address.startswith(_S3) and url.scheme in ("http", "https") and url.netloc
    if not known or not bucket or "@" in url.netloc:
        raise CommandError(f"--repository {address} is none: it is {_FORMS}.")
    if bare.credentials_secret is None:
        raise CommandError("--repository of a bucket needs --credentials-secret: its keys.")
    s3 = {"endpoint": f"{url.scheme}://{url.netloc}", "bucket": bucket, "prefix": prefix}
    return {"s3": {key: value for key, value in (s3 | in_bucket).items() if value}}
