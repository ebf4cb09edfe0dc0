"""Calls to one cloud: in threads, with deadlines, errors translated once."""

# ruff: noqa: PLC0415 - openstacksdk costs 40 MiB and a third of a second: only with a first call
import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from stackroles.config.cloud import Cloud
from stackroles.errors import CloudError, CloudUnavailable
from stackroles.roles.common import identity_url

if TYPE_CHECKING:
    from openstack.connection import Connection

Result = TypeVar("Result")

REQUEST_TIMEOUT = 15.0
DEADLINE = 60.0
USER_AGENT = "stackroles"


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """An account in keystone, all in the default domain."""

    auth_url: str
    username: str
    password: str = field(repr=False)
    project: str
    region: str


def administrator(cloud: Cloud, password: str) -> Credentials:
    """Return the credentials of a cloud's administrator.

    Args:
        cloud: the cloud.
        password: key `password` of the Secret `<cloud>-admin`.
    """
    return Credentials(
        auth_url=f"{identity_url(cloud)}/v3",
        username="admin",
        password=password,
        project="admin",
        region=cloud.spec.region,
    )


def connect(credentials: Credentials) -> "Connection":
    """Return a connection that talks to internal endpoints; nothing is sent yet."""
    from keystoneauth1.identity import v3
    from keystoneauth1.session import Session
    from openstack.connection import Connection

    auth = v3.Password(
        auth_url=credentials.auth_url,
        username=credentials.username,
        password=credentials.password,
        user_domain_id="default",
        project_name=credentials.project,
        project_domain_id="default",
    )
    session = Session(auth=auth, timeout=REQUEST_TIMEOUT, additional_user_agent=[(USER_AGENT, "")])
    return Connection(session=session, region_name=credentials.region, interface="internal")


def accepted(credentials: Credentials) -> bool:
    """Return whether keystone accepts an account's password.

    Raises:
        CloudError: keystone did not answer, or not as keystone does.
    """
    from keystoneauth1.exceptions import Unauthorized

    try:
        connect(credentials).session.get_token()
    except Unauthorized:
        return False
    return True


def translate(error: Exception, what: str) -> Exception:
    """Return an error of openstacksdk as one of ours; any other error as it is.

    Args:
        error: what was raised.
        what: what was being done, for the message.
    """
    from keystoneauth1 import exceptions as auth
    from openstack import exceptions as sdk

    if isinstance(error, auth.Unauthorized) or getattr(error, "status_code", None) == 401:
        return CloudError(
            f"{what}: keystone refused the administrator's password. The Secret <cloud>-admin must "
            "hold the one that keystone knows; the step keystone/setup sets it."
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
    details = getattr(error, "details", None)
    return str(details or error).strip().splitlines()[0][:500] if str(error) else repr(error)


class CloudAccess:
    """One cloud's APIs.

    Calls run one after the other in a thread: a connection is not made for more, and a cloud that
    is slow shall not take the operator's threads.
    """

    def __init__(
        self,
        credentials: Credentials,
        connecting: Callable[[Credentials], "Connection"] = connect,
    ) -> None:
        self._credentials = credentials
        self._connecting = connecting
        self._connection: Connection | None = None
        self._one = asyncio.Lock()

    @property
    def credentials(self) -> Credentials:
        """The account that is used."""
        return self._credentials

    async def call(
        self,
        what: str,
        work: Callable[..., Result],
        *arguments: Any,
        deadline: float = DEADLINE,
    ) -> Result:
        """Return the result of `work(connection, *arguments)`.

        A call that outlives its deadline is left to end by its own time-outs, and its connection is
        not used again.

        Args:
            what: what is done, for messages.
            work: a function of this package.
            arguments: its further arguments.
            deadline: seconds, waiting for calls before this one included.

        Raises:
            CloudError: the cloud refused.
            CloudUnavailable: it did not answer, or not in time.
        """
        try:
            async with asyncio.timeout(deadline), self._one:
                return await asyncio.to_thread(self._work, what, work, arguments)
        except TimeoutError as error:
            self._connection = None
            raise CloudUnavailable(f"{what}: no answer within {deadline:.0f} s") from error

    def _work(self, what: str, work: Callable[..., Result], arguments: tuple[Any, ...]) -> Result:
        try:
            connection = self._connection or self._connecting(self._credentials)
            self._connection = connection
            return work(connection, *arguments)
        except Exception as error:
            translated = translate(error, what)
            if isinstance(translated, CloudUnavailable) or translated is error:
                self._connection = None
            if translated is error:
                raise
            raise translated from error
