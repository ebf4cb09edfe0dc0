"""A pod's access to the Kubernetes API: get, update and watch by its ServiceAccount.

Every answer is bounded in time and size. The address is that of the environment, no name: access
does not depend on the cluster's DNS. Standard library only: it runs inside role pods.
"""

import contextlib
import http.client
import json
import socket
import ssl
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlencode

from stackroles.agents.peer_http import within
from stackroles.agents.text import shorten

Object = dict[str, Any]

# Where the kubelet mounts token, certificate and namespace of the pod's ServiceAccount.
ACCOUNT: Final = Path("/var/run/secrets/kubernetes.io/serviceaccount")
GONE: Final = 410
CONFLICT: Final = 409
# The largest answer, and the largest line of a watch; etcd takes objects of 1.5 MiB at most.
LARGEST: Final = 4 * 1024 * 1024
# A server ends a watch in time; beyond that it is gone.
_WATCH_GRACE: Final = 10.0


class ApiError(OSError):
    """The API server refused.

    Attributes:
        status: HTTP's, such as 409 for a conflict.
    """

    def __init__(self, status: int, message: str) -> None:
        super().__init__(f"the Kubernetes API answered {status}: {message}")
        self.status = status


@dataclass(frozen=True, slots=True)
class Event:
    """One event of a watch.

    Attributes:
        type: ADDED, MODIFIED, DELETED or BOOKMARK.
        object: what it is about; of a bookmark only `metadata.resourceVersion` is set.
    """

    type: str
    object: Object

    @property
    def version(self) -> str:
        """The resourceVersion from which a watch goes on after this event."""
        return str(self.object.get("metadata", {}).get("resourceVersion", ""))


class KubeApi:
    """The Kubernetes API, over one connection that stays open; for one thread at a time."""

    def __init__(self, host: str, port: int, account: Path = ACCOUNT) -> None:
        """Take where it is.

        Args:
            host: its address, an IPv6 one without brackets.
            port: its port.
            account: where token and certificate are.
        """
        self._host, self._port, self._account = host, port, account
        self._connection: http.client.HTTPConnection | None = None

    @classmethod
    def in_pod(cls, environment: Mapping[str, str], account: Path = ACCOUNT) -> "KubeApi":
        """Return the API as the kubelet names it in a pod's environment.

        Raises:
            KeyError: this is no pod.
        """
        host = environment["KUBERNETES_SERVICE_HOST"]
        return cls(host, int(environment["KUBERNETES_SERVICE_PORT"]), account)

    def get(self, path: str, *, seconds: float, **query: str) -> Object:
        """Return an object or a list.

        Args:
            path: such as /apis/coordination.k8s.io/v1/namespaces/a/leases/b.
            seconds: within which the whole answer must be there.
            query: parameters of the request, such as labelSelector.

        Raises:
            ApiError: the server refused.
            OSError: there was no whole answer in time, or it is no JSON object.
        """
        return self._request("GET", _with(path, query), None, seconds)

    def update(self, path: str, body: Object, *, seconds: float) -> Object:
        """Replace an object and return what it is then.

        Args:
            path: the object's.
            body: all of it; its resourceVersion makes sure that nobody wrote meanwhile.
            seconds: within which the whole answer must be there.

        Raises:
            ApiError: the server refused; CONFLICT when somebody wrote meanwhile.
            OSError: there was no whole answer in time; it may have been written all the same.
        """
        return self._request("PUT", path, json.dumps(body).encode(), seconds)

    def watch(self, path: str, version: str, *, seconds: int, **query: str) -> Iterator[Event]:
        """Yield the changes after a resourceVersion, until the server ends the watch.

        The watch has a connection of its own, which is closed with the generator.

        Args:
            path: of a list.
            version: the list's resourceVersion, or `Event.version` of the last event.
            seconds: after which the server ends it; the caller goes on with another.
            query: parameters of the request, such as labelSelector.

        Raises:
            ApiError: the server refused; GONE when the version is too old: list again.
            OSError: the connection broke, or the server fell silent.
        """
        asked = {
            **query,
            "watch": "true",
            "allowWatchBookmarks": "true",
            "resourceVersion": version,
            "timeoutSeconds": str(seconds),
        }
        limit = seconds + _WATCH_GRACE
        connection = self._connect(limit)
        try:
            with within(connection.sock, limit):
                connection.request("GET", _with(path, asked), headers=self._headers())
                response = connection.getresponse()
                if response.status != http.client.OK:
                    raise _refusal(response.status, response.read(LARGEST))
                while line := response.readline(LARGEST + 1):
                    yield _event(line)
        finally:
            connection.close()

    def close(self) -> None:
        """Close the connection; the next request opens another."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _request(self, method: str, path: str, body: bytes | None, seconds: float) -> Object:
        end = time.monotonic() + seconds
        if self._connection is not None:
            # The server closes connections that were idle for long, or its process was replaced.
            # Repeating is safe: an update that was made all the same is a conflict then.
            with contextlib.suppress(ConnectionError, http.client.HTTPException, ssl.SSLError):
                return self._exchange(method, path, body, end)
            self.close()
        self._connection = self._connect(end - time.monotonic())
        try:
            return self._exchange(method, path, body, end)
        except http.client.HTTPException as error:
            raise OSError(f"no HTTP: {error}") from error

    def _exchange(self, method: str, path: str, body: bytes | None, end: float) -> Object:
        connection = self._connection
        assert connection is not None  # noqa: S101 - the caller has opened it
        whole = False
        try:
            left = end - time.monotonic()
            connection.sock.settimeout(max(left, 0.01))
            with within(connection.sock, left):
                connection.request(method, path, body, self._headers())
                response = connection.getresponse()
                answer = response.read(LARGEST + 1)
            whole = len(answer) <= LARGEST and not response.will_close
        finally:
            if not whole:
                self.close()
        if not http.client.OK <= response.status < http.client.MULTIPLE_CHOICES:
            raise _refusal(response.status, answer)
        return _object(answer)

    def _connect(self, seconds: float) -> http.client.HTTPConnection:
        end = time.monotonic() + seconds
        connection = http.client.HTTPConnection(self._host, self._port, timeout=seconds)
        try:
            # Read for each connection: the certificate is replaced while pods live.
            context = ssl.create_default_context(cafile=str(self._account / "ca.crt"))
            address = (self._host, self._port)
            peer = socket.create_connection(address, timeout=max(seconds, 0.01))
            secure = context.wrap_socket(
                peer, server_hostname=self._host, do_handshake_on_connect=False
            )
            connection.sock = secure
            with within(secure, end - time.monotonic()):
                secure.do_handshake()
        except BaseException:
            connection.close()
            raise
        return connection

    def _headers(self) -> dict[str, str]:
        # The kubelet replaces the token before it expires.
        token = (self._account / "token").read_text().strip()
        return {
            "Authorization": f"Bearer {token}",
            "Accept": "application/json",
            "Content-Type": "application/json",
        }


def _with(path: str, query: Mapping[str, str]) -> str:
    return f"{path}?{urlencode(query)}" if query else path


def _object(text: bytes) -> Object:
    if len(text) > LARGEST:
        raise OSError(f"the answer has more than {LARGEST} bytes")
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise OSError(f"the answer is not JSON: {error}") from error
    if not isinstance(found, dict):
        raise OSError("the answer is no JSON object")
    return found


def _event(line: bytes) -> Event:
    """Return the event in a line of a watch.

    Raises:
        ApiError: it says that the watch is over, such as for a version that is too old.
        OSError: it is none.
    """
    found = _object(line)
    kind, about = found.get("type"), found.get("object")
    if not isinstance(kind, str) or not isinstance(about, dict):
        raise OSError("a line of the watch is no event")
    if kind == "ERROR":
        raise ApiError(int(about.get("code") or 500), shorten(str(about.get("message")), 300))
    return Event(kind, about)


def _refusal(status: int, body: bytes) -> ApiError:
    try:
        message = str(_object(body).get("message", ""))
    except OSError:
        message = body[:300].decode(errors="replace")
    return ApiError(status, shorten(message, 300))
