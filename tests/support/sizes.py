"""Another number of database members, and waiting until the cloud has it."""

import json

from tests.support.cloud import Cloud

SIZE_SECONDS = 900


def members_of(cloud: Cloud, size: int) -> list[str]:
    """Return the names of so many members."""
    return [f"{cloud.name}-mariadb-{number}" for number in range(size)]


def resize(cloud: Cloud, size: int) -> None:
    """Set the number of members, and wait until exactly these are synced and have volumes."""
    patch = {"spec": {"roles": {"mariadb": {"clustering": {"replicas": size}}}}}
    cloud.kubectl.run(
        "patch", "cloudcontroller", cloud.name, "--type=merge", f"--patch={json.dumps(patch)}"
    )
    wanted = members_of(cloud, size)

    def check() -> tuple[bool, str]:
        pods = sorted(pod["metadata"]["name"] for pod in cloud.pods("mariadb"))
        claims = sorted(
            claim["metadata"]["name"]
            for claim in cloud.kubectl.items("persistentvolumeclaims")
            if claim["metadata"]["name"].startswith(f"data-{cloud.name}-mariadb-")
        )
        done = pods == wanted and claims == [f"data-{pod}" for pod in wanted]
        return done, f"pods {pods}, claims {claims}"

    cloud.kubectl.wait(f"{size} members with their volumes", check, seconds=SIZE_SECONDS)
    cloud.wait_synced(wanted, SIZE_SECONDS)
