"""Secrets."""

import base64
from collections.abc import Mapping

from stackroles.builders.metadata import Manifest, labels, metadata
from stackroles.config.owner import Owner


def build_secret(owner: Owner, name: str, service: str, data: Mapping[str, str]) -> Manifest:
    """Return a Secret that outlives its owner unless `deletionPolicy` is Delete.

    Args:
        owner: the resource.
        name: the Secret's name.
        service: the service it belongs to, for its labels.
        data: values as text.
    """
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "type": "Opaque",
        "metadata": metadata(owner, name, labels(owner, service, service), keep=True),
        "data": {key: base64.b64encode(value.encode()).decode() for key, value in data.items()},
    }
