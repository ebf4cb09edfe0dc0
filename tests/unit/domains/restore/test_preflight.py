"""A preflight says all that is missing at once, and what would be lost."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from stackroles.agents.backup.protocol import Versions
from stackroles.agents.backup.reader_protocol import Manifest, ManifestPart
from stackroles.agents.backup.verification_protocol import Level
from stackroles.api.v1alpha1.backup import Quarantine
from stackroles.domains.restore.preflight import Observed, assess
from tests.support.clouds import cloud

CLOUD = cloud()
SMALL = cloud(roles={"mariadb": {"storage": {"size": "2Gi"}}})
GIB = 2**30
PART = ManifestPart(name="database", filename="f", bytes=3 * GIB, sha256="a", snapshot="s")
MANIFEST = Manifest(
    name="nightly-1",
    cloud=CLOUD.name,
    policy="nightly",
    versions=Versions(operator="1", release=CLOUD.spec.release, images={}),
    position="u:1",
    parts=(PART, replace(PART, name="state", bytes=5)),
)
CAPACITY = {"data-m-0": "10Gi", "data-m-1": "10Gi"}


def observed(manifest: Manifest = MANIFEST, **changed: Any) -> Observed:
    found = Observed(
        cloud=CLOUD,
        manifest=manifest,
        copied_at=datetime(2026, 11, 28, 3, 0, 5, tzinfo=UTC),
        capacity=CAPACITY,
    )
    return replace(found, **changed)


def test_nothing_is_missing_for_a_set_of_this_cloud_that_fits() -> None:
    found = assess(observed())

    assert found.missing == ()
    assert (found.set_bytes, found.database_bytes) == (3 * GIB + 5, 3 * GIB)
    assert found.position == "u:1"
    assert "2026-11-28 03:00:05 UTC is lost" in found.overwrites[0]


@pytest.mark.parametrize(
    ("found", "says"),
    [
        (observed(replace(MANIFEST, cloud="other")), "of the cloud other"),
        (
            observed(replace(MANIFEST, versions=Versions(operator="1", release="1", images={}))),
            "set spec.release of CloudController",
        ),
        (observed(replace(MANIFEST, parts=(MANIFEST.parts[1],))), "holds no copy"),
        (observed(capacity={"data-m-0": "3Gi"}), "spec.roles.mariadb.storage.size"),
        (observed(capacity={"data-m-0": ""}), "data-m-0 has no volume"),
        (observed(MANIFEST, capacity={"data-m-0": None}, cloud=SMALL), "data-m-0 has 2Gi"),
        (observed(unsaved="nightly"), "set spec.safetyBackup to Never"),
        (observed(away={"m-2": "worker"}), "Node worker of m-2 is not ready"),
        (
            observed(cloud=replace(CLOUD, spec=CLOUD.spec.model_copy(update={"suspend": True}))),
            "spec.suspend to false",
        ),
    ],
)
def test_what_is_missing_is_named_with_what_to_do(found: Observed, says: str) -> None:
    [missing] = assess(found).missing

    assert says in missing


def test_all_that_is_missing_is_named_at_once() -> None:
    found = assess(observed(replace(MANIFEST, cloud="other"), capacity={"a": "", "b": "1Gi"}))

    assert len(found.missing) == 3


def test_a_set_that_a_verification_found_damaged_is_refused_with_what_it_found() -> None:
    since = datetime(2026, 11, 29, 5, 0, 7, tzinfo=UTC)
    mark = Quarantine(level=Level.DATABASE, since=since, message="nova.instances differs")

    [missing] = assess(observed(quarantine=(mark,))).missing

    assert missing == (
        "The verification of level Database that ended at 2026-11-29 05:00:07 UTC found the "
        "recovery set damaged: restore another Backup, or let the next verification of this level "
        "pass it; to restore it all the same, set spec.allowQuarantined to nightly-1. It found: "
        "nova.instances differs"
    )


def test_each_level_that_found_it_damaged_is_named() -> None:
    since = datetime(2026, 11, 29, 5, 0, 7, tzinfo=UTC)
    marks = tuple(Quarantine(level=level, since=since, last_time=since) for level in Level)

    assert len(assess(observed(quarantine=marks)).missing) == len(Level)


@pytest.mark.parametrize(("allowed", "refused"), [("nightly-1", 0), ("nightly-2", 1)])
def test_a_consent_is_for_the_set_that_it_names(allowed: str, refused: int) -> None:
    since = datetime(2026, 11, 29, 5, 0, 7, tzinfo=UTC)
    marks = (Quarantine(level=Level.DATABASE, since=since),)

    found = assess(observed(quarantine=marks, allowed=allowed))

    assert len(found.missing) == refused
