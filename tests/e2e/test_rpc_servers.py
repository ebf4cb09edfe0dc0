"""A process that is connected to the broker and answers no RPC call is named and replaced."""

import time

from lab.kubectl import condition_of
from tests.support.cloud import Cloud
from tests.support.measurements import Measurements

ROLE = "nova-conductor"
DEGRADED = "MessagingDegraded"
# A call a minute, two more 10 s apart, each of which is given 10 s; a pod is left alone for its
# first five minutes.
FOUND_SECONDS = 420
BACK_SECONDS = 180


def unbind(cloud: Cloud, host: str) -> None:
    """Take the queue of one conductor out of nova's exchange: calls to it go nowhere."""
    queue = f'<<"conductor.{host}">>'
    nova = '<<"nova">>'
    binding = f"{{binding, {{resource, {nova}, exchange, {nova}}}, {queue}, "
    binding += f"{{resource, {nova}, queue, {queue}}}, []}}"
    broker = cloud.members("rabbitmq")[0]
    answer = cloud.exec(
        broker, "rabbitmqctl", "eval", f'rabbit_binding:remove({binding}, <<"e2e">>).'
    )
    assert "ok" in answer, answer


def test_a_deaf_conductor_is_named_and_replaced(cloud: Cloud, measurements: Measurements) -> None:
    cloud.wait_ready()
    deaf = cloud.members(ROLE)[0]
    before = {pod["metadata"]["name"]: pod["metadata"]["uid"] for pod in cloud.pods(ROLE)}
    unbind(cloud, deaf)
    started = time.monotonic()
    found = cloud.wait_reason(
        DEGRADED, "RpcUnanswered", status="True", seconds=FOUND_SECONDS, contains=deaf
    )
    assert f"{ROLE} in {deaf}" in found["message"]
    named = time.monotonic()

    def replaced() -> tuple[bool, str]:
        degraded = condition_of(cloud.resource(), DEGRADED)
        now = {pod["metadata"]["name"]: pod["metadata"]["uid"] for pod in cloud.pods(ROLE)}
        fresh = now.get(deaf) not in (None, before[deaf])
        return fresh and degraded.get("status") == "False", f"{now}, {degraded.get('reason')}"

    cloud.kubectl.wait(f"another process in place of {deaf}", replaced, seconds=FOUND_SECONDS)
    after = {pod["metadata"]["name"]: pod["metadata"]["uid"] for pod in cloud.pods(ROLE)}
    assert {name for name in before if before[name] != after[name]} == {deaf}
    cloud.wait_ready(BACK_SECONDS)
    measurements.record(
        "a deaf conductor", named_seconds=named - started, whole_seconds=time.monotonic() - started
    )
