"""Whose an object is: by labels, for lookups, and what of this outlives an upgrade."""

from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple

from stackroles.constants import LABEL_INSTANCE, LABEL_OWNER_KIND, LABEL_OWNER_NAME

Object = dict[str, Any]

# What the operator makes, or has made, without an owner reference.
OWNERLESS_KINDS: Final = ("Secret", "ConfigMap", "PersistentVolumeClaim", "Backup")


class ParentRef(NamedTuple):
    """The custom resource that an object's labels name; `kind` is empty where they do not say."""

    kind: str
    name: str


def parent_of(labels: Mapping[str, str]) -> ParentRef | None:
    """Return the parent that labels name, None where they name none.

    The name stands in the recommended instance label, and in one of our own on what has no owner
    reference.
    """
    name = labels.get(LABEL_OWNER_NAME) or labels.get(LABEL_INSTANCE)
    return ParentRef(labels.get(LABEL_OWNER_KIND, ""), name) if name else None


def with_live_claims(manifest: Object, live: Object) -> Object:
    """Return a StatefulSet's manifest with the claims' labels and size that the existing one has.

    They cannot change. The claims themselves get both from the operator.

    Args:
        manifest: the desired StatefulSet; not changed.
        live: the whole one that exists.
    """
    there = {c["metadata"]["name"]: c for c in live["spec"].get("volumeClaimTemplates") or ()}
    templates = manifest["spec"].get("volumeClaimTemplates")
    if not templates or not there:
        return manifest
    kept = [_as_it_is(there.get(t["metadata"]["name"], t), t) for t in templates]
    return {**manifest, "spec": {**manifest["spec"], "volumeClaimTemplates": kept}}


def _as_it_is(there: Object, template: Object) -> Object:
    labels = there["metadata"].get("labels") or {}
    return {
        **template,
        "metadata": {**template["metadata"], "labels": labels},
        "spec": {**template["spec"], "resources": there["spec"]["resources"]},
    }


def owned_by_label_alone(objects: list[Object]) -> Iterator[Object]:
    """Yield objects without an owner that carry the label by which other tools take them over."""
    for obj in objects:
        metadata = obj["metadata"]
        if LABEL_INSTANCE in metadata.get("labels", {}) and not metadata.get("ownerReferences"):
            yield obj
