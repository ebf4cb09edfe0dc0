"""The main job up to compute nodes that serve, by the same phases as the demo."""

import json
from collections.abc import Callable

import pytest
from rich.console import Console

from lab import cluster, engine, images, install
from lab.demo import Demo, bring_up_phases
from lab.kubectl import condition_of
from lab.paths import Paths
from tests.support.cloud import wait_reason
from tests.support.site import cluster_name

TOLD_SECONDS = 60


@pytest.fixture(scope="module")
def demo() -> Demo:
    paths = Paths.from_environment()
    docker = engine.up(paths)
    target = install.site(cluster.describe(paths, docker, cluster_name()))
    return Demo(paths, cluster_name(), docker, images.plan(), target)


def notify(console: Console, phase: str) -> Callable[[str], None]:
    return lambda text: console.print(f"{phase}: {text}", markup=False, highlight=False)


def run_phase(demo: Demo, number: int) -> None:
    phase = bring_up_phases(demo)[number]
    phase.run(notify(Console(), phase.name))


def test_the_operator_is_installed(demo: Demo) -> None:
    run_phase(demo, 0)


def test_a_pool_that_was_applied_before_its_controller_waits(demo: Demo) -> None:
    demo.site.cloud.apply(install.SAMPLES / "pool.yaml")

    wait_reason(
        demo.site.cloud, "computepool", "compute", "Reconciled", "ControllerMissing",
        seconds=TOLD_SECONDS, contains="demo",
    )  # fmt: skip


@pytest.mark.parametrize("number", [1, 2, 3], ids=["samples", "controllers", "compute"])
def test_each_phase_comes_true(demo: Demo, number: int) -> None:
    run_phase(demo, number)


def test_the_resource_itself_says_how_long_it_took(demo: Demo) -> None:
    found = demo.site.cloud.get("cloudcontroller", "demo") or {}
    status = found["status"]
    (demo.site.cluster.directory / "bring-up.json").write_text(json.dumps(status, indent=1))

    assert status["timeToReadySeconds"] > 0
    assert all(phase.get("completedAt") for phase in status["phases"])
    assert {endpoint["service"] for endpoint in status["endpoints"]} >= {
        "identity", "image", "placement", "compute", "network",
    }  # fmt: skip


def test_every_role_has_the_members_it_declares(demo: Demo) -> None:
    status = (demo.site.cloud.get("cloudcontroller", "demo") or {})["status"]
    ready = {role["name"]: (role["ready"], role["desired"]) for role in status["roles"]}

    assert all(have == want for have, want in ready.values()), ready
    assert [ready[name][0] for name in ("mariadb", "rabbitmq", "ovn-nb", "ovn-sb")] == [3, 3, 3, 3]
    assert status["writer"].startswith("demo-mariadb-")


def test_every_selected_node_serves(demo: Demo) -> None:
    pool = demo.site.cloud.get("computepool", "compute") or {}

    assert (pool["status"]["nodes"], pool["status"]["ready"]) == (2, 2)
    assert condition_of(pool, "Ready")["status"] == "True"
