"""How much of a window flow control paused."""

from stackroles.agents.galera.flow_control import WINDOW_SECONDS, FlowControl, FlowControlWatch


def counters(seconds: float, sent: int = 0) -> dict[str, float]:
    return {"wsrep_flow_control_paused_ns": seconds * 1e9, "wsrep_flow_control_sent": float(sent)}


def test_the_part_of_a_window_is_given_in_tens() -> None:
    watch = FlowControlWatch()
    watch.add(counters(100, 5), 0)
    watch.add(counters(110, 6), WINDOW_SECONDS / 2)
    assert watch.last == FlowControl()

    watch.add(counters(100 + 0.58 * WINDOW_SECONDS, 6), WINDOW_SECONDS)
    assert watch.last == FlowControl(50, sent=True)

    watch.add(counters(100 + 0.58 * WINDOW_SECONDS, 6), 2 * WINDOW_SECONDS)
    assert watch.last == FlowControl()


def test_a_server_that_began_again_counts_from_nothing() -> None:
    watch = FlowControlWatch()
    watch.add(counters(100, 5), 0)
    watch.add(counters(130, 5), WINDOW_SECONDS)
    assert watch.last.percent == 100
    watch.add(counters(0), WINDOW_SECONDS + 1)
    assert watch.last == FlowControl()
    watch.add(counters(0.3 * WINDOW_SECONDS), 2 * WINDOW_SECONDS + 1)
    assert watch.last.percent == 30
