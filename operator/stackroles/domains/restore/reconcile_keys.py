"""The phase of a restore that adds the set's keys to the present key repositories."""

from collections.abc import Mapping
from typing import Any

from stackroles import naming
from stackroles.domains.restore.keys import add_keys
from stackroles.domains.restore.phases import Progress
from stackroles.domains.restore.reconcile_reader import read_secrets
from stackroles.domains.restore.work import Work
from stackroles.reconcile.context import Context
from stackroles.roles import registry

Object = dict[str, Any]


async def put_keys(context: Context, work: Work) -> Progress:
    """Add the set's keys to the key repositories of the cloud, whose services rest meanwhile."""
    former, why = await read_secrets(context, work.resource, work.cloud, work.subject.source)
    if former is None:
        return Progress(message=why)
    added = 0
    for service in registry.SERVICES:
        for ring in service.keyrings:
            name = naming.child(work.cloud.name, service.name, ring)
            added += await _add(context, work, name, former.get(name, {}))
    message = f"{added} keys of the set were added." if added else "All keys of the set are there."
    return Progress(done=True, message=message, found={"added_keys": added})


async def _add(context: Context, work: Work, name: str, former: dict[str, bytes]) -> int:
    """Add keys to one repository; return how many it lacked."""
    cluster, namespace = context.cluster, work.cloud.namespace
    secret = cluster.get("Secret", namespace, name)
    held = await cluster.read_secret(namespace, name)
    if secret is None or not held:
        return 0
    present = _text(held)
    wanted = add_keys(present, _text(former))
    if wanted != present:
        await cluster.add_to_secret(secret, wanted)
    return len(wanted) - len(present)


def _text(ring: Mapping[str, bytes]) -> dict[str, str]:
    """Return a repository as text; keystone takes a line end."""
    return {number: value.decode().strip() for number, value in ring.items()}
