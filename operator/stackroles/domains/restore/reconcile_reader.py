"""The reader of a restore: a Job that serves the recovery set, asked for what the set says."""

from typing import Any

from stackroles.addresses import pod_address
from stackroles.agents.backup.reader_protocol import Manifest, ReaderProblem
from stackroles.agents.binlog.protocol import Coverage
from stackroles.config.cloud import Cloud
from stackroles.domains.restore import client
from stackroles.domains.restore.build import (
    COMPONENT,
    TOKEN_KEY,
    build_reader,
    build_token,
    reader_name,
    token_name,
)
from stackroles.domains.restore.client import read_manifest
from stackroles.domains.restore.keys import secrets_in
from stackroles.domains.restore.reconcile_jobs import end_job, ensure_job, make_once
from stackroles.domains.restore.work import Source
from stackroles.reconcile.context import Context
from stackroles.workloads.pod import is_ready
from stackroles.workloads.recovery_set.pod import RunParent

Object = dict[str, Any]
_TOKEN_BITS = 256
# The name of the part with the Secrets (agents/backup/run.py).
_SECRETS = "secrets"


async def read_set(
    context: Context, resource: Object, cloud: Cloud, source: Source
) -> tuple[Manifest | None, str]:
    """Return what the set says of itself, None while it is not known, and why it is not.

    Args:
        context: what a pass is given.
        resource: the Restore.
        cloud: the cloud whose images read it.
        source: where it is.
    """
    address, why = await ensure_reader(context, resource, cloud, source)
    return await _ask(context, resource, source, address) if address else (None, why)


async def _ask(
    context: Context, resource: Object, source: Source, address: str
) -> tuple[Manifest | None, str]:
    found = await read_manifest(address, await _token(context, resource))
    if isinstance(found, Manifest):
        if source.name and found.name != source.name:
            # It was asked for the newest set, and its pod was made anew after another one came.
            await end_reader(context, resource)
            return None, f"The reader has set {found.name} by now; it is started for {source.name}."
        return found, ""
    if isinstance(found, ReaderProblem):
        return None, f"{found.reason}: {found.message}"
    return None, "The reader of the recovery set does not answer yet."


async def read_part(
    context: Context, resource: Object, cloud: Cloud, source: Source, name: str
) -> tuple[bytes | None, str]:
    """Return a small part of the set, empty where the set has none of that name.

    None while it is not there, and why it is not; arguments as of `read_set`.
    """
    address, why = await ensure_reader(context, resource, cloud, source)
    if not address:
        return None, why
    manifest, why = await _ask(context, resource, source, address)
    if manifest is None:
        return None, why
    part = manifest.by_name().get(name)
    if part is None:
        return b"", ""
    if part.bytes > client.LARGEST_PART:
        return None, (
            f"Part {name} of the set has {part.bytes} bytes, and the operator reads at most "
            f"{client.LARGEST_PART}: restore another set."
        )
    found = await client.read_part(address, await _token(context, resource), part)
    return found, "" if found is not None else f"Part {name} of the set could not be read yet."


async def read_coverage(
    context: Context, resource: Object, cloud: Cloud, source: Source, history: str
) -> tuple[Coverage | None, str]:
    """Return which transactions of a history are stored; as `read_set` else."""
    address, why = await ensure_reader(context, resource, cloud, source)
    if not address:
        return None, why
    found = await client.read_coverage(address, await _token(context, resource), history)
    if isinstance(found, ReaderProblem):
        return None, f"{found.reason}: {found.message}"
    return found, "" if found is not None else "The reader does not answer for transactions yet."


async def read_secrets(
    context: Context, resource: Object, cloud: Cloud, source: Source
) -> tuple[dict[str, dict[str, bytes]] | None, str]:
    """Return the Secrets of the set, each with its values by key; as `read_part` else."""
    archive, why = await read_part(context, resource, cloud, source, _SECRETS)
    if archive is None:
        return None, why
    try:
        return (secrets_in(archive) if archive else {}), ""
    except ValueError as error:
        return None, f"{str(error)[:1].upper()}{str(error)[1:]}: restore another set."


async def _token(context: Context, resource: Object) -> str:
    namespace, name = resource["metadata"]["namespace"], resource["metadata"]["name"]
    held = await context.cluster.read_secret(namespace, token_name(name)) or {}
    return held.get(TOKEN_KEY, b"").decode()


async def end_reader(context: Context, resource: Object) -> None:
    """Delete the reader's Job; what else was made for it goes with the Restore."""
    await end_job(context, resource, reader_name(resource["metadata"]["name"]))


async def ensure_reader(
    context: Context, resource: Object, cloud: Cloud, source: Source
) -> tuple[str, str]:
    """Return the reader's address, "" while there is none, and why."""
    parent = RunParent.of(resource, cloud.name, COMPONENT)
    token = build_token(parent, f"{context.random.getrandbits(_TOKEN_BITS):064x}")
    await make_once(context, resource, [token])
    children = build_reader(cloud, parent, source.name, source.policy_name, source.access)
    state = await ensure_job(context, resource, children)
    if state.failed or state.complete:
        # It reads only: another one takes nothing away.
        await end_reader(context, resource)
        return "", state.failed or "The reader of the recovery set ended; it is started again."
    ready = next((pod for pod in state.pods if is_ready(pod) and pod_address(pod)), None)
    if ready is None:
        return "", state.message or "The reader of the recovery set starts."
    return pod_address(ready), ""
