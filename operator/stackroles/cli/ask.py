"""How a command asks the API server; every failure is a sentence with what to do."""

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final, NoReturn

from stackroles.errors import (
    ClusterError,
    Conflict,
    Forbidden,
    NotFound,
    OperatorError,
    Rejected,
    Throttled,
    Unavailable,
)
from stackroles.kube.client import (
    JSON,
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
_UNAUTHORIZED: Final = 401
_VERBS: Final = {"GET": "read", "PATCH": "change", "POST": "make"}


class CommandError(OperatorError):
    """Why the command could not do what it was asked, with what to do."""


class Unanswered(CommandError):  # noqa: N818 - what happened
    """The API server did not answer, or is busy: it may with the next attempt."""


class Api:
    """The API server, and the namespace that is looked at."""

    def __init__(self, client: KubeClient, namespace: str) -> None:
        self._client = client
        self.namespace = namespace

    async def get(self, kind: str, name: str) -> Object | None:
        """Return an object, None where there is none.

        Raises:
            CommandError: it could not be read.
        """
        found = await self.ask("GET", kind_of(kind).path(self.namespace, name), f"{kind} {name}")
        return None if found is None else {"kind": kind, **found}

    async def list(self, kind: str, selector: str = "") -> list[Object]:
        """Return all objects of a kind; none where the cluster does not know the kind.

        Raises:
            CommandError: they could not be read.
        """
        query = {"labelSelector": selector} if selector else None
        path = kind_of(kind).path(self.namespace)
        found = await self.ask("GET", path, plural(kind), query=query)
        return [{"kind": kind, **item} for item in (found or {"items": ()})["items"]]

    async def create(self, body: Object) -> None:
        """Make an object.

        Raises:
            CommandError: it could not be made.
        """
        kind, name = body["kind"], body["metadata"]["name"]
        path = kind_of(kind).path(self.namespace)
        if await self.ask("POST", path, f"{kind} {name}", body) is None:
            raise CommandError(
                f"{kind} {name} could not be made: this cluster knows no {kind}, or has no "
                f"namespace {self.namespace}. Install the operator, or name another namespace by "
                "-n."
            )

    async def ask(
        self,
        method: str,
        path: str,
        what: str,
        body: Object | None = None,
        query: dict[str, str] | None = None,
    ) -> Object | None:
        """Return the answer, None where there is no such object or kind.

        Args:
            method: GET, PATCH or POST.
            path: what is asked for.
            what: the same, as a sentence names it.
            body: what is sent; a merge patch of PATCH.
            query: query parameters.

        Raises:
            Unanswered: there is no answer at this time.
            CommandError: it is refused.
        """
        try:
            found: Object = await self._client.request(
                method, path, query=query, body=body, timeout=REQUEST_SECONDS,
                content_type=MERGE_PATCH if method == "PATCH" else JSON,
            )  # fmt: skip
        except NotFound:
            return None
        except (ClusterError, ValueError) as error:
            self._refuse(_VERBS[method], what, error)
        return found

    def _refuse(self, verb: str, what: str, error: Exception) -> NoReturn:
        """Raise what a failed request means to the user."""
        match error:
            case Forbidden(status=status) if status == _UNAUTHORIZED:
                raise CommandError(
                    f"The API server does not know you: {error}. Log in again, or name another "
                    "user by --kubeconfig or --context."
                ) from error
            case Forbidden():
                raise CommandError(
                    f"You may not {verb} {what} in namespace {self.namespace}: {error}. Ask for "
                    "that right; docs/kubectl.md lists those that the command uses."
                ) from error
            case Unavailable():
                raise Unanswered(
                    f"The API server did not answer within {REQUEST_SECONDS:.0f} s: {error}. Check "
                    "--kubeconfig and --context."
                ) from error
            case Throttled():
                raise Unanswered(f"The API server is busy: {error}. Try again.") from error
            case Conflict() if verb == "make":
                raise CommandError(
                    f"{what} exists already in namespace {self.namespace}. Choose another name by "
                    "--name."
                ) from error
            case Rejected():
                raise CommandError(
                    f"The API server refuses {what}: {str(error).rstrip('.')}. Correct that, and "
                    "try again."
                ) from error
            case _:
                pass
        done = {"change": "changed", "make": "made"}.get(verb, verb)
        raise CommandError(
            f"{what} could not be {done}: {error}. Check that --kubeconfig and --context lead to "
            "a Kubernetes API server."
        ) from error


def plural(kind: str) -> str:
    """Return how a sentence names several objects of a kind."""
    return f"{kind[:-1]}ies" if kind.endswith("y") else f"{kind}s"


@asynccontextmanager
async def connect(
    kubeconfig: str | None, context: str | None, namespace: str | None
) -> AsyncIterator[Api]:
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
        yield Api(client, namespace)
    finally:
        await client.close()
