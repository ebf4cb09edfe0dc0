"""Who works with a repository, as the labels of Jobs and pods show it; pure."""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from stackroles.constants import (
    LABEL_COPY_REPOSITORY,
    LABEL_INSTANCE,
    LABEL_REPOSITORY,
    LABEL_STEP,
)
from stackroles.workloads.step import ending_of

Object = Mapping[str, Any]
COMPONENT: Final = "backup"
RUN: Final = "run"
REMOVAL: Final = "removal"
VERIFICATION: Final = "verification"
COPY: Final = "copy"
STEPS: Final = tuple(f"{COMPONENT}.{part}" for part in (RUN, REMOVAL, VERIFICATION, COPY))
"""The step labels of whoever works with a repository, besides the readers of Restores."""


def is_at_work(found: Object) -> bool:
    """Return whether a Job or a pod has not ended.

    Pods count too: one may still write when its Job, or even its Backup, is gone.
    """
    return not ending_of(found) and found.get("status", {}).get("phase") not in (
        "Succeeded",
        "Failed",
    )


def user_among(found: Iterable[Object], repository: str) -> str:
    """Return who works with a repository, as a phrase; empty when it is free.

    Only a repository is for one at a time: each run removes the locks and the unfinished sets that
    it finds there, which would be another's. Runs into different repositories share nothing but the
    database, whose members they divide among them: a repository that stalls holds up nobody else.

    Args:
        found: Jobs and pods with one of STEPS.
        repository: the value of its label; a copy has one for each of its two.
    """
    users = (
        _phrase(one["metadata"]["labels"])
        for one in found
        if is_at_work(one) and repository in _used(one["metadata"]["labels"])
    )
    return min(users, default="")


def _used(labels: Mapping[str, str]) -> tuple[str | None, ...]:
    return labels.get(LABEL_REPOSITORY), labels.get(LABEL_COPY_REPOSITORY)


def _phrase(labels: Mapping[str, str]) -> str:
    part = labels.get(LABEL_STEP, "").removeprefix(f"{COMPONENT}.")
    whole = part in (VERIFICATION, COPY)
    what = f"a {part} of BackupPolicy" if whole else "Backup"
    return f"{what} {labels[LABEL_INSTANCE]}"
