"""The annotations of a pod, as the downward API writes them into a file of it.

Standard library only: it runs inside role pods.
"""

import json
from pathlib import Path
from typing import Final

ANNOTATIONS: Final = Path("/etc/podinfo/annotations")


def read_annotation(text: str, name: str) -> str | None:
    """Return one annotation of a downward API file (`key="escaped value"` a line), or None."""
    for line in text.splitlines():
        key, _, quoted = line.partition("=")
        if key == name:
            try:
                value = json.loads(quoted)
            except ValueError:
                return None
            return value if isinstance(value, str) else None
    return None
