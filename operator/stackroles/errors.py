"""What can go wrong, as one tree.

OperatorError
    SpecInvalid               the resource must change; nothing is retried until it does
    NotReady                  something is not there yet; retry after a delay
    ClusterError              the Kubernetes API refused or failed
        Conflict              somebody else wrote first, or a precondition did not hold
        NotOwned              the name is another owner's
        NotFound
        Expired               the page of a list or the version of a watch is not kept any more
        Forbidden             a right is missing
        Rejected              the API server refused the object's content
        Throttled             429, with the server's own delay
        Unavailable           no answer, a time-out or a 5xx
    CloudError                an OpenStack API refused or failed
        CloudUnavailable      no answer, a time-out or a 5xx
    LeadershipLost            this process may no longer write
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from stackroles.api.v1alpha1.conditions import Reason


class OperatorError(Exception):
    """Base of everything this operator raises on purpose."""


class SpecInvalid(OperatorError):  # noqa: N818 - named for what it says in a condition
    """The resource asks for something that cannot be done.

    Attributes:
        reason: the reason that a condition of the resource gets.
        message: what is wrong, where, and what to change.
    """

    def __init__(self, reason: "Reason", message: str) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message


class NotReady(OperatorError):  # noqa: N818
    """A dependency is not there yet.

    Attributes:
        delay: seconds after which a new pass is worthwhile.
    """

    def __init__(self, message: str, delay: float = 5.0) -> None:
        super().__init__(message)
        self.delay = delay


class ClusterError(OperatorError):
    """The Kubernetes API refused or failed.

    Attributes:
        status: the HTTP status, 0 when there was no answer.
    """

    def __init__(self, message: str, status: int = 0) -> None:
        super().__init__(message)
        self.status = status


class Conflict(ClusterError):  # noqa: N818
    """A precondition (uid, resourceVersion) did not hold, or the name is taken."""


class NotOwned(ClusterError):  # noqa: N818
    """The name is another owner's: a user has to rename or delete one of the two."""


class NotFound(ClusterError):  # noqa: N818
    """The object or its kind does not exist."""


class Expired(ClusterError):  # noqa: N818
    """What a request went on from is not kept any more (410): begin anew."""


class Forbidden(ClusterError):  # noqa: N818
    """The ServiceAccount lacks a right."""


class Rejected(ClusterError):  # noqa: N818
    """The API server refused the content (400, 422).

    Attributes:
        fields: the paths of the fields that were refused, as far as the server named them.
    """

    def __init__(self, message: str, status: int = 422, fields: tuple[str, ...] = ()) -> None:
        super().__init__(message, status)
        self.fields = fields


class Throttled(ClusterError):  # noqa: N818
    """The API server asked to slow down.

    Attributes:
        delay: seconds, from Retry-After.
    """

    def __init__(self, message: str, delay: float) -> None:
        super().__init__(message, 429)
        self.delay = delay


class Unavailable(ClusterError):  # noqa: N818
    """No answer, a time-out or a 5xx."""


class CloudError(OperatorError):
    """An OpenStack API refused or failed."""


class CloudUnavailable(CloudError):  # noqa: N818
    """An OpenStack API did not answer."""


class LeadershipLost(OperatorError):  # noqa: N818
    """Another replica may hold the Lease: nothing may be written."""
