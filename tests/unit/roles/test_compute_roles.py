"""What holds for the agents of compute nodes, which run outside what control-plane pods may."""

from dataclasses import replace
from typing import Any

import pytest

from stackroles.config.pool import Pool
from stackroles.constants import LABEL_POOL
from stackroles.roles import nova_compute, registry
from stackroles.roles.container import Container
from stackroles.roles.definition import RoleDefinition
from stackroles.workloads.manifests.children import build_role, build_step
from tests.support.clouds import cloud
from tests.unit.config.test_pool import pool

Object = dict[str, Any]
ROLES = [pytest.param(role, id=role.name) for role in registry.COMPUTE_ROLES]
CONTAINERS = [
    pytest.param(container, id=f"{role.name}-{container.name}")
    for role in registry.COMPUTE_ROLES
    for container in (*role.init, *role.containers)
]


def daemon_set(name: str, declared: Pool | None = None) -> Object:
    children = build_role(declared or pool(), registry.role(name))
    return next(child for child in children if child["kind"] == "DaemonSet")


def pod(name: str, declared: Pool | None = None) -> Object:
    spec: Object = daemon_set(name, declared)["spec"]["template"]["spec"]
    return spec


def config(name: str, path: str, declared: Pool | None = None) -> str:
    children = build_role(declared or pool(), registry.role(name))
    found = next(c for c in children if c["kind"] == "ConfigMap" and f"-{name}-config" in
                 c["metadata"]["name"])  # fmt: skip
    text: str = found["data"][path.strip("/").replace("/", "_")]
    return text


@pytest.mark.parametrize("container", CONTAINERS)
def test_who_works_on_the_node_says_why_and_why_nobody_restarts_it(container: Container) -> None:
    assert container.security.because
    assert container.no_liveness_because


@pytest.mark.parametrize("role", ROLES)
def test_agents_are_pinned_by_the_operators_label_and_tolerate_every_taint(
    role: RoleDefinition,
) -> None:
    spec = pod(role.name)
    assert spec["nodeSelector"] == {LABEL_POOL: "ns.compute"}
    assert {"operator": "Exists"} in spec["tolerations"]
    if role.name != "node-agent":
        assert spec["hostNetwork"] is True
        assert spec["dnsPolicy"] == "ClusterFirstWithHostNet"


def test_only_the_operator_and_the_cloud_reach_a_nodes_agent() -> None:
    children = build_role(pool(), registry.role("node-agent"))
    policy = next(child for child in children if child["kind"] == "NetworkPolicy")
    [rule] = policy["spec"]["ingress"]
    assert rule["ports"] == [{"port": 8480, "protocol": "TCP"}]
    assert rule["from"]
    assert "hostNetwork" not in pod("node-agent")


@pytest.mark.parametrize("name", ["openvswitch", "ovn-controller", "ovn-metadata"])
def test_agents_of_the_data_plane_are_replaced_by_the_operator(name: str) -> None:
    assert daemon_set(name)["spec"]["updateStrategy"] == {"type": "OnDelete"}


def test_libvirt_is_replaced_only_when_a_person_deletes_it() -> None:
    assert daemon_set("libvirt")["spec"]["updateStrategy"] == {"type": "OnDelete"}
    assert pod("libvirt")["hostPID"] is True


@pytest.mark.parametrize("role", ROLES)
def test_no_file_of_a_compute_role_holds_a_password(role: RoleDefinition) -> None:
    for child in build_role(pool(), role):
        if child["kind"] == "ConfigMap":
            assert not any("password =" in text for text in child["data"].values())


def test_passwords_of_nova_compute_come_from_its_clouds_secrets() -> None:
    [container] = pod("nova-compute")["containers"]
    secrets = {
        env["valueFrom"]["secretKeyRef"]["name"]
        for env in container["env"]
        if "secretKeyRef" in env.get("valueFrom", {})
    }
    assert secrets == {"demo-nova-credentials-in-use"}


def test_a_host_is_called_like_its_node() -> None:
    [container] = pod("nova-compute")["containers"]
    host = next(env for env in container["env"] if env["name"] == "OS_DEFAULT__HOST")
    assert host["valueFrom"]["fieldRef"]["fieldPath"] == "spec.nodeName"
    [agent] = pod("ovn-metadata")["containers"]
    assert any(env["name"] == "OS_DEFAULT__HOST" for env in agent["env"])


def test_the_users_options_reach_nova_compute() -> None:
    declared = pool(config={"nova-compute": {"DEFAULT": {"reserved_host_memory_mb": 7}}})
    assert "reserved_host_memory_mb = 7" in config("nova-compute", "/etc/nova/nova.conf", declared)


def test_the_metadata_agent_can_mount_namespaces_for_the_node() -> None:
    [container] = pod("ovn-metadata")["containers"]
    mount = next(m for m in container["volumeMounts"] if m["mountPath"] == "/run/netns")
    assert mount["mountPropagation"] == "Bidirectional"


def test_nova_and_libvirt_see_the_same_files() -> None:
    def paths(name: str) -> dict[str, str]:
        spec = pod(name)
        host = {v["name"]: v["hostPath"]["path"] for v in spec["volumes"] if "hostPath" in v}
        mounts = spec["containers"][0]["volumeMounts"]
        return {m["mountPath"]: host[m["name"]] for m in mounts if m["name"] in host}

    shared = paths("nova-compute").keys() & paths("libvirt").keys()
    assert {"/var/lib/nova", "/run/libvirt", "/dev"} <= shared
    assert all(paths("libvirt")[path] == path for path in shared)


def test_other_hosts_make_another_discovery_job() -> None:
    names = {
        build_step(pool(), registry.service("nova"), nova_compute.discovery(hosts))[-1]["metadata"][
            "name"
        ]
        for hosts in ("a", "a", "b")
    }
    assert len(names) == 2


def environment(name: str) -> dict[str, str]:
    [container] = pod(name)["containers"]
    return {env["name"]: env["value"] for env in container["env"] if "value" in env}


def test_no_resolver_keeps_a_wrong_answer_from_the_time_of_boot() -> None:
    assert environment("nova-compute")["EVENTLET_NO_GREENDNS"] == "yes"
    assert environment("ovn-metadata")["EVENTLET_NO_GREENDNS"] == "yes"
    for name in ("ovn-controller", "ovn-metadata"):
        path = environment(name)["OVS_UNBOUND_CONF"]
        text = config(name, path)
        assert "cache-max-negative-ttl: 5" in text
        assert "serve-expired: yes" in text
        assert "infra-keep-probing: yes" in text


@pytest.mark.parametrize("name", ["nova-compute", "ovn-metadata"])
def test_known_addresses_are_kept_in_python_programs(name: str) -> None:
    [container] = pod(name)["containers"]
    assert environment(name)["PYTHONPATH"] == "/usr/local/lib"
    assert "/usr/local/lib/sitecustomize.py" in {m["mountPath"] for m in container["volumeMounts"]}


def test_nova_compute_is_replaced_when_there_are_other_brokers() -> None:
    one = cloud(roles={"rabbitmq": {"clustering": {"replicas": 1}}})
    other = replace(pool(), cloud=one)
    before, after = (daemon_set("nova-compute", p)["spec"]["template"] for p in (pool(), other))
    assert before["metadata"]["annotations"] != after["metadata"]["annotations"]
