"""What the endpoint's files say beyond the golden cases."""

from dataclasses import replace
from typing import Any

import pytest

from stackroles.agents import wire
from stackroles.agents.endpoint.protocol import EndpointSettings
from stackroles.api.v1alpha1.cloud_controller import Clustering
from stackroles.config.layers import Layer
from stackroles.roles import endpoint, registry
from stackroles.roles.endpoint import ApiBackend, endpoint_role, members_service
from tests.support.clouds import cloud

BACKENDS = (
    ApiBackend(role="keystone", port=5000),
    ApiBackend(role="nova-novncproxy", port=6080),
)
ROLE = endpoint_role(BACKENDS)


def files(**config: Any) -> dict[str, str]:
    assert ROLE.files is not None
    made = cloud()
    spec = made.spec.model_copy(update={"config": {"endpoint": config}})
    return dict(ROLE.files(replace(made, spec=spec)))


def section(text: str, name: str) -> list[str]:
    """Return the lines of a section of HAProxy's configuration."""
    return text.partition(f"\n{name}\n")[2].partition("\n\n")[0].splitlines()


def test_agent_and_haproxy_mean_the_same_servers_and_sockets() -> None:
    made = files()
    settings = wire.loads(EndpointSettings, made[endpoint.SETTINGS])

    for declared, backend in zip(BACKENDS, settings.backends, strict=True):
        lines = section(made[endpoint.OPTIONS], f"backend {declared.role}")
        (servers,) = [line for line in lines if line.startswith("  server-template ")]
        assert f" s 1-{backend.slots} 0.0.0.0:{declared.port} disabled " in servers
        assert (backend.name, backend.port, backend.listen) == (
            declared.role,
            declared.port,
            declared.port,
        )
        assert backend.service == members_service(cloud(), declared.role)
        (bind,) = [
            line
            for line in section(made[endpoint.OPTIONS], f"frontend {declared.role}")
            if "bind" in line
        ]
        assert bind == f'  bind "fd@${{{backend.variable}}}"'


def test_a_paused_role_is_refused_before_and_while_it_waits() -> None:
    made = files()
    settings = wire.loads(EndpointSettings, made[endpoint.SETTINGS])
    assert settings.paused_map in made, "HAProxy does not start without the file"
    assert all(line.startswith("#") for line in made[settings.paused_map].splitlines())
    assert f'Map.new("{settings.paused_map}"' in made[endpoint.HOLD]

    for backend in settings.backends:
        key = f"str({backend.name}),map({settings.paused_map})"
        for frontend in (backend.name, f"{backend.name}-hold"):
            lines = section(made[endpoint.OPTIONS], f"frontend {frontend}")
            (rule,) = [line for line in lines if "being restored" in line]
            assert rule.startswith("  http-request return status 503 hdr Retry-After 30 ")
            assert f"(Restore %[{key}])" in rule
            assert rule.endswith(f" if {{ {key} -m found }}")


def test_every_member_that_a_role_can_have_has_a_server_while_it_is_rolled() -> None:
    (most,) = (
        limit.le for limit in Clustering.model_fields["replicas"].metadata if hasattr(limit, "le")
    )

    assert 2 * most <= endpoint.SLOTS


def test_the_pod_outlives_its_sessions() -> None:
    settings = wire.loads(EndpointSettings, files()[endpoint.SETTINGS])

    assert ROLE.grace_period > settings.drain_seconds + settings.stop_seconds


def test_only_the_apis_are_published() -> None:
    (container,) = ROLE.containers

    assert {port.number for port in container.ports if port.published} == {5000, 6080}
    assert not any(name in files()[endpoint.OPTIONS] for name in ("stats uri", "stats enable"))


def test_the_users_options_win() -> None:
    text = files(**{"defaults": {"timeout server": "1h"}, "global": {"maxconn": 9}})[
        endpoint.OPTIONS
    ]

    assert "  timeout server 1h" in section(f"\n{text}", "defaults")
    assert "timeout server 10m" not in text
    assert "  maxconn 9" in section(f"\n{text}", "global")


@pytest.mark.parametrize("name", ["mode", "option httpchk GET /", "http-check"])
def test_what_a_later_section_sets_again_is_reserved(name: str) -> None:
    layer = Layer({"defaults": {name: ""}})

    assert all(ROLE.spelling(s, n) in ROLE.reserved for s, names in layer.items() for n in names)


def test_a_member_gets_what_it_can_serve_and_others_wait_for_whoever_is_free() -> None:
    role = registry.role("endpoint")
    assert role.files is not None
    made = cloud(config={"nova-api": {"uwsgi": {"processes": 3}}})
    text = role.files(made)[endpoint.OPTIONS]

    limits = {
        name: next(line for line in section(text, f"backend {name}") if "server-template" in line)
        for name in ("keystone", "nova-api", "glance", "nova-novncproxy")
    }
    assert " maxconn 2 " in limits["keystone"]
    assert " maxconn 6 " in limits["nova-api"]
    assert " maxconn 4 " in limits["glance"]
    assert "maxconn" not in limits["nova-novncproxy"]
