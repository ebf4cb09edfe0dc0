"""What the operator gives the agent that makes databases and accounts: its Accounts as a file."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """Where the database's writer answers, and the account that may set up others."""

    host: str
    port: int
    user: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """One service's account.

    Attributes:
        user: its name.
        databases: what it has all rights to.
        password: the name of the variable that holds its password.
    """

    user: str
    databases: tuple[str, ...]
    password: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Accounts:
    """All accounts that shall be there."""

    server: Server
    accounts: tuple[Account, ...]
