"""Which sections of spec.config roles take, and that those they take do something."""

import pytest

from stackroles.errors import SpecInvalid
from stackroles.roles import registry
from stackroles.roles.allowed_sections import ANY, NO_WSGI, NOTHING, AllowedSections
from stackroles.roles.definition import RoleDefinition
from tests.support.clouds import cloud

ONE, TWO = AllowedSections(("a",)), AllowedSections(("b",))
CONFIGURABLE = [role for role in registry.CONTROLLER_ROLES if not role.options.nothing]
SECTIONS = ("DEFAULT", "uwsgi", "mysqld", "rabbitmq", "memcached", "global", "defaults")


def test_sections_that_either_role_takes_are_their_services() -> None:
    assert "a" in ONE | TWO
    assert "b" in ONE | TWO
    assert "c" not in ONE | TWO
    assert "uwsgi" in ANY | NO_WSGI
    assert "uwsgi" in NO_WSGI | AllowedSections(("uwsgi",))
    assert "uwsgi" not in NO_WSGI | ONE
    assert (NOTHING | NOTHING).nothing


@pytest.mark.parametrize("role", CONFIGURABLE, ids=lambda role: role.name)
@pytest.mark.parametrize("section", SECTIONS)
def test_a_section_that_is_taken_changes_files_and_another_is_refused(
    role: RoleDefinition, section: str
) -> None:
    config = {role.name: {section: {"option": "marked"}}}
    if section in role.options:
        assert role.files
        assert "marked" in "".join(role.files(cloud(config=config)).values())
    else:
        with pytest.raises(SpecInvalid, match=rf"spec.config.{role.name} .*{section}"):
            cloud(config=config)


@pytest.mark.parametrize("name", ["ovn", "ovn-nb", "ovn-sb", "ovn-northd", "libvirt"])
def test_a_name_that_takes_no_options_is_refused(name: str) -> None:
    with pytest.raises(SpecInvalid, match=name):
        cloud(config={name: {"DEFAULT": {"option": 1}}})


def test_a_services_section_reaches_the_roles_that_take_it() -> None:
    declared = cloud(config={"nova": {"uwsgi": {"processes": 3}, "DEFAULT": {"debug": "true"}}})
    conductor = registry.role("nova-conductor").files
    assert conductor
    assert "processes" not in "".join(conductor(declared).values())


def test_options_of_the_proxy_and_the_cache_win() -> None:
    declared = cloud(
        config={
            "haproxy": {"global": {"maxconn": 100}, "defaults": {"timeout client": "600s"}},
            "memcached": {"memcached": {"memory-limit": 256, "max-item-size": "2m; reboot"}},
        }
    )
    proxy, cache = registry.role("haproxy").files, registry.role("memcached").files
    assert proxy
    assert cache
    text = "".join(proxy(declared).values())
    assert "\n  maxconn 100\n" in text
    assert "maxconn 8000" not in text
    assert "\n  timeout client 600s\n" in text
    script = "".join(cache(declared).values())
    assert "--memory-limit=256" in script
    assert "'--max-item-size=2m; reboot'" in script
