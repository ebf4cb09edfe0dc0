"""A changed option rolls one role; one a service refuses stops its roll, the old pods serving.

So does an image that cannot be pulled.
"""

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest

from lab.kubectl import Kubectl
from tests.support.client import Client
from tests.support.cloud import Cloud
from tests.support.measurements import Measurements

ROLE = "placement"
ROLL_SECONDS = 240
MULTIPLE_CHOICES = 300
"""How glance answers at its root: with the versions of its API."""
STOPPED_SECONDS = 240
PROBES = 20
ABSENT = "localhost/absent/placement:none"


def configure(kubectl: Kubectl, config: dict[str, Any] | None) -> None:
    """Set spec.config of the cloud, as `kubectl edit` would."""
    patch = [{"op": "add", "path": "/spec/config", "value": config}]
    if config is None:
        patch = [{"op": "remove", "path": "/spec/config"}]
    kubectl.run("patch", "cloudcontroller", "demo", "--type=json", f"--patch={json.dumps(patch)}")


@pytest.fixture(scope="module", autouse=True)
def restored(cloud: Cloud) -> Iterator[None]:
    """Leave the cloud with the configuration it had."""
    before = cloud.resource()["spec"].get("config")
    yield
    if cloud.resource()["spec"].get("config") != before:
        configure(cloud.kubectl, before)
        cloud.wait_ready(ROLL_SECONDS)


def with_debug(cloud: Cloud, value: str) -> dict[str, Any]:
    """Return the cloud's configuration with placement's DEFAULT.debug."""
    config: dict[str, Any] = dict(cloud.resource()["spec"].get("config", {}))
    return {**config, ROLE: {"DEFAULT": {"debug": value}}}


def serving(client: Client) -> list[int]:
    """Return the status of a number of calls of placement, through its Service."""
    urls = [f"http://demo-placement:8778/?call={number}" for number in range(PROBES)]
    return [answer["status"] for answer in client.ask({}, urls).values()]


def test_a_changed_option_rolls_only_the_role_it_touches(
    cloud: Cloud, client: Client, measurements: Measurements
) -> None:
    cloud.wait_ready()
    before = cloud.identities()
    started = time.monotonic()
    configure(cloud.kubectl, with_debug(cloud, "true"))
    cloud.wait_ready(ROLL_SECONDS)
    after = cloud.identities()
    assert not before.pop(ROLE).keys() & after.pop(ROLE).keys(), "the role was not rolled"
    assert after == before
    for pod in cloud.members(ROLE):
        assert "debug = true" in cloud.exec(pod, "cat", "/etc/placement/placement.conf")
    assert set(serving(client)) == {200}
    measurements.record("roll of one role", seconds=time.monotonic() - started)


def test_a_value_the_service_refuses_stops_the_roll_and_the_old_pods_serve(
    cloud: Cloud, client: Client, measurements: Measurements
) -> None:
    cloud.wait_ready()
    before = cloud.identities()
    started = time.monotonic()
    configure(cloud.kubectl, with_debug(cloud, "perhaps"))
    condition = cloud.wait_reason(
        "Progressing", "Crashing", seconds=STOPPED_SECONDS, contains="perhaps"
    )
    seconds_until_reported = time.monotonic() - started
    assert f"Role {ROLE}" in condition["message"]
    assert "perhaps" in condition["message"], "the service's own message is missing"
    assert "Traceback" not in condition["message"]
    now = cloud.identities()
    assert before[ROLE].items() <= now[ROLE].items(), "an old pod is gone"
    assert len(now[ROLE]) > len(before[ROLE]), "no new pod was tried"
    assert {r: p for r, p in now.items() if r != ROLE} == {
        r: p for r, p in before.items() if r != ROLE
    }
    assert set(serving(client)) == {200}
    assert cloud.resource()["status"]["conditions"], "the cloud lost its status"
    available = cloud.wait_reason(
        "Available", "MinimumReplicasAvailable", status="True", seconds=STOPPED_SECONDS
    )
    assert available["status"] == "True"
    measurements.record(
        "roll stopped by a refused value", reported_after_seconds=seconds_until_reported
    )


def test_restoring_the_spec_undoes_it(cloud: Cloud, client: Client) -> None:
    before = cloud.identities()
    configure(cloud.kubectl, with_debug(cloud, "true"))
    cloud.wait_ready(ROLL_SECONDS)
    after = cloud.identities()
    kept = before.pop(ROLE).items() & after.pop(ROLE).items()
    assert len(kept) == 2, "the pods that served all along were replaced"
    assert after == before
    assert set(serving(client)) == {200}


def serving_members(cloud: Cloud) -> dict[str, dict[str, str]]:
    """Return the members of roles; those of steps come and go."""
    return {role: members for role, members in cloud.identities().items() if role != "step"}


def test_an_option_that_glance_refuses_leaves_its_only_member_serving(
    cloud: Cloud, client: Client
) -> None:
    cloud.wait_ready()
    before = serving_members(cloud)
    config: dict[str, Any] = dict(cloud.resource()["spec"].get("config", {}))
    configure(cloud.kubectl, {**config, "glance": {"DEFAULT": {"debug": "perhaps"}}})
    try:
        condition = cloud.wait_reason(
            "Progressing", "StepFailed", seconds=STOPPED_SECONDS, contains="perhaps"
        )
        assert "glance/check" in condition["message"]
        assert serving_members(cloud) == before
        url = "http://demo-glance:9292/"
        assert client.ask({}, [url])[url]["status"] == MULTIPLE_CHOICES
    finally:
        configure(cloud.kubectl, {**config, "glance": {"DEFAULT": {"debug": "true"}}})
    cloud.wait_ready(ROLL_SECONDS)
    after = serving_members(cloud)
    assert before.pop("glance") != after.pop("glance"), "it was not replaced"
    assert after == before


def give_image(cloud: Cloud, image: str | None) -> None:
    """Set the image of a role, or take it away with what of the spec was only made for it."""
    roles = cloud.resource()["spec"].get("roles", {})
    role: dict[str, Any] | None = {"image": image}
    if image is None and roles.get(ROLE, {}).keys() <= {"image"}:
        role = None
    wanted = None if role is None and roles.keys() <= {ROLE} else {ROLE: role}
    patch = json.dumps({"spec": {"roles": wanted}})
    cloud.kubectl.run("patch", "cloudcontroller", cloud.name, "--type=merge", f"--patch={patch}")


def test_an_image_that_cannot_be_pulled_stops_the_roll_and_the_old_pods_serve(
    cloud: Cloud, client: Client, measurements: Measurements
) -> None:
    cloud.wait_ready()
    before = serving_members(cloud)
    started = time.monotonic()
    give_image(cloud, ABSENT)
    try:
        condition = cloud.wait_reason(
            "Progressing", "ImagePullFailed", seconds=STOPPED_SECONDS, contains=f"Role {ROLE}"
        )
        seconds_until_reported = time.monotonic() - started
        assert ABSENT in condition["message"]
        assert "Correct spec.images or the role's image" in condition["message"]
        now = serving_members(cloud)
        assert before[ROLE].items() <= now[ROLE].items(), "an old pod is gone"
        assert {r: p for r, p in now.items() if r != ROLE} == {
            r: p for r, p in before.items() if r != ROLE
        }
        assert set(serving(client)) == {200}
    finally:
        give_image(cloud, None)
    cloud.wait_ready(ROLL_SECONDS)
    assert serving_members(cloud) == before, "the pods that served all along were replaced"
    assert set(serving(client)) == {200}
    measurements.record(
        "roll stopped by an absent image", reported_after_seconds=seconds_until_reported
    )
