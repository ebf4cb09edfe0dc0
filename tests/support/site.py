"""Which cluster the end-to-end tests use."""

import os


def cluster_name() -> str:
    """Return the name of the lab cluster: STACKROLES_CLUSTER, else the usual one."""
    return os.environ.get("STACKROLES_CLUSTER", "stackroles")
