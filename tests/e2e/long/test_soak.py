"""A few cycles of the fault campaign, drawn by the commit: all is back and nothing is lost."""

import hashlib
from pathlib import Path

from lab import rotation
from lab.install import Site
from lab.soak import command, report, results
from lab.soak.results import Verdict
from tests.support.cloud import Cloud

MINUTES = 4.5
"""No cycle begins later; with clients, the model's change and the last cycle it is up to 8."""


def test_the_cycles_of_this_commit_are_survived(site: Site, cloud: Cloud, tmp_path: Path) -> None:
    cloud.wait_ready()
    seed = int(hashlib.sha256(rotation.commit().encode()).hexdigest()[:8], 16)
    file = tmp_path / "results.jsonl"
    done = command.run(site, seed=seed, notify=print, file=file, minutes=MINUTES)

    assert done
    assert done == results.read(file)
    assert {result.verdict for result in done} == {Verdict.PASSED}
    assert all(result.workloads["rows"].acknowledged for result in done)
    assert report.DOCUMENT in report.render(done)
