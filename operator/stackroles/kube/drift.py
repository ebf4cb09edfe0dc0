"""What somebody else did to a child that is put back; pure."""

from typing import Any, Final

from stackroles.constants import FIELD_MANAGER
from stackroles.kube.apply import contains
from stackroles.kube.kinds import ref_of

Object = dict[str, Any]

# Who writes what a workload's spec leaves to the cluster: what they set is no change of a person.
_CONTROLLERS: Final = frozenset({FIELD_MANAGER, "kube-controller-manager", "kubelet"})


def describe_drift(manifest: Object, live: Object | None) -> str:
    """Return what was done to a child since it was last applied, as a sentence; empty for nothing.

    What others add beside what is declared, such as the time of a `kubectl rollout restart`, stays.

    Args:
        manifest: what it is to be.
        live: as it is now, with its managed fields; None when it is gone.
    """
    child = f"{manifest['kind']} {ref_of(manifest).name}"
    if live is None:
        return f"{child} was deleted by somebody else and is made again."
    if contains(live, manifest):
        return ""
    return f"{child} was changed by {_last_manager(live)} and is put back to what is declared."


def _last_manager(live: Object) -> str:
    """Return who wrote to an object last, by its managed fields (status is left out)."""
    entries = [
        entry
        for entry in live["metadata"].get("managedFields") or ()
        if entry.get("manager") not in _CONTROLLERS and not entry.get("subresource")
    ]
    if not entries:
        return "somebody else"
    return str(max(entries, key=lambda entry: str(entry.get("time", "")))["manager"])
