from dataclasses import replace

from aiohttp.test_utils import TestClient, TestServer

from stackroles.runtime.health import (
    QUEUE_SECONDS,
    WATCH_SECONDS,
    HealthSnapshot,
    WatchAges,
    build_app,
    failing_checks,
)
from stackroles.runtime.metrics import Metrics

WELL = HealthSnapshot(
    watch_ages={("ns", "pods"): 30.0},
    answer_age=1.0,
    longest_wait=0.1,
    longest_run=1.0,
    working=True,
    synced=True,
)


def test_watches_that_speak_are_healthy() -> None:
    assert failing_checks(WELL) == []


def test_silent_watch_is_unhealthy_while_the_api_server_answers() -> None:
    silent = replace(WELL, watch_ages={("ns", "pods"): WATCH_SECONDS + 1})

    assert failing_checks(silent) == ["watch of pods in ns was silent for 181 s"]
    assert failing_checks(replace(silent, answer_age=120.0)) == []


def test_queue_that_does_not_move_is_unhealthy_on_the_leader() -> None:
    stuck = replace(WELL, longest_wait=QUEUE_SECONDS + 1)

    assert failing_checks(stuck)
    assert failing_checks(replace(stuck, working=False)) == []


def test_pass_that_never_ends_is_unhealthy() -> None:
    assert failing_checks(replace(WELL, longest_run=QUEUE_SECONDS + 1))


def test_silence_is_measured_from_the_last_sign_of_life() -> None:
    now = [0.0]
    ages = WatchAges(lambda: now[0])
    ages.expect("ns", "pods")
    now[0] = 10.0
    assert ages.ages() == {("ns", "pods"): 10.0}
    ages.proved_alive("ns", "pods")
    ages.expect("ns", "pods")
    now[0] = 12.0

    assert ages.ages() == {("ns", "pods"): 2.0}
    ages.forget("ns")
    assert ages.ages() == {}


async def test_probes_answer_what_is_wrong() -> None:
    snapshot = [replace(WELL, synced=False)]
    app = build_app(lambda: snapshot[0], Metrics())
    async with TestClient(TestServer(app)) as client:
        assert (await client.get("/healthz")).status == 200
        not_ready = await client.get("/readyz")
        assert not_ready.status == 503
        assert await not_ready.text() == "the cache is not filled yet"
        snapshot[0] = replace(WELL, longest_run=1000.0)
        assert (await client.get("/healthz")).status == 503
        metrics = await client.get("/metrics")
        assert "leader_election_master_status" in await metrics.text()
