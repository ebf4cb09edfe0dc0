"""Replicas that were restarted write nothing to a settled cloud in ten minutes."""

from tests.support.idle import Watcher

WINDOW = 600.0


def test_a_restarted_operator_writes_nothing_to_a_settled_cloud(watcher: Watcher) -> None:
    watcher.check_restart(WINDOW)
