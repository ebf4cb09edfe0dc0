"""What the command reads and writes of a cluster; every failure is a sentence with what to do."""

import asyncio
import json
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any, Final

from stackroles.agents import wire
from stackroles.agents.gate.protocol import LAST_SWITCHOVER, SWITCHOVER, Switchover
from stackroles.api.v1alpha1.common import ClusteringModel
from stackroles.cli.ask import Api, CommandError
from stackroles.cli.points import PointsView
from stackroles.cli.view import CloudView, Found
from stackroles.constants import LABEL_PART_OF
from stackroles.kube.kinds import kind_of

Object = dict[str, Any]

SWITCHOVER_SECONDS: Final = 60.0
_PERIOD: Final = 1.0


class Clouds:
    """The clouds of one namespace."""

    def __init__(self, api: Api) -> None:
        self._api = api

    async def find(self, name: str) -> Found:
        """Return what there is of a cloud; parts that may not be read are named in it.

        Raises:
            CommandError: the cloud itself could not be read.
        """
        cloud = await self.cloud(name)
        unreadable: list[str] = []
        pods = await self._list("Pod", unreadable, f"{LABEL_PART_OF}={name}")
        pools = await self._list("ComputePool", unreadable)
        policies = await self._list("BackupPolicy", unreadable)
        restores = await self._list("Restore", unreadable)
        return Found(
            cloud=cloud,
            pods=pods,
            pools=pools,
            policies=policies,
            restores=restores,
            unreadable=unreadable,
        )

    async def switch_over(self, name: str, role: str, reason: str) -> Switchover:
        """Have another member of a role become active; return what became of it.

        Raises:
            CommandError: the role's members do not take turns, or no other one took over in time.
        """
        cloud = await self.cloud(name)
        roles = {item["name"]: item for item in (cloud.get("status") or {}).get("roles") or ()}
        if role not in roles:
            raise CommandError(f"{name} has no role {role}. It has: {', '.join(sorted(roles))}.")
        path = kind_of("Lease").path(self._api.namespace, f"{name}-{role}")
        model = roles[role].get("model")
        if model != ClusteringModel.ACTIVE_PASSIVE.value:
            raise CommandError(
                f"The members of {role} do not take turns: its model is {model}, and every member "
                "serves."
            )
        patch = {"metadata": {"annotations": {SWITCHOVER: reason}}}
        await self._api.ask("PATCH", path, f"the Lease of {role}", patch)
        deadline = asyncio.get_running_loop().time() + SWITCHOVER_SECONDS
        while asyncio.get_running_loop().time() < deadline:
            await asyncio.sleep(_PERIOD)
            lease = await self._api.ask("GET", path, f"the Lease of {role}") or {"metadata": {}}
            annotations = lease["metadata"].get("annotations", {})
            last = _completed(annotations.get(LAST_SWITCHOVER, ""))
            if SWITCHOVER not in annotations and last and last.reason == reason:
                return last
        withdrawn = {"metadata": {"annotations": {SWITCHOVER: None}}}
        await self._api.ask("PATCH", path, f"the Lease of {role}", withdrawn)
        raise CommandError(
            f"No other member of {role} became active within {SWITCHOVER_SECONDS:.0f} s, and the "
            f"request is withdrawn. "
            f"`kubectl stackroles status {name}` shows its members."
        )

    async def cloud(self, name: str) -> Object:
        """Return a CloudController.

        Raises:
            CommandError: it does not exist, or could not be read.
        """
        found = await self._api.get("CloudController", name)
        if found is not None:
            return found
        others = await self._api.ask(
            "GET", kind_of("CloudController").path(self._api.namespace), "CloudControllers"
        )
        if others is None:
            raise CommandError(
                "This cluster knows no CloudController: install the operator, or name another "
                "cluster by --context."
            )
        names = ", ".join(item["metadata"]["name"] for item in others["items"]) or "none"
        raise CommandError(
            f"CloudController {name} does not exist in namespace {self._api.namespace}. There are: "
            f"{names}. Name another namespace by -n."
        )

    async def _list(self, kind: str, unreadable: list[str], selector: str = "") -> list[Object]:
        try:
            return await self._api.list(kind, selector)
        except CommandError as error:
            unreadable.append(str(error))
            return []


def _completed(text: str) -> Switchover | None:
    """Return a change of the active member that has ended; None for none, or one under way."""
    try:
        last = wire.loads(Switchover, text)
    except wire.WireError:
        return None
    return last if last.target and last.duration is not None else None


def dump(view: CloudView | PointsView) -> str:
    """Return a view as JSON, by the names of its attributes."""
    return json.dumps(asdict(view), indent=2)


def stamp() -> str:
    """Return the time now, as it is shown."""
    return datetime.now(UTC).strftime("%H:%M:%S UTC")
