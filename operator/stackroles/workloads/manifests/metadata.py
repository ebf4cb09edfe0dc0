"""Labels, selectors, owner references and the metadata of every child."""

from collections.abc import Mapping
from typing import Any

from stackroles.config.owner import Parent
from stackroles.constants import (
    GROUP_VERSION,
    LABEL_COMPONENT,
    LABEL_INSTANCE,
    LABEL_MANAGED_BY,
    LABEL_NAME,
    LABEL_OWNER_KIND,
    LABEL_OWNER_NAME,
    LABEL_PART_OF,
    LABEL_STEP,
    MANAGED_BY,
)

Manifest = dict[str, Any]
# The name label of every one-shot pod: no role is called this, so no Service or budget selects one.
STEP_NAME = "step"


def selector(owner: Parent, role: str) -> dict[str, str]:
    """Return the labels that select a role's pods, and never those of Jobs.

    A selector cannot change after creation, so it holds nothing that might.
    """
    return {
        LABEL_NAME: role,
        LABEL_INSTANCE: owner.name,
        LABEL_OWNER_KIND: owner.owner_kind,
    }


def labels(owner: Parent, name: str, service: str) -> dict[str, str]:
    """Return the labels of a role's child."""
    return selector(owner, name) | {
        LABEL_COMPONENT: service,
        LABEL_PART_OF: owner.cloud_name,
        LABEL_MANAGED_BY: MANAGED_BY,
    }


def ownerless(child_labels: Mapping[str, str]) -> dict[str, str]:
    """Return a child's labels for an object that has no reference to its owner.

    The owner's name moves from the recommended label, by which other tools take what nobody owns
    for theirs, to one of our own.
    """
    others = {key: value for key, value in child_labels.items() if key != LABEL_INSTANCE}
    return others | {LABEL_OWNER_NAME: child_labels[LABEL_INSTANCE]}


def step_labels(owner: Parent, service: str, step: str) -> dict[str, str]:
    """Return the labels of a step's Job and pods."""
    return labels(owner, STEP_NAME, service) | {LABEL_STEP: f"{service}.{step}"}


def owner_reference(owner: Parent) -> Manifest:
    """Return the reference by which the cluster removes a child with its owner."""
    return {
        "apiVersion": GROUP_VERSION,
        "kind": owner.owner_kind,
        "name": owner.name,
        "uid": owner.uid,
        "controller": True,
    }


def metadata(
    owner: Parent, name: str, child_labels: Mapping[str, str], *, keep: bool = False
) -> Manifest:
    """Return a child's metadata.

    Args:
        owner: the resource the child belongs to.
        name: the child's name.
        child_labels: its labels, as `labels` returns them.
        keep: whether the child has no reference to its owner: it cannot be made again, so that it
            goes in the owner's teardown alone, where `deletionPolicy` is Delete.
    """
    return {
        "name": name,
        "namespace": owner.namespace,
        "labels": ownerless(child_labels) if keep else dict(child_labels),
        # An empty list says that there shall be none.
        "ownerReferences": [] if keep else [owner_reference(owner)],
    }
