"""Who a compute node is to nova and libvirt, kept on its disk."""

import uuid
from pathlib import Path

HOST_UUID = Path("/var/lib/libvirt/stackroles-host-uuid")
# Namespace of the identities this project derives: uuid5(DNS, "stackroles.io").
IDENTITIES = uuid.uuid5(uuid.NAMESPACE_DNS, "stackroles.io")


def identity(purpose: str, cloud: str, name: str) -> str:
    """Return the UUID of a node for one purpose; the same for ever for the same names."""
    return str(uuid.uuid5(IDENTITIES, f"{purpose}/{cloud}/{name}"))


def persisted(file: Path, value: str) -> str:
    """Return what a file holds; write `value` there first if it holds nothing."""
    if file.exists() and (held := file.read_text().strip()):
        return held
    file.parent.mkdir(parents=True, exist_ok=True)
    draft = file.with_name(f".{file.name}.new")
    draft.write_text(f"{value}\n")
    draft.chmod(0o644)
    draft.replace(file)
    return value
