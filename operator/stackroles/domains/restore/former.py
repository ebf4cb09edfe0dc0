"""A cloud that does not exist any more, as a recovery set has it; pure."""

import base64
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from stackroles.config.cloud import Cloud
from stackroles.workloads.listing import list_some
from stackroles.workloads.manifests.metadata import Manifest, labels, metadata

CONTROLLER: Final = "CloudController"
_CREDENTIALS: Final = "credentials"
# What an object of the API server's has that one to be made must not.
_GIVEN: Final = ("uid", "resourceVersion", "creationTimestamp", "generation", "managedFields")
_NAMED: Final = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class FormerCloud:
    """Resources of a cloud, without a status.

    Attributes:
        controller: its CloudController.
        others: its ComputePools and BackupPolicies.
    """

    controller: Manifest
    others: tuple[Manifest, ...] = ()


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
    others = tuple(r for r in found if r.get("spec", {}).get("controller") == cloud)
    return FormerCloud(controller=controller, others=others)


def _to_be_made(resource: Mapping[str, Any], namespace: str) -> Manifest:
    known = {k: v for k, v in resource["metadata"].items() if k not in _GIVEN and v is not None}
    return {
        "apiVersion": resource["apiVersion"],
        "kind": resource["kind"],
        "metadata": {**known, "namespace": namespace},
        "spec": dict(resource.get("spec") or {}),
    }


def _is(resource: Manifest, kind: str, name: str) -> bool:
    return (resource["kind"], resource["metadata"]["name"]) == (kind, name)


def describe(former: FormerCloud) -> str:
    """Return the sentence about what is made of a former cloud."""
    resources = (former.controller, *former.others)
    names = [f"{r['kind']} {r['metadata']['name']}" for r in resources]
    return (
        f"{list_some(names, _NAMED)}: as the recovery set has them, with the cloud's passwords "
        "and keys."
    )


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
