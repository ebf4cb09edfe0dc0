"""Secrets."""

import base64
from collections.abc import Mapping

from stackroles.config.owner import Owner
from stackroles.constants import ANNOTATION_KEYS
from stackroles.workloads.manifests.metadata import Manifest, labels, metadata


def build_secret(
    owner: Owner, name: str, service: str, data: Mapping[str, str], note: str = ""
) -> Manifest:
    """Return a Secret, which goes in its owner's teardown alone.

    Args:
        owner: the resource.
        name: the Secret's name.
        service: the service it belongs to, for its labels.
        data: values as text.
        note: which of the values exist nowhere else, written beside them.
    """
    made = metadata(owner, name, labels(owner, service, service), keep=True)
    if note:
        made["annotations"] = {ANNOTATION_KEYS: note}
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "type": "Opaque",
        "metadata": made,
        "data": {key: base64.b64encode(value.encode()).decode() for key, value in data.items()},
    }
