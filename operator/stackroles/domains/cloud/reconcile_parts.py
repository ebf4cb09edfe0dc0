"""The parts of a cloud: their keys, and what each found last."""

from collections.abc import Callable, Iterable
from typing import Any, Final

from stackroles.domains.cloud.bringup import build_graph, credentials_read
from stackroles.domains.cloud.service import ServiceState
from stackroles.kube.apply import AppliedRecord, records_of, to_ref
from stackroles.kube.kinds import Key, ObjectRef, PartRef, ref_of
from stackroles.reconcile.context import Context
from stackroles.reconcile.parts import service_of, service_part
from stackroles.roles import registry

Object = dict[str, Any]

CREDENTIALS: Final = "credentials"
SERVICE_PARTS: Final = {s.name: service_part(s.name) for s in registry.SERVICES}
"""The part of each service, by the service's name."""
GRAPH: Final = build_graph(registry.CONTROLLER_ROLES, registry.SERVICES)
"""What each role and step needs before it may start."""
CREDENTIALS_READ: Final = credentials_read(registry.CONTROLLER_ROLES, registry.SERVICES)
"""Whose credentials each role and step needs."""


def credentials_of(resource: Object) -> PartRef:
    """Return the key of a CloudController's credentials."""
    return PartRef(*ref_of(resource), CREDENTIALS)


def services_of(resource: Object) -> tuple[Key, ...]:
    """Return the keys of all services of a CloudController."""
    return tuple(PartRef(*ref_of(resource), part) for part in SERVICE_PARTS.values())


def service_states(context: Context, resource: Object) -> dict[str, ServiceState]:
    """Return how each service stands, by name; one without an ended pass is left out."""
    found = {name: context.latest(resource, service_of(resource, name)) for name in SERVICE_PARTS}
    return {name: state for name, state in found.items() if state is not None}


def to_children(
    resource: Object, records: Iterable[AppliedRecord], stays: Callable[[ObjectRef], bool]
) -> tuple[Object, ...]:
    """Return children as `status.children` has them: what was applied, and what stays besides.

    Args:
        resource: the CloudController, whose status has the former records.
        records: of what was applied.
        stays: whether a former child that was not applied is still one.
    """
    former = records_of(resource)
    known = {ref: record for ref, record in former.items() if stays(ref)}
    namespace = resource["metadata"]["namespace"]
    known |= {to_ref(record, namespace): record for record in records}
    return tuple(known[ref].to_dict() for ref in sorted(known))
