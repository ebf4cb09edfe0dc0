"""The credentials of a cloud, reconciled by themselves: its Secrets, before all that reads them."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from stackroles.constants import LABEL_COMPONENT
from stackroles.domains.cloud.reconcile_parts import (
    credentials_of,
    services_of,
    to_children,
)
from stackroles.domains.cloud.reconcile_served import accepted_password
from stackroles.domains.credentials.reconcile import (
    CloudSecrets,
    observe_credentials,
    watch_user_secrets,
)
from stackroles.errors import ClusterError
from stackroles.kube.apply import AppliedRecord
from stackroles.kube.kinds import ObjectRef, ref_of
from stackroles.reconcile.apply_failures import TEMPORARY, assess_apply_failure
from stackroles.reconcile.clouds import active_cloud
from stackroles.reconcile.context import Context
from stackroles.roles import registry
from stackroles.workloads.conditions import Finding

Object = dict[str, Any]

_MISSING_SECONDS = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class CredentialsState:
    """The credentials as their last pass left them.

    Attributes:
        generation: generation of the CloudController that they were applied for.
        credentials: what they are; its passwords stay in this process's memory.
        children: records of the Secrets, as `status.children` has them.
        failure: why not all Secrets were applied; None when all were.
        refused: services of which a Secret was refused: their steps are not begun.
    """

    generation: int
    credentials: CloudSecrets
    children: tuple[Object, ...]
    failure: Finding | None = None
    refused: frozenset[str] = frozenset()


async def reconcile_credentials(context: Context, resource: Object) -> None:
    """Bring a cloud's Secrets to what its services need, and publish what they hold.

    Raises:
        SpecInvalid: the spec asks for what cannot be; the pass over the cloud says so.
        ClusterError: a Secret could not be read or was refused, after that was published.
        NotReady: a Secret still belongs to an earlier owner of this name.
    """
    cloud, part = active_cloud(context, resource), credentials_of(resource)
    if cloud is None:
        return
    ref = ref_of(resource)
    watch_user_secrets(context, ref, cloud, part)
    accepted = accepted_password(context, ref)
    before: CredentialsState | None = context.latest(resource, part)
    generated = before.credentials.values if before else {}
    try:
        found = await observe_credentials(
            context, resource, cloud, registry.SERVICES, accepted=accepted, generated=generated
        )
    except TEMPORARY:
        raise
    except ClusterError as error:
        # The cloud's status must not wait for what no retry may ever bring.
        context.publish(resource, part, _unread(resource, before, error), services_of(resource))
        raise
    applied = await context.cluster.apply_each(resource, found.manifests)
    failure = applied.failure
    if failure is not None and not isinstance(failure, ClusterError):
        raise failure
    # What could not be derived is not unwanted: nothing is removed, and it stays on record.
    whole = found.finding is None and failure is None
    if whole:
        await context.cluster.prune(resource, found.manifests, among=_is_secret)
    children = to_children(resource, applied.records, lambda ref: not whole and _is_secret_ref(ref))
    state = CredentialsState(
        generation=resource["metadata"].get("generation", 0),
        credentials=found,
        children=children,
        failure=assess_apply_failure(failure) if failure else None,
        refused=_refused(found.manifests, applied.records) if failure else frozenset(),
    )
    context.publish(resource, part, state, services_of(resource))
    if failure is not None:
        raise failure
    if found.finding is not None:
        context.enqueue(part, _MISSING_SECONDS)


def _unread(
    resource: Object, before: CredentialsState | None, error: ClusterError
) -> CredentialsState:
    """Return the credentials as they were; what reads some waits where none were read yet."""
    failure = assess_apply_failure(error)
    if before is not None:
        return replace(before, failure=failure)
    return CredentialsState(
        generation=resource.get("status", {}).get("observedGeneration", 0),
        credentials=CloudSecrets(
            manifests=(),
            values={},
            finding=failure,
            broken=frozenset(service.name for service in registry.CREDENTIALS),
        ),
        children=to_children(resource, (), _is_secret_ref),
        failure=failure,
    )


def _refused(manifests: Iterable[Object], records: Iterable[AppliedRecord]) -> frozenset[str]:
    known = {record.name for record in records}
    return frozenset(
        manifest["metadata"]["labels"][LABEL_COMPONENT]
        for manifest in manifests
        if manifest["metadata"]["name"] not in known
    )


def _is_secret(child: Object) -> bool:
    return bool(child["kind"] == "Secret")


def _is_secret_ref(ref: ObjectRef) -> bool:
    return ref.kind == "Secret"
