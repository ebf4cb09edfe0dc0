"""The program: reads the environment, chooses what reconciles what, and runs one replica."""

import asyncio
import os
import sys

import structlog

from stackroles.agents import known_addresses
from stackroles.domains.backup.reconcile_backup import reconcile_backup
from stackroles.domains.backup.reconcile_policy import reconcile_backup_policy
from stackroles.domains.cloud.reconcile import reconcile_cloud_controller
from stackroles.domains.cloud.reconcile_credentials import reconcile_credentials
from stackroles.domains.cloud.reconcile_parts import CREDENTIALS, SERVICE_PARTS
from stackroles.domains.cloud.reconcile_service import reconciler_of
from stackroles.domains.clustering.reconcile import PART as CLUSTERING
from stackroles.domains.clustering.reconcile import reconcile_clustering
from stackroles.domains.compute.reconcile import reconcile_compute_pool
from stackroles.domains.database.reconcile_members import PART as DATABASE
from stackroles.domains.database.reconcile_part import reconcile_database
from stackroles.domains.housekeeping.reconcile import reconcile_housekeeping
from stackroles.domains.messaging.reconcile import PART as MESSAGING
from stackroles.domains.messaging.reconcile import reconcile_messaging
from stackroles.domains.ovn.reconcile import PART as OVN
from stackroles.domains.ovn.reconcile import reconcile_databases
from stackroles.domains.restore.reconcile import reconcile_restore
from stackroles.errors import OperatorError
from stackroles.kube.client import KubeClient, load_credentials, own_namespace
from stackroles.reconcile.context import Reconcilers
from stackroles.reconcile.parts import HOUSEKEEPING
from stackroles.roles import registry
from stackroles.runtime import logs
from stackroles.runtime.metrics import Metrics
from stackroles.runtime.replica import Operator, handle_signals
from stackroles.runtime.router import Watchers
from stackroles.runtime.wakeups import WATCHERS, owners_of_child
from stackroles.settings import Settings, from_environment

log = structlog.get_logger(__name__)


def first_cause(error: Exception) -> Exception:
    """Return what a group of errors began with."""
    while isinstance(error, ExceptionGroup):
        error = error.exceptions[0]
    return error


async def operate(settings: Settings, reconcilers: Reconcilers, watchers: Watchers) -> None:
    """Run one replica with these settings until a signal comes.

    Raises:
        Exception: see `Operator.run`.
    """
    stop = asyncio.Event()
    handle_signals(stop)
    metrics = Metrics()
    client = KubeClient(await load_credentials(settings.kubeconfig or None), metrics.requested)
    try:
        operator = Operator(
            settings,
            client,
            metrics,
            reconcilers=reconcilers,
            watchers=watchers,
            owners=owners_of_child,
        )
        await operator.run(stop)
    finally:
        await client.close()


def main() -> None:
    """Run the operator; the command `stackroles`."""
    try:
        settings = from_environment(os.environ, pod_namespace=own_namespace())
    except OperatorError as error:
        sys.exit(f"stackroles: {error}")
    logs.configure(settings.log_level)
    # It asks the clouds' APIs by name, and must not call them silent while the cluster's DNS is.
    known_addresses.install()
    try:
        asyncio.run(operate(settings, *parts()))
    except Exception as error:
        cause = first_cause(error)
        known = isinstance(cause, OperatorError)
        what = str(cause) if known else repr(cause)
        log.exception("Operator ends", error=what, exc_info=not known)
        sys.exit(1)
    log.info("Operator ended")


def parts() -> tuple[Reconcilers, Watchers]:
    """Return what reconciles each kind, and what else each kind's changes concern."""
    reconcilers: Reconcilers = {
        "CloudController": reconcile_cloud_controller,
        f"CloudController/{CREDENTIALS}": reconcile_credentials,
        f"CloudController/{DATABASE}": reconcile_database,
        f"CloudController/{MESSAGING}": reconcile_messaging,
        f"CloudController/{OVN}": reconcile_databases,
        f"CloudController/{CLUSTERING}": reconcile_clustering,
        f"CloudController/{HOUSEKEEPING}": reconcile_housekeeping,
        **{
            f"CloudController/{SERVICE_PARTS[service.name]}": reconciler_of(service)
            for service in registry.SERVICES
        },
        "ComputePool": reconcile_compute_pool,
        "BackupPolicy": reconcile_backup_policy,
        "Backup": reconcile_backup,
        "Restore": reconcile_restore,
    }
    return reconcilers, WATCHERS


if __name__ == "__main__":
    main()
