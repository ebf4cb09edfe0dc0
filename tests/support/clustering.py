"""Roles whose clustering is changed under load: what is asked, and who is active."""

import json
import time
from collections.abc import Callable
from typing import Any

from lab.kubectl import Object
from tests.support.cloud import Cloud

# What a client asks all the time: a list that needs a token and a database, and what needs neither.
LISTS = (
    "keystone:5000/v3/projects",
    "glance:9292/v2/images?limit=5",
    "placement:8778/resource_providers",
    "nova-api:8774/v2.1/servers",
    "neutron-api:9696/v2.0/networks",
)
PLAIN = (
    "keystone:5000/v3",
    "glance:9292/",
    "placement:8778/",
    "nova-api:8774/",
    "neutron-api:9696/",
    "nova-novncproxy:6080/vnc_lite.html",
)
ROLL_SECONDS = 300
WORKER, WRITER = "nova-conductor", "glance"
ARGUMENTS = {WORKER: b"nova-conductor\0--config-file", WRITER: b"uwsgi\0--ini"}


def change(cloud: Cloud, role: str, spec: dict[str, Any] | None) -> None:
    """Set one role in the spec, as `kubectl edit` would, and wait until that is in force."""
    patch = {"spec": {"roles": {role: spec}}}
    cloud.kubectl.run(
        "patch", "cloudcontroller", cloud.name, "--type=merge", f"--patch={json.dumps(patch)}"
    )
    cloud.wait_ready(ROLL_SECONDS)


def taking_turns(role: str) -> dict[str, Any]:
    """Return the spec of a role whose members take turns."""
    return {"clustering": {"model": "ActivePassive", "replicas": 2}}


def active(cloud: Cloud, role: str) -> str:
    """Return the active member by the cloud's status, empty while there is none."""
    roles = cloud.resource()["status"]["roles"]
    return str(next(item for item in roles if item["name"] == role).get("active") or "")


def other_active(cloud: Cloud, role: str, former: str) -> Callable[[], tuple[bool, str]]:
    """Return a check whether a member other than a former one is active."""

    def check() -> tuple[bool, str]:
        found = active(cloud, role)
        return found not in ("", former), f"active: {found or 'none'}"

    return check


def fail_over(cloud: Cloud, role: str, member: str, *, within: float) -> float:
    """Kill the active member of a role; return the seconds until another one is active."""
    killed = time.monotonic()
    cloud.kubectl.run("delete", "pod", member, "--force", "--grace-period=0")
    cloud.kubectl.wait(
        f"another active member of {role}", other_active(cloud, role, member), seconds=within
    )
    return time.monotonic() - killed


def programs(cloud: Cloud, role: str) -> dict[str, int]:
    """Return how many processes of the role's program each member runs, by an argument of it."""
    script = (
        "import glob; lines = [open(f, 'rb').read() for f in glob.glob('/proc/[0-9]*/cmdline')];"
        f" print(sum({ARGUMENTS[role]!r} in line for line in lines))"
    )
    return {
        pod: int(cloud.exec(pod, "python3", "-c", script).strip()) for pod in cloud.members(role)
    }


def failed(calls: list[Object]) -> list[Object]:
    """Return the calls that got no answer, or one of a failing server."""
    return [call for call in calls if not 200 <= call["status"] < 400]


def failures(calls: list[Object], since: float = 0.0) -> list[str]:
    """Return a line for each kind of failure among the calls begun after a moment."""
    late = [call for call in calls if call["at"] >= since]
    assert late, "no call was made"
    kinds: dict[str, list[Object]] = {}
    for call in failed(late):
        kinds.setdefault(f"{call['status']} {call['url']}: {call['error']}", []).append(call)
    return [_line(kind, found, late[0]["at"]) for kind, found in kinds.items()]


def _line(kind: str, found: list[Object], origin: float) -> str:
    begun = [call["at"] - origin for call in found]
    longest = max(call["seconds"] for call in found)
    return (
        f"{len(found)} x {kind} (begun {min(begun):.1f} to {max(begun):.1f} s after the first call,"
        f" up to {longest:.1f} s)"
    )
