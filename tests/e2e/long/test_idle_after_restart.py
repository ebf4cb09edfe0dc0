"""Replicas that were restarted write nothing to a settled cloud in ten minutes."""

from lab.install import Site
from tests.support.cloud import Cloud
from tests.support.idle import Watcher
from tests.support.measurements import Measurements

WINDOW = 600.0


def test_a_restarted_operator_writes_nothing_to_a_settled_cloud(
    site: Site, cloud: Cloud, measurements: Measurements
) -> None:
    watcher = Watcher(site, measurements)
    watcher.settle(cloud)
    watcher.check_restart(WINDOW)
