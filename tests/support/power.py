"""Power of the cluster's nodes: taken without a word and given back."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from lab import readiness
from lab.cluster import Cluster
from lab.kubectl import discard


def cut(cluster: Cluster, nodes: Sequence[str]) -> None:
    """Kill nodes at once, as a power failure does: nothing on them hears of it."""
    with ThreadPoolExecutor(max_workers=len(nodes)) as pool:
        list(pool.map(lambda node: cluster.docker("kill", node), nodes))


def restore(cluster: Cluster, nodes: Sequence[str]) -> None:
    """Start nodes in this order, one after the other, and wait until the cluster is ready.

    docker gives out addresses in the order of starts: another order swaps them.
    """
    for node in nodes:
        cluster.docker("start", node)
    readiness.wait(cluster, discard)
