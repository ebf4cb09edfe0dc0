"""An idle operator writes its Lease and nothing else for ten minutes."""

from lab.install import Site
from tests.support.cloud import Cloud
from tests.support.idle import Watcher
from tests.support.measurements import Measurements

WINDOW = 600.0


def test_the_lease_is_the_only_thing_an_idle_operator_writes(
    site: Site, cloud: Cloud, measurements: Measurements
) -> None:
    watcher = Watcher(site, measurements)
    watcher.settle(cloud)
    watcher.check_idle(WINDOW)
