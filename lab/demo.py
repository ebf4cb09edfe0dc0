"""The main job in phases: from an empty machine to a clustered cloud with a guest and a backup."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from rich.console import Console
from rich.table import Table

from lab import apis, building, cluster, diagnosis, engine, guest, images, install, kind_config
from lab.engine import Engine
from lab.errors import LAB, LabError
from lab.install import Site
from lab.kubectl import Notify, Object
from lab.paths import Paths
from lab.view import Journey, Phase, Progress, summary


@dataclass(slots=True)
class Demo:
    """What the phases hand to each other.

    Attributes:
        seen: what phases want shown at the end, by phase.
        started: when this run began.
    """

    paths: Paths
    name: str
    docker: Engine | None = None
    planned: dict[str, images.Image] = field(default_factory=dict)
    target: Site | None = None
    seen: dict[str, Any] = field(default_factory=dict)
    started: datetime = field(default_factory=lambda: datetime.now(UTC))

    @property
    def site(self) -> Site:
        """The cluster with the operator; only after the phase that made it."""
        if self.target is None:
            raise RuntimeError("the cluster's phase has not run")
        return self.target

    def tools(self, notify: Notify) -> None:
        """Find or start a docker engine; programs are built where they are first needed."""
        self.docker = engine.up(self.paths)
        notify(f"docker answers at {self.docker.host}")

    def build(self, notify: Notify) -> None:
        """Build what changed of programs, node image and images, side by side."""
        self.planned = building.everything(self.paths, notify)

    def cluster(self, notify: Notify) -> None:
        """Bring three nodes up, the images on each."""
        self.target = install.site(cluster.up(self.paths, self._engine, self.name, notify))

    def chart(self, notify: Notify) -> None:
        """Install the operator."""
        install.chart(self.site, self.planned, notify)

    def samples(self, notify: Notify) -> None:
        """Apply the three resources."""
        install.samples(self.site, notify)

    def cloud(self, notify: Notify) -> None:
        """Wait for the controllers."""
        self.seen["cloud"] = install.wait_cloud(self.site, notify)

    def pool(self, notify: Notify) -> None:
        """Wait for the compute nodes."""
        try:
            self.seen["pool"] = install.wait_pool(self.site, notify)
        except LabError as error:
            raise diagnosis.explain_pool(error, self.site.cloud) from error

    def guest(self, notify: Notify) -> None:
        """Boot a guest and check it: console, metadata, a ping from outside."""
        prefix = kind_config.underlay_prefix(self.name)
        files = building.guest(self.paths, self._engine)
        with apis.connect(self.site.cloud, "demo") as connection:
            try:
                made = guest.ensure_guest(connection, files, prefix, notify=notify)
                self.seen["guest"] = made
                self.seen["console"] = guest.wait_console(connection, made, notify)
                self.seen["ping"] = guest.wait_ping(made, notify)
            except LabError as error:
                raise diagnosis.explain(error, self.site.cloud, connection, guest.NAME) from error

    def backup(self, notify: Notify) -> None:
        """Take a backup and wait until it is verified."""
        name = f"demo-{datetime.now(UTC):%Y%m%d-%H%M%S}"
        self.seen["backup"] = install.backup(self.site, name, notify)

    @property
    def _engine(self) -> Engine:
        return self.docker or engine.up(self.paths)


def build_phases(demo: Demo) -> list[Phase]:
    """Return the phases that need no cloud: engine, images, cluster."""
    return [
        Phase("docker engine", demo.tools),
        Phase("images", demo.build),
        Phase("cluster", demo.cluster),
    ]


def bring_up_phases(demo: Demo) -> list[Phase]:
    """Return the phases from the chart to compute nodes that serve."""
    return [
        Phase("operator", demo.chart),
        Phase("samples", demo.samples),
        Phase("controllers", demo.cloud),
        Phase("compute nodes", demo.pool),
    ]


def use_phases(demo: Demo) -> list[Phase]:
    """Return the phases that use the cloud."""
    return [Phase("guest", demo.guest), Phase("backup", demo.backup)]


def run(demo: Demo, phases: Sequence[Phase], console: Console) -> list[Progress]:
    """Run phases with the live view and keep their seconds beside the cluster's files."""
    journey = Journey("stackroles", phases, console)
    try:
        return journey.run()
    finally:
        directory = demo.paths.cluster(demo.name)
        directory.mkdir(parents=True, exist_ok=True)
        spent = {
            one.name: round(one.seconds(one.ended), 1) for one in journey.progress if one.ended
        }
        (directory / "phases.json").write_text(json.dumps(spent, indent=1))


def report(demo: Demo, progress: Sequence[Progress], console: Console) -> None:
    """Print where the time went, where the APIs answer, how to log in and what to try next."""
    console.print(summary(progress))
    found = demo.seen.get("cloud")
    if found:
        console.print(bring_up(found))
        console.print(endpoints(found))
    for line in outcome(demo):
        console.print(line, markup=False, highlight=False)
    console.print(hints(demo), markup=False, highlight=False, soft_wrap=True)


def bring_up(found: Object) -> Table:
    """Return the operator's own account of the bring-up: start and end of each phase."""
    created = datetime.fromisoformat(found["metadata"]["creationTimestamp"])
    ready = found["status"].get("timeToReadySeconds")
    table = Table(title=f"Controllers: Ready {ready} s after apply", title_justify="left")
    for name in ("phase", "from", "to"):
        table.add_column(name, justify="left" if name == "phase" else "right")
    for phase in sorted(found["status"].get("phases", []), key=lambda p: str(p["startedAt"])):
        start = datetime.fromisoformat(phase["startedAt"]) - created
        ended = phase.get("completedAt")
        end = f"{(datetime.fromisoformat(ended) - created).total_seconds():.0f}" if ended else ""
        table.add_row(phase["name"], f"{start.total_seconds():.0f}", end)
    return table


def endpoints(found: Object) -> Table:
    """Return where the APIs answer."""
    table = Table(title="Where the APIs answer, inside the cluster", title_justify="left")
    table.add_column("service")
    table.add_column("address")
    for endpoint in found["status"].get("endpoints", []):
        table.add_row(endpoint["service"], endpoint["url"])
    return table


def active_after(found: Object, launched: datetime | None, started: datetime) -> str:
    """Return how long after the cloud's apply the guest ran, as text.

    Empty where one of them is older than this run: that time would say nothing.

    Args:
        found: The CloudController.
        launched: When nova saw the guest run.
        started: When this run began.
    """
    created = datetime.fromisoformat(found["metadata"]["creationTimestamp"])
    # the API server's times have whole seconds
    if launched is None or min(created, launched) < started - timedelta(seconds=1):
        return ""
    return f", {(launched - created).total_seconds():.0f} s after apply"


def outcome(demo: Demo) -> list[str]:
    """Return what the guest printed and what the backup holds, a line each."""
    lines: list[str] = []
    made, backup = demo.seen.get("guest"), demo.seen.get("backup")
    if made:
        lines.append(
            f"Guest ACTIVE on {made.host}"
            f"{active_after(demo.seen['cloud'], made.launched, demo.started)}"
        )
        fields = demo.seen.get("console", {})
        lines += [f"  its console: GUEST {name}={value}" for name, value in fields.items()]
        if "ping" in demo.seen:
            answer = f"answers a ping from outside in {demo.seen['ping']} ms"
            lines.append(f"  its floating IP {made.floating} {answer}")
    if backup:
        status = backup["status"]
        lines.append(
            f"Backup {backup['metadata']['name']} Completed: {status['sizeBytes']} bytes, "
            f"{status['durationSeconds']} s, verified, snapshot {status['snapshot'][:8]}"
        )
    return lines


def hints(demo: Demo) -> str:
    """Return how to log in and what to try next."""
    namespace = install.NAMESPACE
    name = "" if demo.name == cluster.NETWORK else f" --name {demo.name}"
    kubectl = f"kubectl -n {namespace}"
    steps = (
        (f'eval "$({LAB} env{name})"', "kubectl, helm and docker for this shell"),
        (f"{kubectl} get openstack", "everything at a glance"),
        (f"{LAB} openstack{name} server list", "as the cloud's administrator"),
    )
    ideas = (
        (f"{kubectl} delete pod demo-mariadb-0", "and watch nothing happen"),
        (f"{kubectl} get cloudcontroller demo -o yaml | less", "what the operator knows"),
        ("kubectl apply -f manifests/samples/backup.yaml", "another backup"),
        ("make clean", "when done"),
    )
    lines = ["Log in:", *(f"  {command:<58}  # {why}" for command, why in steps)]
    lines += ["Try next:", *(f"  {command:<58}  # {why}" for command, why in ideas)]
    return "\n".join(lines)
