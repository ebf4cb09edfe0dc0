"""Why a repository's volume claim gets no volume; pure."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from stackroles.api.v1alpha1.conditions import Reason
from stackroles.workloads.conditions import Finding

# A volume is made in moments, or its provisioner does not work.
VOLUME_PATIENCE = timedelta(seconds=60)


def find_volume_problem(
    claim: Mapping[str, Any], storage_class: Mapping[str, Any] | None, now: datetime
) -> Finding | None:
    """Return why a repository's claim gets no volume; None when it has one, or will by itself.

    Args:
        claim: the claim.
        storage_class: the class it names, None when there is none of that name.
        now: the time of the observation.
    """
    name, phase = claim["metadata"]["name"], claim.get("status", {}).get("phase")
    wanted = claim["spec"].get("storageClassName")
    if phase == "Lost":
        return Finding(
            Reason.VOLUME_PENDING,
            f"Volume claim {name} has lost its volume: bring it back, or name another claim in "
            "repository.volume.claimName.",
        )
    if phase != "Bound" and wanted != "" and storage_class is None:
        return _class_missing(name, wanted)
    later = (storage_class or {}).get("volumeBindingMode") == "WaitForFirstConsumer"
    made = datetime.fromisoformat(claim["metadata"]["creationTimestamp"])
    if phase == "Bound" or later or now - made < VOLUME_PATIENCE:
        return None
    return Finding(
        Reason.VOLUME_PENDING, f"Volume claim {name} waits for its volume. See its events."
    )


def _class_missing(claim: str, wanted: str | None) -> Finding:
    what = f"Volume claim {claim}: storage class {wanted} does not exist. Create it"
    if wanted is None:
        what = (
            f"Volume claim {claim} names no storage class, and the cluster has no default one. "
            "Mark a class as the default"
        )
    return Finding(
        Reason.STORAGE_CLASS_MISSING,
        f"{what}; or name another in repository.volume.storageClassName and delete the pending "
        f"claim {claim}, whose class cannot change.",
    )
