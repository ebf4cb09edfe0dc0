from hypothesis import given
from hypothesis import strategies as st

from stackroles.api.v1alpha1.compute import ComputePoolSpec
from stackroles.config.pool import Pool, is_label_of, pool_label
from stackroles.constants import LABEL_POOL
from tests.support.clouds import cloud

NAMES = st.from_regex(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?", fullmatch=True)


def pool(name: str = "compute", **spec: object) -> Pool:
    declared = {"controller": "demo", "nodeSelector": {"compute": "yes"}, **spec}
    return Pool(
        name=name,
        namespace="ns",
        uid="uid-pool",
        spec=ComputePoolSpec.model_validate(declared),
        cloud=cloud(),
    )


@given(NAMES, NAMES)
def test_the_label_of_any_pool_is_a_valid_label_value(namespace: str, name: str) -> None:
    value = pool_label(namespace, name)
    assert len(value) <= 63
    assert value[0].isalnum()
    assert value[-1].isalnum()


@given(st.tuples(NAMES, NAMES), st.tuples(NAMES, NAMES))
def test_two_pools_never_share_a_label(one: tuple[str, str], other: tuple[str, str]) -> None:
    assert (pool_label(*one) == pool_label(*other)) is (one == other)


@given(NAMES, NAMES, NAMES)
def test_a_label_is_known_by_its_namespace(namespace: str, name: str, other: str) -> None:
    value = pool_label(namespace, name)
    assert is_label_of(value, namespace)
    if namespace[:50] != other[:50]:
        assert not is_label_of(value, other)


def test_agents_run_where_the_operators_own_label_is_whatever_the_taints() -> None:
    settings = pool().settings("libvirt")
    assert settings.node_selector == {LABEL_POOL: "ns.compute"}
    assert [toleration.operator for toleration in settings.tolerations] == ["Exists"]


def test_a_role_sees_its_services_options_overlaid_by_its_own() -> None:
    config = {
        "nova": {"DEFAULT": {"debug": "true", "reserved_host_memory_mb": 1}},
        "nova-compute": {"DEFAULT": {"reserved_host_memory_mb": 2}},
    }
    options = pool(config=config).options("nova-compute", "nova")
    assert options == {"DEFAULT": {"debug": "true", "reserved_host_memory_mb": 2}}
