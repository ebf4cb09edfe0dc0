"""What the commands for Backups and Restores read and write of a cluster."""

from collections.abc import Mapping
from typing import Any

from stackroles.api.v1alpha1.conditions import ConditionType
from stackroles.cli.ask import Api, CommandError
from stackroles.cli.cluster import Clouds
from stackroles.cli.manifests import new_backup, new_restore
from stackroles.cli.points import FoundPoints
from stackroles.kube.kinds import kind_of
from stackroles.workloads.pod import condition_of

Object = dict[str, Any]
_GONE = (
    "If it is gone, with its namespace or its cluster, its sets are in its repository still: "
    "`kubectl stackroles restore --policy POLICY --repository s3:https://HOST/BUCKET "
    "--credentials-secret SECRET --encryption-secret SECRET` makes the cloud anew from the newest "
    "one, once you have made those two Secrets; --set names an older one, and `restic snapshots "
    "--tag part=manifest` lists them."
)


class Recovery:
    """The Backups and Restores of one namespace."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self.namespace = api.namespace

    async def read(self, kind: str, name: str) -> Object:
        """Return a Backup or a Restore that was made.

        Raises:
            CommandError: it is gone, or could not be read.
        """
        found = await self._api.get(kind, name)
        if found is None:
            raise CommandError(f"{kind} {name} was deleted before it ended.")
        return found

    async def make_backup(self, name: str, policy: str) -> None:
        """Have a recovery set made.

        Raises:
            CommandError: the policy does not exist, or the Backup could not be made.
        """
        if await self._api.get("BackupPolicy", policy) is None:
            raise CommandError(await self._unknown("BackupPolicy", policy))
        await self._api.create(new_backup(name, policy))

    async def cloud_of(self, backup: str) -> str:
        """Return the name of the CloudController that a Backup can be restored to.

        Raises:
            CommandError: it has no recovery set, or its cloud is not known.
        """
        found = await self._api.get("Backup", backup)
        if found is None:
            raise CommandError(await self._unknown("Backup", backup))
        policy_name = found["spec"]["policy"]
        policy = await self._api.get("BackupPolicy", policy_name)
        if policy is None:
            raise CommandError(
                f"BackupPolicy {policy_name}, which names the repository of Backup {backup}, does "
                f"not exist in namespace {self.namespace}: apply it."
            )
        cloud = str(policy["spec"]["controller"])
        status = found.get("status") or {}
        if not status.get("verified"):
            complete = condition_of(status, ConditionType.COMPLETE.value) or {}
            why = f" ({complete['message']})" if complete.get("message") else ""
            raise CommandError(
                f"Backup {backup} has no verified recovery set{why}. `kubectl stackroles "
                f"recovery-points {cloud}` lists those that have."
            )
        return cloud

    async def cloud_of_source(self, source: Mapping[str, Any]) -> str:
        """Return the CloudController that a source is restored to, empty where only the set says.

        Raises:
            CommandError: there is no such set, as far as resources say.
        """
        if backup := source.get("backup"):
            return await self.cloud_of(str(backup))
        recovery_set = source["recoverySet"]
        if "repository" in recovery_set:
            return ""
        policy = await self._api.get("BackupPolicy", recovery_set["policy"])
        if policy is None:
            missing = await self._unknown("BackupPolicy", recovery_set["policy"])
            raise CommandError(f"{missing} Or name the set's repository by --repository.")
        return str(policy["spec"]["controller"])

    async def make_restore(
        self, name: str, source: Mapping[str, Any], *, overwrite: str | None, safety_backup: bool
    ) -> None:
        """Make a Restore; a dry run without the consent to overwrite.

        Raises:
            CommandError: it could not be made.
        """
        await self._api.create(
            new_restore(name, source, overwrite=overwrite, safety_backup=safety_backup)
        )

    async def consent(self, name: str, cloud: str) -> None:
        """Have a dry run become the restore.

        Raises:
            CommandError: it could not be changed.
        """
        path = kind_of("Restore").path(self.namespace, name)
        body = {"spec": {"dryRun": False, "overwrite": cloud}}
        if await self._api.ask("PATCH", path, f"Restore {name}", body) is None:
            raise CommandError(f"Restore {name} was deleted before it began: nothing was changed.")

    async def points(self, name: str) -> FoundPoints:
        """Return what the recovery points of a cloud are read from.

        Raises:
            CommandError: the cloud does not exist, or they could not be read.
        """
        if await self._api.get("CloudController", name) is None:
            raise CommandError(f"{await self._unknown('CloudController', name)} {_GONE}")
        cloud = await Clouds(self._api).cloud(name)
        policies = await self._api.list("BackupPolicy")
        backups = await self._api.list("Backup")
        unreadable: list[str] = []
        restores: list[Object] = []
        try:
            restores = await self._api.list("Restore")
        except CommandError as error:
            unreadable.append(str(error))
        return FoundPoints(
            cloud=cloud,
            policies=policies,
            backups=backups,
            restores=restores,
            unreadable=unreadable,
        )

    async def _unknown(self, kind: str, name: str) -> str:
        """Return that there is no such object, with those that there are."""
        others = sorted(found["metadata"]["name"] for found in await self._api.list(kind))
        return (
            f"{kind} {name} does not exist in namespace {self.namespace}. There are: "
            f"{', '.join(others) or 'none'}. Name another namespace by -n."
        )
