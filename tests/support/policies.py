"""A small evaluator of NetworkPolicies: who may open a connection to a pod.

It knows what the project renders (ingress rules of TCP ports, pod selectors by labels, every
namespace or the policy's own) and raises on anything else, rather than guess.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

Object = dict[str, Any]
RULE = {"ports", "from"}
PEER = {"podSelector", "namespaceSelector"}


@dataclass(frozen=True, slots=True)
class Pod:
    """A pod as selectors see it."""

    namespace: str
    labels: Mapping[str, str] = field(default_factory=dict)


NODE = None
"""What selectors see of a program in a node's own network: nothing."""


def selects(selector: Object, labels: Mapping[str, str]) -> bool:
    """Return whether a label selector takes these labels."""
    if selector.keys() - {"matchLabels"}:
        raise NotImplementedError(f"selector {selector}")
    wanted: Mapping[str, str] = selector.get("matchLabels", {})
    return wanted.items() <= labels.items()


def may_reach(policies: Iterable[Object], source: Pod | None, target: Pod, port: int) -> bool:
    """Return whether policies let a source reach a TCP port of a pod; NODE is no pod at all."""
    chosen = [
        policy
        for policy in policies
        if policy["metadata"]["namespace"] == target.namespace
        and selects(policy["spec"]["podSelector"], target.labels)
    ]
    if not chosen:
        return True
    if any(policy["spec"]["policyTypes"] != ["Ingress"] for policy in chosen):
        raise NotImplementedError("a policy of more than ingress")
    rules = [rule for policy in chosen for rule in policy["spec"]["ingress"]]
    return any(_admits(rule, source, target.namespace, port) for rule in rules)


def _admits(rule: Object, source: Pod | None, namespace: str, port: int) -> bool:
    if rule.keys() - RULE:
        raise NotImplementedError(f"rule {rule}")
    if not any((entry["port"], entry["protocol"]) == (port, "TCP") for entry in rule["ports"]):
        return False
    return "from" not in rule or any(_is(peer, source, namespace) for peer in rule["from"])


def _is(peer: Object, source: Pod | None, namespace: str) -> bool:
    if peer.keys() - PEER or peer.get("namespaceSelector", {}):
        raise NotImplementedError(f"peer {peer}")
    inside = "namespaceSelector" in peer or (source and source.namespace == namespace)
    return bool(source and inside and selects(peer["podSelector"], source.labels))
