"""Which objects are of a cloud's housekeeping, for those who have to tell them from others."""

from collections.abc import Mapping
from typing import Any, Final

from stackroles.constants import LABEL_COMPONENT, LABEL_STEP
from stackroles.workloads.marks import MARK

COMPONENT: Final = "housekeeping"


def is_housekeeping(child: Mapping[str, Any]) -> bool:
    """Return whether a child of a cloud is of its housekeeping."""
    return bool(child["metadata"].get("labels", {}).get(LABEL_COMPONENT) == COMPONENT)


def is_run(child: Mapping[str, Any]) -> bool:
    """Return whether a Job or a pod of the housekeeping works on a database: a mark does not."""
    step = child["metadata"].get("labels", {}).get(LABEL_STEP, "")
    return is_housekeeping(child) and step != f"{COMPONENT}.{MARK}"
