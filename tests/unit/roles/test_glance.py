"""glance's members: as many as can share their images."""

from typing import Any

import pytest

from stackroles.errors import SpecInvalid
from stackroles.roles import registry
from stackroles.roles.resolve import resolve_cloud

S3 = {"glance": {"DEFAULT": {"enabled_backends": "store:s3"}}}


def replicas(spec: dict[str, Any]) -> int:
    resource = {"metadata": {"name": "demo", "namespace": "cloud", "uid": "u"}, "spec": spec}
    cloud = resolve_cloud(
        resource,
        registry.CONTROLLER_ROLES,
        registry.SERVICES,
        image_registry="r",
        image_tags={},
        agents={},
    )
    return cloud.members_of("glance")


def test_one_member_keeps_files_and_two_share_an_object_store() -> None:
    assert replicas({}) == 1
    assert replicas({"config": S3}) == 2
    mixed = {"glance": {"DEFAULT": {"enabled_backends": "store:s3, old:file"}}}
    assert replicas({"config": mixed}) == 1


def test_several_members_with_files_of_their_own_are_refused() -> None:
    several = {"roles": {"glance": {"clustering": {"replicas": 3}}}}

    with pytest.raises(SpecInvalid, match="shared store"):
        replicas(several)
    assert replicas(several | {"config": S3}) == 3
