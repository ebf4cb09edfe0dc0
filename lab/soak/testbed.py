"""The cluster and the cloud that a campaign runs on, and what is done to members from outside."""

from __future__ import annotations

from dataclasses import dataclass

from lab.cluster import Cluster
from lab.errors import LabError
from lab.install import Site
from lab.kubectl import Kubectl, Object
from lab.soak.plan import Cycle, Group, Target
from tests.support.cloud import Cloud
from tests.support.clustering import active

ACTIVE_PASSIVE = "placement"
"""The role whose members take turns during a campaign."""
PROGRAMS = {"mariadb": "mariadbd", "rabbitmq": "beam.smp", "ovn-nb": "ovsdb-server"}
"""Role -> the process that an agent runs as its child."""
ROLES = {
    Group.GALERA_ALL: "mariadb",
    Group.GALERA: "mariadb",
    Group.RABBITMQ: "rabbitmq",
    Group.OVN: "ovn-nb",
}
"""Group -> the role whose ordinals a plan draws."""


@dataclass(frozen=True, slots=True)
class Testbed:
    """A site and the cloud on it."""

    site: Site
    cloud: Cloud

    @property
    def kubectl(self) -> Kubectl:
        """The namespace of the cloud, by kubectl."""
        return self.cloud.kubectl

    @property
    def cluster(self) -> Cluster:
        """The lab's cluster."""
        return self.site.cluster

    @property
    def client_node(self) -> str:
        """The node of the clients, which no cycle stops: the control plane's."""
        return self.cluster.nodes[0]

    def pod(self, name: str) -> Object:
        """Return a pod.

        Raises:
            LabError: it does not exist.
        """
        found = self.kubectl.get("pod", name)
        if found is None:
            raise LabError(f"pod {name} does not exist")
        return found

    def process(self, name: str) -> tuple[str, int]:
        """Return the node of a pod, and the id there of its first container's first process.

        Raises:
            LabError: the pod does not exist, or its container does not run.
        """
        found = self.pod(name)
        node = found["spec"]["nodeName"]
        statuses = found["status"].get("containerStatuses", [])
        main = found["spec"]["containers"][0]["name"]
        container = next((c.get("containerID", "") for c in statuses if c["name"] == main), "")
        wanted = container.rpartition("/")[2]
        tasks = self.cluster.docker("exec", node, "ctr", "--namespace", "k8s.io", "tasks", "ls")
        for line in tasks.splitlines():
            task, *rest = line.split()
            if wanted and task == wanted:
                return node, int(rest[0])
        raise LabError(f"container {main} of pod {name} does not run on {node}", detail=tasks)

    def signal(self, pod: str, program: str, signal: str) -> None:
        """Send a signal to a pod's program.

        Raises:
            LabError: there is no such process.
        """
        self.cloud.exec(pod, "pkill", "--signal", signal, "--exact", program)

    def victims(self, cycle: Cycle) -> tuple[str, ...]:
        """Return the pods or nodes that a cycle is about, in the order of its fault.

        Raises:
            LabError: none is known.
        """
        found: tuple[str, ...]
        if cycle.fault.target is Target.WRITER:
            found = (self.cloud.resource()["status"].get("writer", ""),)
        elif cycle.fault.target is Target.ACTIVE:
            found = (active(self.cloud, ACTIVE_PASSIVE),)
        elif cycle.fault.group is Group.NODE:
            found = tuple(self.cluster.nodes[1:][ordinal] for ordinal in cycle.victims)
        else:
            names = self.cloud.members(ROLES[cycle.fault.group])
            found = tuple(names[ordinal] for ordinal in cycle.victims)
        if not all(found):
            raise LabError(f"{cycle.title}: the cloud's status names no {cycle.fault.target}")
        return found
