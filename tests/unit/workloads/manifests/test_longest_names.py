"""Names under the longest resources: what Kubernetes makes of them, and what programs hold."""

import re
from collections.abc import Iterator
from typing import Any

import pytest

from stackroles.roles import registry
from stackroles.roles.definition import Workload
from tests.support.clouds import cloud, controller
from tests.support.longest import longest_cloud, longest_pool, manifests

Object = dict[str, Any]
ALL = manifests()
LABEL_VALUE = re.compile(r"([A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?)?")
DNS_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
# What a StatefulSet adds for the label of a revision, and a Job's and a ReplicaSet's for a pod.
REVISION = "-0123456789"


def named(*kinds: str) -> list[Any]:
    return [
        pytest.param(
            item, id=f"{item['kind']}-{item['metadata']['labels']['app.kubernetes.io/name']}"
        )
        for item in ALL
        if not kinds or item["kind"] in kinds
    ]


def labels(value: Any, path: str = "") -> Iterator[str]:
    """Yield every label value of a manifest: its own, its template's and its selectors'."""
    if isinstance(value, dict):
        for key, inner in value.items():
            if key in ("labels", "matchLabels", "nodeSelector", "selector") and isinstance(
                inner, dict
            ):
                yield from (text for text in inner.values() if isinstance(text, str))
            yield from labels(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from labels(inner)


@pytest.mark.parametrize("manifest", named())
def test_every_label_is_one_that_kubernetes_takes(manifest: Object) -> None:
    bad = [value for value in labels(manifest) if not LABEL_VALUE.fullmatch(value)]
    assert bad == []


@pytest.mark.parametrize("workload", named("StatefulSet", "DaemonSet"))
def test_a_revision_of_a_workload_is_a_label(workload: Object) -> None:
    assert LABEL_VALUE.fullmatch(workload["metadata"]["name"] + REVISION)


@pytest.mark.parametrize("workload", named("StatefulSet"))
def test_a_members_name_is_its_host_name(workload: Object) -> None:
    # The kernel's limit is 64; what is longer is cut without a word.
    assert DNS_LABEL.fullmatch(f"{workload['metadata']['name']}-99")


@pytest.mark.parametrize("job", named("Job", "CronJob", "Service"))
def test_a_name_that_becomes_a_label_or_a_host(job: Object) -> None:
    room = 52 if job["kind"] == "CronJob" else 63
    assert DNS_LABEL.fullmatch(job["metadata"]["name"])
    assert len(job["metadata"]["name"]) <= room


def test_hosts_are_names_that_a_resolver_asks_for() -> None:
    declared = longest_cloud()
    for role in registry.CONTROLLER_ROLES:
        hosts = [f"{declared.host(role.name)}.{declared.cluster_domain}"]
        if role.workload is Workload.STATEFUL_SET:
            hosts += declared.qualified_members(role.name)
        for host in hosts:
            assert len(host) <= 253
            assert all(DNS_LABEL.fullmatch(part) for part in host.split("."))


def test_a_node_of_the_broker_is_an_erlang_atom() -> None:
    for host in longest_cloud().members("rabbitmq"):
        assert len(f"rabbit@{host}") <= 255


def test_the_label_of_a_pool_is_one() -> None:
    assert LABEL_VALUE.fullmatch(longest_pool().label)


def cluster_name(name: str) -> str:
    declared = controller()
    declared["metadata"]["name"] = name
    role = registry.role("mariadb")
    assert role.files is not None
    [text] = role.files(cloud(declared)).values()
    found = re.search(r"^wsrep_cluster_name = (.*)$", text, re.MULTILINE)
    assert found
    return found[1]


def test_galera_takes_a_name_of_up_to_32_characters_as_it_is() -> None:
    assert cluster_name("c" * 32) == "c" * 32


def test_galera_gets_a_longer_name_shortened() -> None:
    # A joiner with a longer one is never let in: mariadb-corporation/galera#678.
    one, other = (cluster_name("c" * 39 + last) for last in "ab")
    assert one != other
    assert one.startswith("c" * 23)
    assert len(one) == len(other) == 32
