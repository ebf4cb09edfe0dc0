"""glance's members: as many as can share their images."""

from typing import Any

import pytest

from stackroles.errors import SpecInvalid
from stackroles.roles import registry
from stackroles.roles.container import SecretEnv
from stackroles.roles.resolve import resolve_cloud

S3 = {"glance": {"DEFAULT": {"enabled_backends": "s3:s3"}}}


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
    mixed = {"glance": {"DEFAULT": {"enabled_backends": "s3:s3, old:file"}}}
    assert replicas({"config": mixed}) == 1


def test_several_members_with_files_of_their_own_are_refused() -> None:
    several = {"roles": {"glance": {"clustering": {"replicas": 3}}}}

    with pytest.raises(SpecInvalid, match="shared store"):
        replicas(several)
    assert replicas(several | {"config": S3}) == 3


def test_keys_of_the_object_store_come_through_the_environment() -> None:
    [container] = registry.role("glance").containers
    secret = {e.name: e for e in container.env if isinstance(e, SecretEnv) and e.optional}
    assert secret.keys() == {"OS_S3__S3_STORE_ACCESS_KEY", "OS_S3__S3_STORE_SECRET_KEY"}
    assert {env.key for env in secret.values()} == set(registry.service("glance").external)


def test_each_member_says_where_what_was_staged_on_it_is_fetched() -> None:
    [container] = registry.role("glance").containers
    names = [env.name for env in container.env]
    assert names.index("POD_IP") < names.index("OS_DEFAULT__WORKER_SELF_REFERENCE_URL")
