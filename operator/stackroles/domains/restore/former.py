"""A cloud that does not exist any more, as a recovery set has it; pure."""

import base64
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from stackroles.api.v1alpha1.backup_policy import BackupPolicySpec
from stackroles.api.v1alpha1.common import Model, parse_spec
from stackroles.api.v1alpha1.compute import ComputePoolSpec
from stackroles.config.cloud import Cloud
from stackroles.constants import GROUP_VERSION
from stackroles.errors import SpecInvalid
from stackroles.workloads.listing import list_some
from stackroles.workloads.manifests.metadata import Manifest, labels, metadata
from stackroles.workloads.recovery_set.repository import repository_id

CONTROLLER: Final = "CloudController"
_CREDENTIALS: Final = "credentials"
# What belongs to a cloud, with the form of its spec; what else a set has is not made.
_OTHERS: Final[Mapping[str, type[Model]]] = {
    "ComputePool": ComputePoolSpec,
    "BackupPolicy": BackupPolicySpec,
}
# What a user gave it. An owner or a finalizer of then would take it away again, or hold it.
_KEPT: Final = ("labels", "annotations")
_NAMED: Final = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class FormerCloud:
    """Resources of a cloud, without a status.

    Attributes:
        controller: its CloudController.
        others: its ComputePools and BackupPolicies.
        present: those of them that exist, and stay as they are.
        lacks: what is to be done before they can be made, a sentence each.
    """

    controller: Manifest
    others: tuple[Manifest, ...] = ()
    present: tuple[Manifest, ...] = ()
    lacks: tuple[str, ...] = ()


def read_former(text: bytes, cloud: str, namespace: str) -> FormerCloud | None:
    """Return a cloud of a recovery set, None where the set does not have it.

    Args:
        text: the part `resources`, a list of JSON (agents/backup/run.py).
        cloud: its name.
        namespace: where its resources are to be made.

    Raises:
        ValueError: the part is none.
    """
    try:
        found = [_to_be_made(resource, namespace) for resource in json.loads(text)]
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise ValueError(f"the resources of the set cannot be read: {error!r}") from error
    controller = next((r for r in found if _is(r, CONTROLLER, cloud)), None)
    if controller is None:
        return None
    # A suspended cloud would not be started again.
    controller["spec"].pop("suspend", None)
    others = tuple(
        r for r in found if r["kind"] in _OTHERS and r["spec"].get("controller") == cloud
    )
    return FormerCloud(controller=controller, others=others)


def _to_be_made(resource: Mapping[str, Any], namespace: str) -> Manifest:
    known = {key: v for key in _KEPT if (v := resource["metadata"].get(key)) is not None}
    if resource["apiVersion"] != GROUP_VERSION:
        raise ValueError(f"{resource['kind']} is of {resource['apiVersion']}")
    return {
        "apiVersion": GROUP_VERSION,
        "kind": resource["kind"],
        "metadata": {"name": resource["metadata"]["name"], "namespace": namespace, **known},
        "spec": dict(resource.get("spec") or {}),
    }


def _is(resource: Manifest, kind: str, name: str) -> bool:
    return (resource["kind"], resource["metadata"]["name"]) == (kind, name)


def describe(former: FormerCloud) -> str:
    """Return the sentence about what is made of a former cloud."""
    made = [r for r in former.others if r not in former.present]
    names = [_name(resource) for resource in (former.controller, *made)]
    kept = list_some([_name(resource) for resource in former.present], _NAMED)
    return (
        f"{list_some(names, _NAMED)}: as the recovery set has them, with the cloud's passwords "
        f"and keys.{f' What exists here stays as it is: {kept}.' if kept else ''}"
    )


def find_invalid(resources: Sequence[Manifest]) -> Iterator[str]:
    """Yield a sentence for each resource of a set that this version cannot make."""
    for resource in resources:
        try:
            parse_spec(_OTHERS[resource["kind"]], resource)
        except SpecInvalid as error:
            yield invalid(resource, error.message)


def invalid(resource: Manifest, why: str) -> str:
    """Return the sentence about a resource of a set that this version cannot make."""
    return (
        f"{_name(resource)} of the recovery set is none that this version of the operator knows: "
        f"{why} Apply it in the present form, which then stays, or restore with the version that "
        "took the set."
    )


def find_rivals(
    policies: Sequence[Manifest], others: Sequence[Manifest], namespace: str
) -> Iterator[str]:
    """Yield a sentence for each BackupPolicy whose sets another one would take for its own.

    Sets are distinguished by the name of their policy alone. Specs that cannot be read count for
    nothing: such a policy writes nothing.

    Args:
        policies: those that are to be made.
        others: those that exist, of all namespaces.
        namespace: where policies are to be made.
    """
    for policy in policies:
        mine = _repository_of(policy, namespace)
        for other in others:
            place, name = other["metadata"]["namespace"], other["metadata"]["name"]
            if name == policy["metadata"]["name"] and mine == _repository_of(other, place):
                yield (
                    f"BackupPolicy {name} of namespace {place} writes the same repository under "
                    "the same name, so that each of the two would remove the other's sets: delete "
                    f"that one if its cloud is gone for good, or apply a BackupPolicy {name} with "
                    f"another repository in {namespace} first, which then stays as it is."
                )


def _repository_of(policy: Manifest, namespace: str) -> str:
    try:
        spec = parse_spec(BackupPolicySpec, policy)
    except SpecInvalid:
        return ""
    return repository_id(namespace, policy["metadata"]["name"], spec)


def _name(resource: Manifest) -> str:
    return f"{resource['kind']} {resource['metadata']['name']}"


def find_missing_secrets(cloud: Cloud, present: Sequence[str]) -> Iterator[str]:
    """Yield a sentence for each Secret of the user's that a cloud names and that is not there.

    Args:
        cloud: the cloud.
        present: names of Secrets that are.
    """
    for name, field in named_secrets(cloud).items():
        if name not in present:
            yield (
                f"Secret {name}, which {field} of CloudController {cloud.name} names, is yours and "
                f"not in the recovery set: create it in {cloud.namespace}."
            )


def named_secrets(cloud: Cloud) -> dict[str, str]:
    """Return the Secrets of the user's that a cloud names, each with the field that does."""
    pulls = dict.fromkeys(cloud.spec.images.pull_secrets, "spec.images.pullSecrets")
    supplied = {name: f"spec.credentials.{key}" for key, name in cloud.spec.credentials.items()}
    return pulls | supplied


def build_secrets(cloud: Cloud, held: Mapping[str, Mapping[str, bytes]]) -> list[Manifest]:
    """Return the Secrets of a cloud as they were; its CloudController takes them up.

    Args:
        cloud: the cloud.
        held: values by Secret and key.
    """
    kept = labels(cloud, _CREDENTIALS, _CREDENTIALS)
    return [
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "type": "Opaque",
            "metadata": metadata(cloud, name, kept, keep=True),
            "data": {key: base64.b64encode(value).decode() for key, value in values.items()},
        }
        for name, values in sorted(held.items())
    ]
