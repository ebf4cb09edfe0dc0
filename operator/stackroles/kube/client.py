"""One connection to the Kubernetes API: credentials, requests with dict bodies, raw JSON answers.

kubernetes.aio brings the credentials (service account or kubeconfig, TLS, token refresh) and the
HTTP client; its typed models stay unloaded, which saves about 35 MiB.
"""

import contextlib
import json
import time
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlencode

import aiohttp
from kubernetes.aio import config as kube_config
from kubernetes.aio.client.configuration import Configuration
from kubernetes.aio.client.rest import RESTClientObject

from stackroles import __version__
from stackroles.errors import Expired, OperatorError, Unavailable
from stackroles.kube.kinds import Kind
from stackroles.kube.translate import to_error

JSON: Final = "application/json"
APPLY_PATCH: Final = "application/apply-patch+yaml"
MERGE_PATCH: Final = "application/merge-patch+json"
USER_AGENT: Final = f"stackroles/{__version__}"

_NAMESPACE_FILE: Final = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")
_PAGE: Final = 500
# A page can be asked for as long as etcd keeps the list's version, five minutes by default.
_LIST_ATTEMPTS: Final = 3
_REQUEST_SECONDS: Final = 30.0

Observer = Callable[[str, int], None]
"""Called after each request with the method and the HTTP status (0: no answer)."""


async def load_credentials(
    kubeconfig: str | None = None, context: str | None = None
) -> Configuration:
    """Return how to reach the API: the pod's service account, else a kubeconfig.

    Args:
        kubeconfig: a path; without one the service account is tried first, then the default path.
        context: the kubeconfig's context, its current one by default.

    Raises:
        OperatorError: neither is there or the file cannot be used.
    """
    configuration = Configuration()
    try:
        if kubeconfig is None and _NAMESPACE_FILE.exists():
            kube_config.load_incluster_config(client_configuration=configuration)  # type: ignore[no-untyped-call]
        else:
            await kube_config.load_kube_config(  # type: ignore[no-untyped-call]
                config_file=kubeconfig, context=context, client_configuration=configuration
            )
    except (kube_config.ConfigException, OSError) as error:
        raise OperatorError(
            f"No way to reach Kubernetes: {error}. Run in a pod, or set KUBECONFIG to a valid file."
        ) from error
    return configuration


def context_namespace(kubeconfig: str | None = None, context: str | None = None) -> str | None:
    """Return the namespace that a kubeconfig's context names; None where it names none.

    Args:
        kubeconfig: a path, the default one without it.
        context: the context, the file's current one by default.
    """
    try:
        contexts, current = kube_config.list_kube_config_contexts(kubeconfig)  # type: ignore[no-untyped-call]
    except (kube_config.ConfigException, OSError):
        return None  # whoever connects by it says what is wrong
    found = next((c for c in contexts if c["name"] == context), None) if context else current
    namespace = (found or {}).get("context", {}).get("namespace")
    return str(namespace) if namespace else None


def own_namespace(default: str = "default") -> str:
    """Return the namespace of the pod this process runs in."""
    return _NAMESPACE_FILE.read_text().strip() if _NAMESPACE_FILE.exists() else default


def new_session(
    configuration: Configuration, response_class: type[aiohttp.ClientResponse] | None = None
) -> aiohttp.ClientSession:
    """Return an aiohttp session with these credentials and no limit of connections, for watches.

    Tokens are read anew for each request, since service account tokens rotate.
    """

    async def authenticate(request: Any, handler: Any) -> Any:
        request.headers.update(await auth_headers(configuration))
        return await handler(request)

    rest = RESTClientObject(configuration)
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0, ssl=rest.ssl_context),
        headers={"User-Agent": USER_AGENT},
        proxy=configuration.proxy,
        middlewares=(authenticate,),
        read_bufsize=2**18,
        response_class=response_class or aiohttp.ClientResponse,
    )


async def auth_headers(configuration: Configuration) -> dict[str, str]:
    """Return the Authorization header, empty when a client certificate identifies us."""
    settings = await configuration.auth_settings()
    token = settings.get("BearerToken")
    return {"Authorization": str(token["value"])} if token else {}


@dataclass(frozen=True)
class Page:
    """A complete list: the items with kind and apiVersion filled in, and the list's version."""

    items: list[dict[str, Any]]
    version: int


class KubeClient:
    """Requests to the Kubernetes API, with failures as errors of our own tree."""

    def __init__(self, configuration: Configuration, observer: Observer | None = None) -> None:
        self.configuration = configuration
        self._rest = RESTClientObject(configuration)
        self._observer = observer or (lambda _method, _status: None)
        self.last_answer = -float("inf")

    async def close(self) -> None:
        """Close the connections."""
        await self._rest.close()

    async def request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: Any = None,
        content_type: str = JSON,
        timeout: float = _REQUEST_SECONDS,  # noqa: ASYNC109 - the HTTP client owns the deadline
    ) -> Any:
        """Send one request and return the parsed JSON answer.

        Args:
            method: the HTTP method.
            path: the path, from `Kind.path`.
            query: query parameters.
            body: a dict, sent as JSON.
            content_type: which kind of patch the body is.
            timeout: seconds for the whole exchange.

        Raises:
            ClusterError: as errors.py says.
        """
        raw = await self.request_bytes(
            method, path, query=query, body=body, content_type=content_type, timeout=timeout
        )
        return json.loads(raw) if raw else {}

    async def request_bytes(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: Any = None,
        content_type: str = JSON,
        timeout: float = _REQUEST_SECONDS,  # noqa: ASYNC109
    ) -> bytes:
        """Send one request and return the answer as it is; see `request`."""
        what = f"{method} {path}"
        headers = {
            "Accept": "application/json, */*",
            "Content-Type": content_type,
            "User-Agent": USER_AGENT,
            **await auth_headers(self.configuration),
        }
        url = self.configuration.host.rstrip("/") + path + (f"?{urlencode(query)}" if query else "")
        status = 0
        try:
            response = await self._rest.request(  # type: ignore[no-untyped-call]
                method, url, headers=headers, body=body,
                _request_timeout=aiohttp.ClientTimeout(total=timeout),
            )  # fmt: skip
            data: bytes = await response.read()
            status = response.status
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise Unavailable(f"{what}: no answer ({error or type(error).__name__})") from error
        finally:
            self._observer(method, status)
        self.last_answer = time.monotonic()
        if status >= 400:
            raise to_error(what, status, response.headers, data)
        return data

    async def list(self, kind: Kind, namespace: str = "", selector: str | None = None) -> Page:
        """Return all objects of a kind, read in pages.

        Args:
            kind: the kind.
            namespace: one namespace, "" for all.
            selector: a label selector in place of the kind's own.

        Raises:
            Expired: pages were dropped by the API server before they were read, again and again.
        """
        for _ in range(_LIST_ATTEMPTS - 1):
            with contextlib.suppress(Expired):
                return await self._list(kind, namespace, selector)
        return await self._list(kind, namespace, selector)

    async def _list(self, kind: Kind, namespace: str, selector: str | None) -> Page:
        items: list[dict[str, Any]] = []
        version = 0
        async for answer in self._pages(kind, namespace, selector):
            version = int(answer["metadata"].get("resourceVersion") or 0)
            items.extend(
                {"apiVersion": kind.api_version, "kind": kind.name, **item}
                for item in answer.get("items") or ()
            )
        return Page(items, version)

    async def _pages(
        self, kind: Kind, namespace: str, selector: str | None
    ) -> AsyncIterator[dict[str, Any]]:
        labels = kind.selector if selector is None else selector
        query = {"limit": str(_PAGE)} | ({"labelSelector": labels} if labels else {})
        while True:
            answer = await self.request("GET", kind.path(namespace), query=query)
            yield answer
            token = answer["metadata"].get("continue")
            if not token:
                return
            query["continue"] = token
