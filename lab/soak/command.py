"""A campaign from the command line or from a test: cluster, plan, bounds, results, report."""

from __future__ import annotations

import os
import platform
import time
from pathlib import Path

from lab import rotation
from lab.install import Site
from lab.paths import REPOSITORY
from lab.soak import plan, report, results, runner
from lab.soak.results import Result
from lab.soak.testbed import Testbed
from tests.support.cloud import Cloud

DOCS = REPOSITORY / "docs"
RESULTS = DOCS / report.RAW


def run(
    site: Site,
    *,
    seed: int,
    notify: runner.Notify,
    file: Path = RESULTS,
    minutes: float | None = None,
    cycles: int | None = None,
) -> list[Result]:
    """Run what is left of a campaign and return the results of this run.

    Args:
        site: the cluster and the operator.
        seed: the plan's.
        notify: is given a line for each step.
        file: where results are added, and what earlier runs left is read.
        minutes: no cycle begins later than this.
        cycles: at most so many.

    Raises:
        LabError: a cycle lost something or is stuck; or the cloud was not whole to begin with.
    """
    end = None if minutes is None else time.monotonic() + 60 * minutes
    remaining = results.left(plan.plan(seed), seed, results.read(file))
    notify(f"seed {seed}: {len(remaining)} cycles are left")
    campaign = runner.Campaign(
        seed=seed,
        file=file,
        state=site.cluster.directory / "soak.json",
        commit=rotation.shown_commit(apart_from=("docs/reliability.md", "docs/reliability")),
        machine=machine(),
        notify=notify,
    )
    bounds = runner.Bounds(cycles, end)
    return runner.run(Testbed(site, Cloud(site.cloud)), campaign, remaining, bounds)


def write_report() -> None:
    """Write docs/reliability.md and its plots from the results there."""
    for name, text in report.render(results.read(RESULTS)).items():
        (DOCS / name).parent.mkdir(exist_ok=True)
        (DOCS / name).write_text(text)


def machine() -> dict[str, str | int]:
    """Return facts of this machine that times depend on."""
    pages, size = os.sysconf("SC_PHYS_PAGES"), os.sysconf("SC_PAGE_SIZE")
    return {
        "cores": os.cpu_count() or 0,
        "GiB": round(pages * size / 2**30),
        "kernel": platform.release(),
    }
