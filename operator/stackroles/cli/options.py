"""What all commands have in common: their options, how they end, and where they draw."""

import asyncio
import sys
from collections.abc import Coroutine
from typing import Annotated, Any, Final, TypeVar

import typer
from rich.console import Console

from stackroles.cli.ask import CommandError

T = TypeVar("T")

# Of a pipe or a file, which have no width.
PLAIN_WIDTH: Final = 160
# As a shell reports a program that Ctrl-C ended.
INTERRUPTED: Final = 130

Namespace = Annotated[
    str | None,
    typer.Option(
        "--namespace", "-n", help="Its namespace; by default the context's, or `openstack`."
    ),
]
Kubeconfig = Annotated[str | None, typer.Option(help="The kubeconfig file.")]
Context = Annotated[str | None, typer.Option(help="The kubeconfig's context.")]

# Of a recovery set that is named without its Backup.
PolicyOfSet = Annotated[
    str | None,
    typer.Option(
        "--policy",
        help="In place of a Backup: the BackupPolicy under which the set was taken.",
    ),
]
NameOfSet = Annotated[
    str | None,
    typer.Option("--set", help="With --policy: the set; by default its newest whole one."),
]
RepositoryOfSet = Annotated[
    str | None,
    typer.Option(
        "--repository",
        help="With --policy: where the set is, s3:https://HOST/BUCKET/PREFIX or claim:NAME; a "
        "cloud that is gone is made anew.",
    ),
]
EncryptionSecret = Annotated[
    str | None, typer.Option(help="The Secret whose key `password` opens the repository.")
]
CredentialsSecret = Annotated[
    str | None, typer.Option(help="The Secret with accessKeyId and secretAccessKey of a bucket.")
]
CaSecret = Annotated[
    str | None, typer.Option(help="The Secret with ca.crt of the bucket's server.")
]
PointInTime = Annotated[
    str | None,
    typer.Option(
        "--at",
        help="A time after the set, such as 2026-11-28T14:05:00Z: what was written until then "
        "comes back too, where the policy ships binary logs; `recovery-points` shows the window.",
    ),
]
Region = Annotated[str | None, typer.Option(help="The region of the bucket.")]


def run(work: Coroutine[Any, Any, T], *, interrupted: int = 0) -> T:
    """Run to the end; what a user can mend is one line on standard error and exit status 1.

    Args:
        work: what is run.
        interrupted: the exit status after Ctrl-C.
    """
    try:
        return asyncio.run(work)
    except CommandError as error:
        raise fail(str(error)) from None
    except KeyboardInterrupt:
        raise typer.Exit(interrupted) from None


def fail(message: str) -> typer.Exit:
    """Say what is wrong in one line; return what ends the command."""
    typer.echo(f"error: {' '.join(message.split())}", err=True)
    return typer.Exit(1)


def can_ask() -> bool:
    """Return whether there is a person to ask."""
    return sys.stdin.isatty() and sys.stdout.isatty()


def console(width: int = PLAIN_WIDTH) -> Console:
    """Return where is drawn; without a terminal lines are plain, and as long as `width`."""
    return Console(width=None if sys.stdout.isatty() else width, highlight=False)
