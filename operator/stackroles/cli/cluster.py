"""What the command reads and writes of a cluster; every failure is a sentence with what to do."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any, Final

from stackroles.agents import wire
from stackroles.agents.gate.protocol import LAST_SWITCHOVER, SWITCHOVER, Switchover
from stackroles.api.v1alpha1.common import ClusteringModel
from stackroles.cli.view import CloudView, Found
from stackroles.constants import LABEL_PART_OF
from stackroles.errors import ClusterError, Forbidden, NotFound, OperatorError, Unavailable
from stackroles.kube.client import (
    MERGE_PATCH,
    KubeClient,
    context_namespace,
    load_credentials,
)
from stackroles.kube.kinds import kind_of

Object = dict[str, Any]

# As the chart and the samples have it.
NAMESPACE: Final = "openstack"
REQUEST_SECONDS: Final = 10.0
SWITCHOVER_SECONDS: Final = 60.0
_PERIOD: Final = 1.0
_UNAUTHORIZED: Final = 401


class CommandError(OperatorError):
    """Why the command could not do what it was asked, with what to do."""


class Clouds:
    """The clouds of one namespace."""

    def __init__(self, client: KubeClient, namespace: str) -> None:
        self._client = client
        self.namespace = namespace

    async def find(self, name: str) -> Found:
        """Return what there is of a cloud; parts that may not be read are named in it.

        Raises:
            CommandError: the cloud itself could not be read.
        """
        cloud = await self._cloud(name)
        unreadable: list[str] = []
        pods = await self._list("Pod", unreadable, f"{LABEL_PART_OF}={name}")
        pools = await self._list("ComputePool", unreadable)
        policies = await self._list("BackupPolicy", unreadable)
        return Found(cloud=cloud, pods=pods, pools=pools, policies=policies, unreadable=unreadable)

    async def switch_over(self, name: str, role: str, reason: str) -> Switchover:
        """Have another member of a role become active; return what became of it.

        Raises:
            CommandError: the role's members do not take turns, or no other one took over in time.
        """
        cloud = await self._cloud(name)
        roles = {item["name"]: item for item in (cloud.get("status") or {}).get("roles") or ()}
        if role not in roles:
            raise CommandError(f"{name} has no role {role}. It has: {', '.join(sorted(roles))}.")
        path = kind_of("Lease").path(self.namespace, f"{name}-{role}")
        model = roles[role].get("model")
        if model != ClusteringModel.ACTIVE_PASSIVE.value:
            raise CommandError(
                f"The members of {role} do not take turns: its model is {model}, and every member "
                "serves."
            )
        patch = {"metadata": {"annotations": {SWITCHOVER: reason}}}
        await self._ask("PATCH", path, f"the Lease of {role}", patch)
        deadline = asyncio.get_running_loop().time() + SWITCHOVER_SECONDS
        while asyncio.get_running_loop().time() < deadline:
            await asyncio.sleep(_PERIOD)
            lease = await self._ask("GET", path, f"the Lease of {role}") or {"metadata": {}}
            annotations = lease["metadata"].get("annotations", {})
            last = _completed(annotations.get(LAST_SWITCHOVER, ""))
            if SWITCHOVER not in annotations and last and last.reason == reason:
                return last
        withdrawn = {"metadata": {"annotations": {SWITCHOVER: None}}}
        await self._ask("PATCH", path, f"the Lease of {role}", withdrawn)
        raise CommandError(
            f"No other member of {role} became active within {SWITCHOVER_SECONDS:.0f} s, and the "
            f"request is withdrawn. "
            f"`kubectl stackroles status {name}` shows its members."
        )

    async def _cloud(self, name: str) -> Object:
        path = kind_of("CloudController").path(self.namespace, name)
        found = await self._ask("GET", path, f"CloudController {name}")
        if found is not None:
            return {"kind": "CloudController", **found}
        others = await self._ask(
            "GET", kind_of("CloudController").path(self.namespace), "CloudControllers"
        )
        if others is None:
            raise CommandError(
                "This cluster knows no CloudController: install the operator, or name another "
                "cluster by --context."
            )
        names = ", ".join(item["metadata"]["name"] for item in others["items"]) or "none"
        raise CommandError(
            f"CloudController {name} does not exist in namespace {self.namespace}. There are: "
            f"{names}. Name another namespace by -n."
        )

    async def _list(self, kind: str, unreadable: list[str], selector: str = "") -> list[Object]:
        path, what = kind_of(kind).path(self.namespace), f"{kind}s"
        query = {"labelSelector": selector} if selector else None
        try:
            found = await self._ask("GET", path, what, query=query)
        except CommandError as error:
            unreadable.append(str(error))
            return []
        return [{"kind": kind, **item} for item in (found or {"items": ()})["items"]]

    async def _ask(
        self,
        method: str,
        path: str,
        what: str,
        body: Object | None = None,
        query: dict[str, str] | None = None,
    ) -> Object | None:
        """Return the answer, None where there is no such object or kind."""
        try:
            found: Object = await self._client.request(
                method, path, query=query, body=body, content_type=MERGE_PATCH,
                timeout=REQUEST_SECONDS,
            )  # fmt: skip
        except NotFound:
            return None
        except Forbidden as error:
            if error.status == _UNAUTHORIZED:
                raise CommandError(
                    f"The API server does not know you: {error}. Log in again, or name another "
                    "user by --kubeconfig or --context."
                ) from error
            verb = {"GET": "read", "PATCH": "change"}[method]
            raise CommandError(
                f"You may not {verb} {what} in namespace {self.namespace}: {error}. Ask for "
                "that right; docs/kubectl.md lists those that the command uses."
            ) from error
        except Unavailable as error:
            raise CommandError(
                f"The API server did not answer within {REQUEST_SECONDS:.0f} s: {error}. Check "
                "--kubeconfig and --context."
            ) from error
        except (ClusterError, ValueError) as error:
            raise CommandError(
                f"{what} could not be read: {error}. Check that --kubeconfig and --context lead to "
                "a Kubernetes API server."
            ) from error
        return found


def _completed(text: str) -> Switchover | None:
    """Return a change of the active member that has ended; None for none, or one under way."""
    try:
        last = wire.loads(Switchover, text)
    except wire.WireError:
        return None
    return last if last.target and last.duration is not None else None


@asynccontextmanager
async def connect(
    kubeconfig: str | None, context: str | None, namespace: str | None
) -> AsyncIterator[Clouds]:
    """Open a connection by a kubeconfig.

    Args:
        kubeconfig: a path, the default one without it.
        context: the kubeconfig's context, its current one by default.
        namespace: of the clouds; the context's by default, else `NAMESPACE`.

    Raises:
        CommandError: there is none that can be used.
    """
    # Its warning of a file that is not there would stand beside our own sentence.
    logging.getLogger("kubernetes").setLevel(logging.ERROR)
    try:
        client = KubeClient(await load_credentials(kubeconfig, context))
        namespace = namespace or context_namespace(kubeconfig, context) or NAMESPACE
    except OperatorError as error:
        raise CommandError(f"{error} A file is named by --kubeconfig.") from error
    # A file that is no kubeconfig fails in the reader of YAML or in whoever uses its parts.
    except Exception as error:
        what = f"The kubeconfig cannot be used ({type(error).__name__})"
        raise CommandError(f"{what}. Name another file by --kubeconfig.") from error
    try:
        yield Clouds(client, namespace)
    finally:
        await client.close()


def dump(view: CloudView) -> str:
    """Return a view as JSON, by the names of its attributes."""
    return json.dumps(asdict(view), indent=2)


def stamp() -> str:
    """Return the time now, as it is shown."""
    return datetime.now(UTC).strftime("%H:%M:%S UTC")
