"""An idle operator writes its Lease and nothing else for ten minutes."""

from tests.support.idle import Watcher

WINDOW = 600.0


def test_the_lease_is_the_only_thing_an_idle_operator_writes(watcher: Watcher) -> None:
    watcher.check_idle(WINDOW)
