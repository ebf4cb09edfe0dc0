"""Limits of the bandwidth become options of restic, which has to know them."""

import random
import time
from pathlib import Path

import pytest

from stackroles.agents.backup.bandwidth import DOWNLOAD_LIMIT, UPLOAD_LIMIT, bandwidth_options
from stackroles.agents.backup.repository import Part, Restic, file
from tests.support.binaries import binary
from tests.support.corruption_bed import opened, silent

_MEBIBYTES = 6


def test_limits_are_passed_in_the_unit_of_restic() -> None:
    limits = {UPLOAD_LIMIT: "5", DOWNLOAD_LIMIT: "100"}

    assert bandwidth_options(limits) == ("--limit-upload=5120", "--limit-download=102400")
    assert bandwidth_options({UPLOAD_LIMIT: "", "OTHER": "1"}) == ()


def test_restic_keeps_to_a_limit_and_a_limited_part_reads_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = tmp_path / "data"
    data.write_bytes(random.Random(0).randbytes(_MEBIBYTES << 20))
    monkeypatch.setenv(UPLOAD_LIMIT, "1")
    with opened(tmp_path / "repository"):
        restic = Restic(str(binary("restic")), progress=silent())
        restic.open()
        began = time.monotonic()
        step, _, _ = restic.save(Part("data", "data", file(data)))
        took = time.monotonic() - began

        assert restic.read(step, "data") == step.sha256
    # The limiter lets the first second's share through at once.
    assert took >= _MEBIBYTES - 2
