"""Three kind nodes with the underlay network, the audit log and a kubeconfig of their own."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from lab import (
    binaries,
    images,
    kind_config,
    leftovers,
    node_image,
    readiness,
    shell,
    store,
)
from lab.engine import Engine
from lab.paths import Paths

LABEL = "dev.stackroles.lab"
"""On every docker network the lab makes; its value is the cache directory, for `clean`."""
NETWORK = "stackroles"
CONFIG = "kind.yaml"
"""What kind was asked for, below the folder of every cluster that was made."""

Notify = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Cluster:
    """One cluster and the programs to reach it; looking at its containers needs none of them."""

    name: str
    paths: Paths
    engine: Engine
    programs: dict[str, Path] = field(default_factory=dict)

    @property
    def directory(self) -> Path:
        """The cluster's files on this machine: kubeconfig, kind.yaml, audit/."""
        return self.paths.cluster(self.name)

    @property
    def kubeconfig(self) -> Path:
        """The administrator's kubeconfig."""
        return self.directory / "kubeconfig"

    @property
    def made(self) -> Path:
        """The file that says that the cluster was made to its end."""
        return self.directory / "made"

    @property
    def network(self) -> str:
        """Docker network of the nodes' first interface."""
        return NETWORK

    @property
    def nodes(self) -> tuple[str, ...]:
        """Names of the nodes, which are also the names of their containers."""
        return kind_config.node_names(self.name)

    def kubectl(self, *arguments: str, stdin: str | None = None) -> str:
        """Run kubectl against this cluster and return its output.

        Raises:
            LabError: It failed.
        """
        command = [str(self.programs["kubectl"]), f"--kubeconfig={self.kubeconfig}", *arguments]
        return shell.output(command, stdin=stdin)

    def docker(self, *arguments: str) -> str:
        """Run docker against this cluster's engine and return its output.

        Raises:
            LabError: It failed.
        """
        return shell.output(["docker", *arguments], env=self.engine.env)

    def kind(self, *arguments: str) -> None:
        """Run kind with this cluster's engine and network.

        Raises:
            LabError: It failed.
        """
        env = {**self.engine.env, "KIND_EXPERIMENTAL_DOCKER_NETWORK": NETWORK}
        shell.logged([self.programs["kind"], *arguments], self.directory / "kind.log", env=env)


def describe(paths: Paths, engine: Engine, name: str) -> Cluster:
    """Return the cluster of this name, whether it is up or not."""
    programs = {
        "kubectl": binaries.kubernetes(paths) / "kubectl",
        "kind": binaries.tool(paths, "kind") / "kind",
    }
    return Cluster(name, paths, engine, programs)


def up(paths: Paths, engine: Engine, name: str, notify: Notify) -> Cluster:
    """Bring a cluster up, or complete what is missing of one that is up.

    Raises:
        LabError: A step failed or the nodes were not ready in time.
    """
    image = node_image.obtain(paths, engine)
    notify(f"node image {image}")
    cluster = describe(paths, engine, name)
    found = containers(cluster)
    if fault := unusable(found, cluster.nodes, made=cluster.made.exists()):
        notify(f"{fault}: making the cluster anew")
        _delete(cluster)
        _create(cluster, image, notify)
        notify("kind made the nodes")
        found = {}
    for node in [node for node, state in found.items() if state != "running"]:
        cluster.docker("start", node)
        notify(f"{node} was stopped and is started again")
    if found:
        cluster.kind(
            "export", "kubeconfig", "--name", name, "--kubeconfig", str(cluster.kubeconfig)
        )
    _connect_underlay(cluster, notify)
    readiness.wait(cluster, notify)
    load_images(cluster, images.built(engine), notify)
    return cluster


def unusable(found: Collection[str], nodes: Collection[str], *, made: bool) -> str:
    """Return why a cluster cannot be completed but must be made, empty where it can.

    Args:
        found: The node containers there are.
        nodes: Those it should have.
        made: Whether making it came to its end.
    """
    if not found:
        return "there is no cluster yet"
    if set(found) != set(nodes):
        return f"only {', '.join(sorted(found))} of the nodes are there"
    return "" if made else "making the cluster was interrupted"


def down(paths: Paths, engine: Engine, name: str) -> bool:
    """Remove a cluster with its underlay network; return whether there was one.

    Raises:
        LabError: A container or the network could not be removed.
    """
    cluster = Cluster(name, paths, engine)
    found = bool(containers(cluster))
    _delete(cluster)
    return found


def containers(cluster: Cluster) -> dict[str, str]:
    """Return the cluster's node containers: name -> state (running, exited ...)."""
    label = f"label=io.x-k8s.kind.cluster={cluster.name}"
    lines = cluster.docker(
        "ps", "--all", "--filter", label, "--format", "{{.Names}} {{.State}}"
    ).splitlines()
    return dict(line.split(" ", 1) for line in lines)


def load_images(cluster: Cluster, references: Sequence[str], notify: Notify) -> list[str]:
    """Give every node the images it does not have and return those that any node lacked.

    Raises:
        LabError: An image could not be saved or imported.
    """
    present = {node: _node_images(cluster, node) for node in cluster.nodes}
    lacking = {
        node: [reference for reference in references if reference not in present[node]]
        for node in cluster.nodes
    }
    missing = sorted({reference for references in lacking.values() for reference in references})
    if not missing:
        return []
    notify(f"loading {', '.join(missing)}")
    folder = cluster.paths.cache / "images"
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(prefix="load-", suffix=".tar", dir=folder) as archive:
        cluster.docker("save", "--output", archive.name, *missing)
        inside = f"{kind_config.IMAGES_MOUNT}/{Path(archive.name).name}"

        def take(node: str) -> None:
            cluster.docker("exec", node, "ctr", "--namespace=k8s.io", "images", "import", inside)

        with ThreadPoolExecutor(max_workers=len(lacking)) as pool:
            list(pool.map(take, [node for node, lacked in lacking.items() if lacked]))
    return missing


def _node_images(cluster: Cluster, node: str) -> set[str]:
    return set(
        cluster.docker("exec", node, "ctr", "--namespace=k8s.io", "images", "ls", "--quiet").split()
    )


def _create(cluster: Cluster, image: str, notify: Notify) -> None:
    directory = cluster.directory
    shared = cluster.paths.cache / "images"
    for folder in (directory / "audit", shared):
        folder.mkdir(parents=True, exist_ok=True)
    (directory / "audit-policy.yaml").write_text(yaml.safe_dump(kind_config.AUDIT_POLICY))
    published = node_image.is_published(image)
    stores = {} if published else _stores(cluster, image, notify)
    config = directory / CONFIG
    config.write_text(
        kind_config.render(cluster.name, directory=directory, images=shared, stores=stores)
    )
    _ensure_network(cluster, NETWORK)
    command = [
        "create",
        "cluster",
        "--name",
        cluster.name,
        "--config",
        str(config),
        "--image",
        image,
    ]
    cluster.kind(*command, "--kubeconfig", str(cluster.kubeconfig), "--retain")
    taint = "node-role.kubernetes.io/control-plane:NoSchedule-"
    cluster.kubectl("taint", "node", cluster.nodes[0], taint)
    cluster.made.touch()


def _stores(cluster: Cluster, image: str, notify: Notify) -> dict[str, Path]:
    """Give every node an image store with all images; return node -> folder."""
    filled = store.for_nodes(cluster.paths, cluster.engine, image)
    notify(f"image store {filled.name}")
    folders = {node: cluster.directory / "nodes" / node for node in cluster.nodes}
    with ThreadPoolExecutor(max_workers=len(folders)) as pool:
        list(pool.map(lambda folder: store.link(filled, folder), folders.values()))
    return folders


def _delete(cluster: Cluster) -> None:
    """Remove containers, files and network of a cluster; measurements and kind's log stay."""
    if found := containers(cluster):
        cluster.docker("rm", "--force", "--volumes", *found)
    shutil.rmtree(cluster.directory / "nodes", ignore_errors=True)
    for file in (*(cluster.directory / "audit").glob("*.log"), cluster.made, cluster.kubeconfig):
        file.unlink(missing_ok=True)
    if underlay(cluster.name) in _networks(cluster):
        cluster.docker("network", "rm", underlay(cluster.name))
    # by this file `clean` knows that there is something to remove
    (cluster.directory / CONFIG).unlink(missing_ok=True)


def underlay(name: str) -> str:
    """Return the name of a cluster's underlay network.

    It sorts after the first network's name: docker takes the default route's gateway by that order.
    """
    return f"{NETWORK}-underlay-{name}"


def _networks(cluster: Cluster) -> list[str]:
    return cluster.docker("network", "ls", "--format", "{{.Name}}").split()


def _ensure_network(cluster: Cluster, name: str, *options: str) -> None:
    if name not in _networks(cluster):
        label = f"{LABEL}={cluster.paths.cache}"
        cluster.docker("network", "create", "--label", label, *options, name)


def _connect_underlay(cluster: Cluster, notify: Notify) -> None:
    """Connect every node to the underlay as eth1, at an address that stays the same."""
    prefix, network = kind_config.underlay_prefix(cluster.name), underlay(cluster.name)
    for bridge in leftovers.free_address(f"{prefix}.1", cluster.engine.host):
        notify(f"removed {bridge}, left on {prefix}.1 by an engine that is gone")
    _ensure_network(cluster, network, f"--subnet={prefix}.0/24", f"--gateway={prefix}.1")
    for node, address in kind_config.underlay_addresses(cluster.name).items():
        joined = cluster.docker("inspect", "--format", "{{json .NetworkSettings.Networks}}", node)
        if network not in json.loads(joined):
            cluster.docker("network", "connect", f"--ip={address}", network, node)
