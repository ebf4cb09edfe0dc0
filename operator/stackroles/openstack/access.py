"""Calls to one cloud: in threads, with deadlines, errors translated once, changes fenced."""

# ruff: noqa: PLC0415 - openstacksdk costs 40 MiB and a third of a second: only with a first call
import asyncio
import functools
import re
import time
from collections.abc import Callable
from contextvars import copy_context
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from typing_extensions import override

from stackroles import naming
from stackroles.config.cloud import Cloud
from stackroles.errors import CloudError, CloudUnavailable
from stackroles.openstack.hosts import Host, HostReader
from stackroles.roles.common import identity_url

if TYPE_CHECKING:
    from keystoneauth1.plugin import BaseAuthPlugin
    from keystoneauth1.session import Session
    from openstack.connection import Connection
    from requests import Response

Result = TypeVar("Result")
Fence = Callable[[], float]
"""Returns the seconds for which changes may still be sent; raises when none may."""

REQUEST_TIMEOUT = 15.0
DEADLINE = 60.0
USER_AGENT = "stackroles"
_READS = frozenset({"GET", "HEAD"})
_REQUEST_ID = re.compile(r"\s*\(?[Rr]equest[- ]ID:? *\S+|\s*req-[0-9a-f-]{36}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """An account in keystone, all in the default domain.

    Attributes:
        secret: name of the Secret that holds the password, for messages.
    """

    auth_url: str
    username: str
    password: str = field(repr=False)
    project: str
    region: str
    secret: str


def administrator(cloud: Cloud, password: str) -> Credentials:
    """Return the credentials of a cloud's administrator.

    Args:
        cloud: the cloud.
        password: the one that is in use.
    """
    return Credentials(
        auth_url=f"{identity_url(cloud)}/v3",
        username="admin",
        password=password,
        project="admin",
        region=cloud.spec.region,
        secret=naming.child(cloud.name, "admin"),
    )


def connect(credentials: Credentials, fence: Fence) -> "Connection":
    """Return a connection that talks to internal endpoints; nothing is sent yet.

    Args:
        credentials: the account.
        fence: asked before each request that changes something; such a request does not outlive it.
    """
    from keystoneauth1.identity import v3
    from openstack.connection import Connection

    auth = v3.Password(
        auth_url=credentials.auth_url,
        username=credentials.username,
        password=credentials.password,
        user_domain_id="default",
        project_name=credentials.project,
        project_domain_id="default",
    )
    session = _fenced(auth, fence)
    return Connection(session=session, region_name=credentials.region, interface="internal")


def _fenced(auth: "BaseAuthPlugin", fence: Fence) -> "Session":
    """Return a session whose changes pass a fence; asking for a token is none."""
    from keystoneauth1.session import Session

    class FencedSession(Session):
        """The class is made here because the SDK is imported late."""

        @override
        def request(self, url: str, method: str, *args: Any, **options: Any) -> "Response":
            if method.upper() not in _READS and options.get("authenticated") is not False:
                options["timeout"] = min(fence(), REQUEST_TIMEOUT)
            return super().request(url, method, *args, **options)

    agent = [(USER_AGENT, "")]
    return FencedSession(auth=auth, timeout=REQUEST_TIMEOUT, additional_user_agent=agent)


def accepted(credentials: Credentials) -> bool:
    """Return whether keystone accepts an account's password.

    Raises:
        CloudError: keystone did not answer, or not as keystone does.
    """
    from keystoneauth1.exceptions import Unauthorized

    try:
        connect(credentials, _nothing).session.get_token()
    except Unauthorized:
        return False
    return True


def _nothing() -> float:
    raise CloudError("Trying a password changes nothing")


def translate(error: Exception, what: str, secret: str) -> Exception:
    """Return an error of openstacksdk as one of ours; any other error as it is.

    Args:
        error: what was raised.
        what: what was being done, for the message.
        secret: name of the Secret with the administrator's password.
    """
    from keystoneauth1 import exceptions as auth
    from openstack import exceptions as sdk

    if isinstance(error, auth.Unauthorized) or getattr(error, "status_code", None) == 401:
        return CloudError(
            f"{what}: keystone refuses the administrator's password. Write the one that keystone "
            f"knows into Secret {secret}, key password; condition Reconciled of the "
            "CloudController says more."
        )
    if isinstance(error, auth.EndpointNotFound | auth.CatalogException):
        return CloudUnavailable(f"{what}: the catalogue does not have the service yet")
    status = getattr(error, "status_code", None) or getattr(error, "http_status", None)
    if isinstance(status, int) and status < 500:
        return CloudError(f"{what}: {_text(error)} (HTTP {status})")
    if isinstance(error, sdk.SDKException | auth.ClientException):
        return CloudUnavailable(f"{what}: {_text(error)}")
    return error


def _text(error: Exception) -> str:
    text = without_request_id(str(getattr(error, "details", None) or error)).strip()
    return text.splitlines()[0][:500] if text else repr(error)


def without_request_id(text: str) -> str:
    """Return a service's text without the id of the request, another one in each error."""
    return _REQUEST_ID.sub("", text)


class _Line:
    """A connection, and whether anybody still waits for what is done over it."""

    def __init__(self, fence: Fence) -> None:
        self._fence = fence
        self._open = True
        self.connection: Connection | None = None

    def fence(self) -> float:
        """Return for how many seconds changes may be sent.

        Raises:
            CloudUnavailable: the call was given up; what it would still do is not wanted any more.
            LeadershipLost: another replica may act by now.
        """
        if not self._open:
            raise CloudUnavailable("the call was given up before this change")
        return self._fence()

    def close(self) -> None:
        """Let no further change through."""
        self._open = False


class CloudAccess:
    """One cloud's APIs.

    Calls run one after the other in a thread: a connection is not made for more, and a cloud that
    is slow shall not take the operator's threads. A thread cannot be stopped: one whose call was
    given up or cancelled ends by its own time-outs and before its next change.
    """

    def __init__(
        self,
        credentials: Credentials,
        fence: Fence,
        threads: "set[asyncio.Future[Any]] | None" = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._credentials = credentials
        self._fence = fence
        self._threads = set() if threads is None else threads
        self._line = _Line(fence)
        self._one = asyncio.Lock()
        self._reading = asyncio.Lock()
        self._recent: tuple[float, tuple[Host, ...]] | None = None
        self._clock = clock
        self._hosts = HostReader()

    @property
    def credentials(self) -> Credentials:
        """The account that is used."""
        return self._credentials

    async def read_hosts(self, max_age: float) -> tuple[Host, ...]:
        """Return the cloud's compute hosts, read at most so long ago; callers share what is read.

        What was read before any other call counts for nothing: the call may have changed it.

        Args:
            max_age: seconds.

        Raises:
            CloudError: the cloud refused.
            CloudUnavailable: it did not answer, or not in time.
        """
        async with self._reading:
            if self._recent is None or self._clock() - self._recent[0] > max_age:
                at = self._clock()
                found = await self.call("Reading compute hosts", self._hosts.read)
                self._recent = (at, found)
            return self._recent[1]

    async def call(
        self,
        what: str,
        work: Callable[..., Result],
        *arguments: Any,
        deadline: float = DEADLINE,
    ) -> Result:
        """Return the result of `work(connection, *arguments)`.

        Args:
            what: what is done, for messages.
            work: a function of this package.
            arguments: its further arguments.
            deadline: seconds, waiting for calls before this one included.

        Raises:
            CloudError: the cloud refused.
            CloudUnavailable: it did not answer, or not in time.
            LeadershipLost: a change was held back, since another replica may act by now.
        """
        try:
            async with asyncio.timeout(deadline), self._one:
                line = self._line
                try:
                    return await asyncio.shield(self._start(line, what, work, arguments))
                except asyncio.CancelledError:
                    line.close()
                    self._line = _Line(self._fence)
                    raise
        except TimeoutError as error:
            raise CloudUnavailable(f"{what}: no answer within {deadline:.0f} s") from error
        finally:
            self._recent = None

    def _start(
        self, line: _Line, what: str, work: Callable[..., Result], arguments: tuple[Any, ...]
    ) -> "asyncio.Future[Result]":
        run = functools.partial(copy_context().run, self._work, line, what, work, arguments)
        future = asyncio.get_running_loop().run_in_executor(None, run)
        self._threads.add(future)
        future.add_done_callback(self._ended)
        return future

    def _ended(self, future: "asyncio.Future[Any]") -> None:
        self._threads.discard(future)
        if not future.cancelled():
            future.exception()  # of a call that was given up, nobody else asks

    def _work(
        self, line: _Line, what: str, work: Callable[..., Result], arguments: tuple[Any, ...]
    ) -> Result:
        try:
            connection = line.connection or connect(self._credentials, line.fence)
            line.connection = connection
            return work(connection, *arguments)
        except Exception as error:
            # Not kept, whatever went wrong: while a Service's address is not served yet, somebody
            # who is not this cloud may answer, and would get all later calls too.
            line.connection = None
            translated = translate(error, what, self._credentials.secret)
            if translated is error:
                raise
            raise translated from error
