"""Which pods a changed field replaces."""

from typing import Any

import pytest

from stackroles.codegen.rollouts import rolled_by, rollouts_page
from stackroles.codegen.scalars import SchemaError

POOL = "ComputePool"


@pytest.mark.parametrize(
    ("path", "value", "rolled"),
    [
        (("virtType",), "qemu", ("nova-compute",)),
        (("network", "gateway"), False, ("ovn-controller",)),
        (("network", "physicalNetwork"), "physnet9", ("ovn-controller",)),
        (("network", "interface"), "eth9", ("openvswitch", "ovn-controller")),
        (("availabilityZone",), "az9", ()),
    ],
)
def test_a_value_of_a_pool_rolls_only_the_pods_that_read_it(
    path: tuple[str, ...], value: Any, rolled: tuple[str, ...]
) -> None:
    assert rolled_by(POOL, path, value) == rolled


def test_a_new_field_must_get_a_sample() -> None:
    with pytest.raises(SchemaError, match="ComputePool novel: no sample"):
        rollouts_page([schema(novel={"type": "string"})])


def test_a_sample_without_a_field_is_named() -> None:
    with pytest.raises(SchemaError, match=r"ComputePool: samples without a field: .*virtType"):
        rollouts_page([schema(suspend={"type": "boolean"})])


def schema(**fields: Any) -> dict[str, Any]:
    properties = {"spec": {"properties": fields}}
    version = {"schema": {"openAPIV3Schema": {"properties": properties}}}
    return {"spec": {"names": {"kind": POOL}, "versions": [version]}}
