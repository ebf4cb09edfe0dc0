"""What the demo says at its end."""

from datetime import UTC, datetime, timedelta

import pytest

from lab import demo
from lab.client import pod
from lab.paths import Paths

START = datetime(2026, 1, 1, 12, 0, 0, 400_000, tzinfo=UTC)
CREATED = datetime(2026, 1, 1, 12, 1, 0, tzinfo=UTC)


def cloud(created: datetime) -> dict[str, dict[str, str]]:
    return {"metadata": {"creationTimestamp": created.isoformat().replace("+00:00", "Z")}}


@pytest.mark.parametrize(
    ("created", "launched", "expected"),
    [
        (CREATED, CREATED + timedelta(seconds=341.6), ", 342 s after apply"),
        (CREATED - timedelta(days=1), CREATED, ""),
        (CREATED - timedelta(days=2), CREATED - timedelta(days=1), ""),
        (CREATED, None, ""),
    ],
)
def test_the_guests_time_is_reported_only_when_cloud_and_guest_are_of_this_run(
    created: datetime, launched: datetime | None, expected: str
) -> None:
    assert demo.active_after(cloud(created), launched, START) == expected


@pytest.mark.parametrize(("name", "option"), [("stackroles", ""), ("other", " --name other")])
def test_the_hints_name_commands_of_this_machine(name: str, option: str) -> None:
    text = demo.hints(demo.Demo(Paths.from_environment({}), name))
    assert f'eval "$(.venv/bin/python -m lab env{option})"' in text
    assert f".venv/bin/python -m lab openstack{option} server list" in text


def test_the_client_has_the_account_from_its_secret_and_nothing_in_its_arguments() -> None:
    made = pod("openstack-1", "demo", "image:tag", ["server", "list"])
    (container,) = made["spec"]["containers"]
    assert container["command"] == ["openstack", "server", "list"]
    assert made["spec"]["volumes"][0]["secret"]["secretName"] == "demo-admin"
    assert container["securityContext"]["runAsNonRoot"] is True
