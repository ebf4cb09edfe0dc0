"""Every connection seen in the cloud is one that the NetworkPolicies let through.

No engine enforces them here: connections are recorded on the nodes and asked of an evaluator.
"""

import ipaddress

from lab.install import NAMESPACE, RELEASE, SYSTEM, Site
from lab.kubectl import Kubectl, Object
from tests.support.cloud import Cloud
from tests.support.flows import Flow, record
from tests.support.policies import NODE, Pod, may_reach

NAME = "app.kubernetes.io/name"
SEEN_SECONDS = 180
# Who must have been seen connecting, so that what was recorded is the cloud and not a quiet moment.
EXPECTED = {
    ("mariadb", "mariadb", 4567),
    ("haproxy", "mariadb", 3306),
    (RELEASE, "endpoint", 8774),
    ("endpoint", "nova-api", 8774),
    ("endpoint", "nova-api", 9301),
    ("keystone", "haproxy", 3306),
    ("nova-conductor", "rabbitmq", 5672),
    ("keystone", "memcached", 11211),
    ("ovn-northd", "ovn-sb", 6642),
    ("a node", "rabbitmq", 5672),
    ("a node", "ovn-sb", 6642),
}


class Addresses:
    """Which pod or node has which address."""

    def __init__(self, pods: list[Object], nodes: list[Object]) -> None:
        self.pods: dict[str, Object] = {
            pod["status"]["podIP"]: pod
            for pod in pods
            if pod["status"].get("podIP") and not pod["spec"].get("hostNetwork")
        }
        self.ranges = {
            node["metadata"]["name"]: ipaddress.ip_network(node["spec"]["podCIDR"])
            for node in nodes
        }

    def peer(self, address: str) -> Pod | None:
        """Return the pod at an address as selectors see it, NODE where there is none."""
        pod = self.pods.get(address)
        return _seen(pod) if pod else NODE

    def name(self, address: str) -> str:
        """Return the role of the pod at an address."""
        pod = self.pods.get(address)
        return pod["metadata"].get("labels", {}).get(NAME, "?") if pod else "a node"

    def in_cloud(self, address: str) -> bool:
        """Return whether an address is a pod's in the namespace of clouds."""
        pod = self.pods.get(address)
        return pod is not None and pod["metadata"]["namespace"] == NAMESPACE

    def server(self, flow: Flow) -> Pod:
        """Return the pod that a flow reached."""
        return _seen(self.pods[flow.target])

    def is_former(self, address: str) -> bool:
        """Return whether a pod had an address that no pod has now.

        A node remembers a connection for longer than a replaced pod lives; the first address of a
        range is the node's own.
        """
        at = ipaddress.ip_address(address)
        near = [pods for pods in self.ranges.values() if at in pods]
        return address not in self.pods and any(at != next(pods.hosts()) for pods in near)

    def is_own_node(self, flow: Flow) -> bool:
        """Return whether a flow comes from the server's own node, which policies never stop.

        A node speaks to its pods from its address, or from the one it has in their range.
        """
        server = self.pods[flow.target]
        if flow.source == server["status"]["hostIP"]:
            return True
        near = ipaddress.ip_address(flow.source) in self.ranges[server["spec"]["nodeName"]]
        return near and flow.source not in self.pods


def _seen(pod: Object) -> Pod:
    return Pod(pod["metadata"]["namespace"], pod["metadata"].get("labels", {}))


def addresses(kubectl: Kubectl) -> Addresses:
    """Return the addresses of all pods that run."""
    found = [pod for name in (NAMESPACE, SYSTEM) for pod in kubectl.within(name).items("pods")]
    running = [pod for pod in found if pod["status"].get("phase") == "Running"]
    return Addresses(running, kubectl.items("nodes"))


def test_every_recorded_connection_is_let_through(
    site: Site, cloud: Cloud, kubectl: Kubectl
) -> None:
    cloud.wait_ready()
    known = addresses(kubectl)
    policies = kubectl.items("networkpolicies")
    flows: set[Flow] = set()

    def check() -> tuple[bool, str]:
        flows.update(record(site.cluster))
        seen = {(known.name(flow.source), known.name(flow.target), flow.port) for flow in flows}
        return seen >= EXPECTED, f"not seen yet: {sorted(EXPECTED - seen)}"

    kubectl.wait("the cloud's usual connections", check, seconds=SEEN_SECONDS)
    stopped = [
        f"{known.name(flow.source)} {flow.source} -> {known.name(flow.target)} port {flow.port}"
        for flow in flows
        if known.in_cloud(flow.target)
        if not known.is_own_node(flow) and not known.is_former(flow.source)
        if not may_reach(policies, known.peer(flow.source), known.server(flow), flow.port)
    ]
    assert not stopped, "\n".join(sorted(stopped))
