"""The cluster and the cloud that the end-to-end tests use, and what they show when one fails.

They run on a cluster where `lab.demo.bring_up_phases` has been run: `.venv/bin/pytest tests/e2e`.
`STACKROLES_CLUSTER` names another cluster than the usual one.
"""

from collections.abc import Callable, Iterator

import pytest
from openstack.connection import Connection

from lab import apis, cluster, engine, install
from lab.errors import LabError
from lab.guest import Guest
from lab.install import RELEASE, Site
from lab.kubectl import Kubectl
from lab.paths import Paths
from tests.support.backups import Policies
from tests.support.client import Client
from tests.support.cloud import Cloud, summary
from tests.support.clustering import LISTS, PLAIN
from tests.support.guests import boot
from tests.support.idle import Watcher
from tests.support.measurements import Measurements
from tests.support.s3 import S3, gateway, serving
from tests.support.site import cluster_name

# Bring-up first; what watches a cloud that nobody touches last, when the others are done with it.
ORDER = (
    "bring_up", "guest", "security", "flows", "backup", "recovery", "config", "input",
    "installation", "operator_restart", "idle",
)  # fmt: skip
KINDS = (
    "cloudcontrollers", "computepools", "computenodes", "backuppolicies", "backups", "restores",
)  # fmt: skip
LOG_LINES = 60
EVENT_LINES = 40


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Order the files; the tests of one keep their order."""

    def place(item: pytest.Item) -> int:
        name = item.path.stem.removeprefix("test_")
        return ORDER.index(name) if name in ORDER else len(ORDER) - 1

    items.sort(key=place)


@pytest.fixture(scope="session")
def site() -> Site:
    """The lab's cluster with the operator on it."""
    paths = Paths.from_environment()
    name = cluster_name()
    found = install.site(cluster.describe(paths, engine.get(paths), name))
    try:
        found.system.run("get", "deployment", RELEASE)
    except LabError as error:
        pytest.fail(f"no operator on cluster {name}; bring it up first: {error.render()}")
    return found


@pytest.fixture(scope="session")
def kubectl(site: Site) -> Kubectl:
    """kubectl in the namespace of clouds."""
    return site.cloud


@pytest.fixture(scope="session")
def system(site: Site) -> Kubectl:
    """kubectl in the operator's namespace."""
    return site.system


@pytest.fixture(scope="session")
def measurements(site: Site) -> Measurements:
    """Where measured seconds are kept."""
    return Measurements(site.cluster.directory / "measurements.json")


@pytest.fixture(scope="session")
def cloud(kubectl: Kubectl) -> Cloud:
    """The cloud of the samples, Ready."""
    found = Cloud(kubectl)
    found.wait_ready()
    return found


@pytest.fixture
def watcher(site: Site, cloud: Cloud, measurements: Measurements) -> Watcher:
    """A watcher of a cloud on which nothing is under way."""
    made = Watcher(site, measurements)
    made.settle(cloud)
    return made


@pytest.fixture(scope="module")
def client(cloud: Cloud) -> Iterator[Client]:
    """A client in the cluster that writes rows all the time."""
    made = Client(cloud)
    made.start()
    yield made
    made.stop()


@pytest.fixture(scope="module")
def loaded(client: Client) -> Client:
    """A client that asks all APIs all the time."""
    client.start_load(LISTS, PLAIN)
    return client


@pytest.fixture(scope="module")
def connection(site: Site) -> Iterator[Connection]:
    """The cloud's APIs, as its administrator."""
    with apis.connect(site.cloud, "demo") as opened:
        yield opened


@pytest.fixture(scope="module")
def booted(site: Site, connection: Connection) -> Guest:
    """The demo's guest, ACTIVE."""
    return boot(site, connection)


@pytest.fixture(scope="module")
def s3(site: Site) -> Iterator[S3]:
    """A real S3 server."""
    with serving(gateway(site.cluster)) as served:
        yield served


@pytest.fixture
def policies(kubectl: Kubectl, cloud: Cloud) -> Iterator[Policies]:
    """Backup policies of a test."""
    made = Policies(kubectl, cloud.name)
    yield made
    made.remove()


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    """Show the cluster's side of a failure beside the test's."""
    outcome = yield
    report = outcome.get_result()  # type: ignore[attr-defined]
    if not report.failed:
        return
    error = call.excinfo.value if call.excinfo else None
    if isinstance(error, LabError):
        report.sections.append(("what was seen", error.render()))
    found = getattr(item, "funcargs", {}).get("site")
    if isinstance(found, Site):
        for title, collect in _diagnostics(found).items():
            report.sections.append((title, _collect(collect)))


def _diagnostics(site: Site) -> dict[str, Callable[[], str]]:
    return {
        "conditions": lambda: _conditions(site.cloud),
        "pods that are not ready": lambda: _pods(site.cloud),
        "events": lambda: "\n".join(
            site.cloud.run("get", "events", "--sort-by=.lastTimestamp").splitlines()[-EVENT_LINES:]
        ),
        "operator's log": lambda: site.system.run(
            "logs", f"deployment/{RELEASE}", "--all-pods", f"--tail={LOG_LINES}"
        ),
    }


def _collect(collect: Callable[[], str]) -> str:
    try:
        return collect()
    except LabError as error:
        return f"could not be read: {error.render()}"


def _conditions(kubectl: Kubectl) -> str:
    lines = []
    for kind in KINDS:
        for found in kubectl.items(kind):
            lines += [f"{kind}/{found['metadata']['name']}", summary(found)]
    return "\n".join(lines)


def _pods(kubectl: Kubectl) -> str:
    lines = kubectl.run("get", "pods", "-o", "wide").splitlines()
    return "\n".join(line for line in lines if "Completed" not in line and not _whole(line))


def _whole(line: str) -> bool:
    ready = line.split()[1]
    first, _, second = ready.partition("/")
    return first == second
