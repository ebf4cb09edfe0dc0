"""An operator that has just started leaves a settled cloud alone."""

from tests.support.idle import Watcher

WINDOW = 60.0


def test_a_restarted_operator_writes_nothing_to_a_settled_cloud(watcher: Watcher) -> None:
    watcher.check_restart(WINDOW)
