"""A cloud that is gone: its resources are made as its recovery set has them."""

from dataclasses import dataclass, replace
from typing import Any, Final

from stackroles.agents.backup.reader_protocol import Manifest as SetManifest
from stackroles.api.v1alpha1.common import Resources
from stackroles.api.v1alpha1.conditions import Reason
from stackroles.api.v1alpha1.repository import Repository
from stackroles.api.v1alpha1.restore import RecoverySet
from stackroles.config.cloud import Cloud
from stackroles.constants import GROUP_VERSION
from stackroles.domains.restore.former import (
    CONTROLLER,
    FormerCloud,
    build_secrets,
    find_invalid,
    find_rivals,
    invalid,
    read_former,
)
from stackroles.domains.restore.phases import NAMED, Phase, Progress
from stackroles.domains.restore.reconcile_reader import read_part, read_secrets, read_set
from stackroles.domains.restore.reconcile_services import set_stopped
from stackroles.domains.restore.status import running
from stackroles.domains.restore.waiting import SOON, Waiting, lacks
from stackroles.domains.restore.work import Source, Subject, Work
from stackroles.errors import SpecInvalid
from stackroles.kube.kinds import ref_of
from stackroles.reconcile.clouds import cloud_of
from stackroles.reconcile.context import Context
from stackroles.workloads.listing import list_some
from stackroles.workloads.restoring import Stopped

Object = dict[str, Any]
# The name of the part with the resources (agents/backup/run.py).
_RESOURCES: Final = "resources"


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedRepository:
    """A repository that a Restore names itself."""

    repository: Repository
    encryption_secret: str
    resources: Resources


def access_of(recovery_set: RecoverySet | None) -> NamedRepository | None:
    """Return how the repository is used that a Restore names, None where it names none."""
    if recovery_set is None or recovery_set.repository is None:
        return None
    return NamedRepository(
        repository=recovery_set.repository,
        encryption_secret=recovery_set.encryption_secret or "",
        resources=Resources(),
    )


async def read_identity(context: Context, resource: Object, source: Source) -> SetManifest:
    """Return what a set says of itself, before its cloud is known.

    Raises:
        Waiting: it cannot be read at present.
    """
    # Where the cloud's own images come from, only the set says.
    reader = _cloud_of_reader(context, resource)
    manifest, why = await read_set(context, resource, reader, source)
    if manifest is None:
        raise Waiting(running(Phase.PREFLIGHT, why), again=SOON)
    return manifest


async def find_former(
    context: Context, resource: Object, source: Source, manifest: SetManifest
) -> Subject:
    """Return the cloud of a set as the set has it.

    Raises:
        Waiting: the set cannot be read at present, does not have it, or has it in another form.
    """
    former = await _read_former(context, resource, source, manifest)
    metadata = {**former.controller["metadata"], "uid": ""}
    controller = {**former.controller, "metadata": metadata}
    try:
        cloud = cloud_of(context, controller)
    except SpecInvalid as error:
        # Looked at again: what helps is another resource's.
        raise lacks(Reason.CONTROLLER_MISSING, invalid(controller, error.message)) from error
    former = _compared(context, former, cloud.namespace)
    return Subject(controller=controller, cloud=cloud, found=source, former=former)


def _compared(context: Context, former: FormerCloud, namespace: str) -> FormerCloud:
    """Return a former cloud with which of its resources exist, and what the others lack."""
    cluster = context.cluster
    present = tuple(r for r in former.others if cluster.get(*ref_of(r)) is not None)
    made = [r for r in former.others if r not in present]
    policies = [r for r in made if r["kind"] == "BackupPolicy"]
    wrong = (*find_invalid(made), *find_rivals(policies, cluster.list("BackupPolicy"), namespace))
    return replace(former, present=present, lacks=wrong)


def _cloud_of_reader(context: Context, resource: Object) -> Cloud:
    metadata = resource["metadata"]
    known = {"name": metadata["name"], "namespace": metadata["namespace"], "uid": ""}
    stand_in = {"apiVersion": GROUP_VERSION, "kind": CONTROLLER, "metadata": known, "spec": {}}
    return cloud_of(context, stand_in)


async def _read_former(
    context: Context, resource: Object, source: Source, manifest: SetManifest
) -> FormerCloud:
    reader, namespace = _cloud_of_reader(context, resource), resource["metadata"]["namespace"]
    text, why = await read_part(context, resource, reader, source, _RESOURCES)
    if text is None:
        raise Waiting(running(Phase.PREFLIGHT, why), again=SOON)
    try:
        former = read_former(text or b"[]", manifest.cloud, namespace)
    except ValueError as error:
        message = f"{error}: restore another set, or apply CloudController {manifest.cloud}."
        raise lacks(Reason.CONTROLLER_MISSING, message) from error
    if former is None:
        raise lacks(
            Reason.CONTROLLER_MISSING,
            f"CloudController {manifest.cloud} does not exist in {namespace}, and the recovery set "
            "does not have it: apply it.",
        )
    return former


async def make_former(context: Context, work: Work) -> Progress:
    """Make what a cloud consists of; done at once where it exists.

    Its database rests from the start: one that began empty would have to be taken away again, and
    agents on nodes would meet it. The CloudController is made last, so that the rest is there
    whenever it is.
    """
    former, cluster = work.subject.former, context.cluster
    if former is None:
        return Progress(done=True, message=f"CloudController {work.cloud.name} exists.")
    held, why = await read_secrets(context, work.resource, work.cloud, _source(work))
    if held is None:
        return Progress(message=why)
    record = await set_stopped(context, work, Stopped.DATABASE, made=True)
    parts = (*build_secrets(work.cloud, held), *former.others)
    there = [await cluster.create_once(manifest) for manifest in parts]
    # What is about to go is not there afterwards.
    if going := [str(ref_of(part)) for part in there if part["metadata"].get("deletionTimestamp")]:
        return Progress(message=f"Waiting for {list_some(going, NAMED)} to go, to make it anew.")
    await cluster.create_once(former.controller)
    made = f"CloudController {work.cloud.name} was made"
    return Progress(message=f"{made}; waiting to see it.", record=record)


def _source(work: Work) -> Source:
    return work.subject.source
