"""A lost database member is rebuilt by consent, with a new volume and all that was acknowledged."""

import json
import re
from collections.abc import Iterator

import pytest

from lab.kubectl import Kubectl, Object
from tests.support.client import Client
from tests.support.cloud import Cloud

MEMBER = "demo-mariadb-2"
CLAIM = f"data-{MEMBER}"
LOST_SECONDS = 240
REPLACED_SECONDS = 120
SYNCED_SECONDS = 300


def consent(cloud: Cloud, wanted: Object | None) -> None:
    patch = {"spec": {"roles": {"mariadb": {"replaceMember": wanted}}}}
    cloud.kubectl.run(
        "patch", "cloudcontroller", cloud.name, "--type=merge", f"--patch={json.dumps(patch)}"
    )


def claim_uid(kubectl: Kubectl) -> str:
    claim = kubectl.get("persistentvolumeclaim", CLAIM)
    return str(claim["metadata"]["uid"]) if claim else ""


@pytest.fixture
def node(cloud: Cloud) -> Iterator[str]:
    """The member's node, which takes no new pod meanwhile."""
    cloud.wait_ready()
    [pod] = [pod for pod in cloud.pods("mariadb") if pod["metadata"]["name"] == MEMBER]
    name = str(pod["spec"]["nodeName"])
    cloud.kubectl.run("cordon", name)
    yield name
    cloud.kubectl.run("uncordon", name)
    consent(cloud, None)


def test_a_lost_member_is_rebuilt_by_consent_and_nothing_is_lost(
    cloud: Cloud, client: Client, node: str
) -> None:
    before = claim_uid(cloud.kubectl)
    cloud.kubectl.run("delete", "pod", MEMBER)

    condition = cloud.wait_reason("Progressing", "MemberLost", seconds=LOST_SECONDS)

    for named in (MEMBER, node, CLAIM):
        assert named in condition["message"]
    [incident] = re.findall(r"incident: ([0-9a-f]{8})", condition["message"])
    consent(cloud, {"member": MEMBER, "incident": "00000000"})
    cloud.wait_reason(
        "Progressing", "MemberLost", seconds=LOST_SECONDS, contains="another incident"
    )
    assert claim_uid(cloud.kubectl) == before
    consent(cloud, {"member": MEMBER, "incident": incident})

    def replaced() -> tuple[bool, str]:
        found = claim_uid(cloud.kubectl)
        return found not in ("", before), found

    cloud.kubectl.wait("a new claim", replaced, seconds=REPLACED_SECONDS)
    # Members are spread over nodes, and this one keeps its place on a node that still exists.
    cloud.kubectl.run("uncordon", node)
    cloud.wait_synced(cloud.members("mariadb"), SYNCED_SECONDS)
    acknowledged = {row.identity for row in client.rows() if row.acknowledged}
    assert acknowledged
    assert acknowledged <= client.stored(MEMBER)
    cloud.wait_ready()
