"""Where something is reached: the one place that writes URLs and addresses with a port."""

from dataclasses import dataclass
from typing import Final

HTTP: Final = "http"
# Of OVSDB's connection methods (ovsdb(7)): "ssl" would be the encrypted one.
OVSDB: Final = "tcp"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A host and a port, and how to speak there.

    Attributes:
        scheme: the scheme of a URL, or OVSDB's connection method.
        host: a name or an address; of IPv6 without brackets.
        port: the port.
    """

    scheme: str
    host: str
    port: int

    @property
    def address(self) -> str:
        """Host and port, as in a URL."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"

    @property
    def remote(self) -> str:
        """The form that OVSDB's clients and servers take."""
        return f"{self.scheme}:{self.address}"

    def url(self, path: str = "") -> str:
        """Return the URL of a path, which is empty or begins with "/"."""
        return f"{self.scheme}://{self.address}{path}"
