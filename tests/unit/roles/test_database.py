"""What the database's and its proxies' files say beyond the golden cases."""

import pytest

from stackroles.roles import haproxy, mariadb, registry
from tests.support.clouds import cloud


def test_provider_options_are_overlaid_one_by_one() -> None:
    options = mariadb.provider_options("gcache.size=1G; evs.suspect_timeout=PT5S")

    found = dict(option.split("=", 1) for option in options.split(";"))
    assert found["gcache.size"] == "1G"
    assert found["evs.suspect_timeout"] == "PT5S"
    assert found["pc.recovery"] == "FALSE"


def test_every_service_with_a_database_gets_an_account_through_the_environment() -> None:
    step = mariadb.accounts_step(registry.SERVICES)
    assert step.files is not None
    (text,) = step.files(cloud()).values()

    for service in registry.SERVICES:
        variable = mariadb.password_variable(service.name)
        assert (variable in text) == bool(service.databases)
        assert any(env.name == variable for env in step.tasks[0].env) == bool(service.databases)


def test_the_proxies_know_every_member_and_each_other() -> None:
    declared = cloud()
    (text,) = haproxy.files(declared).values()

    for ordinal, host in enumerate(declared.qualified_members("mariadb")):
        name = host.partition(".")[0]
        assert f"server {name} {host}:3306 id {ordinal + 1}" in text
    for host in declared.qualified_members("haproxy"):
        assert f"{host}:10000" in text


@pytest.mark.parametrize("failure", ["timeout", "refused", "other"])
def test_known_addresses_outlive_the_name_server(failure: str) -> None:
    (text,) = haproxy.files(cloud()).values()

    assert f"  hold {failure} 7d\n" in text


def test_what_ends_a_member_early_is_not_the_kubelet() -> None:
    (container,) = mariadb.MARIADB.containers

    assert container.liveness is None
    assert container.no_liveness_because
    assert mariadb.MARIADB.update_strategy == "OnDelete"
    assert mariadb.MARIADB.grace_period >= 300
