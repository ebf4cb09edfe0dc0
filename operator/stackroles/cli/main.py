"""The command `kubectl-stackroles`, which kubectl finds as its plugin `stackroles`."""

import asyncio
import sys
from collections.abc import Coroutine
from enum import StrEnum
from typing import Annotated, Any, Final, TypeVar

import typer
from rich.console import Console, Group
from rich.live import Live

from stackroles.cli.cluster import Clouds, CommandError, connect, dump, stamp
from stackroles.cli.draw import draw
from stackroles.cli.view import view_of

T = TypeVar("T")

WATCH_SECONDS: Final = 2.0
# Of a pipe or a file, which have no width.
_PLAIN_WIDTH: Final = 160

app = typer.Typer(
    name="kubectl-stackroles",
    help="How clouds of this cluster stand.",
    no_args_is_help=True,
    add_completion=False,
)


class Output(StrEnum):
    """Forms of output."""

    TREE = "tree"
    JSON = "json"


Name = Annotated[str, typer.Argument(help="The CloudController.")]
Namespace = Annotated[
    str | None,
    typer.Option(
        "--namespace", "-n", help="Its namespace; by default the context's, or `openstack`."
    ),
]
Kubeconfig = Annotated[str | None, typer.Option(help="The kubeconfig file.")]
Context = Annotated[str | None, typer.Option(help="The kubeconfig's context.")]


def run(work: Coroutine[Any, Any, T]) -> T:
    """Run to the end; what a user can mend is one line on standard error and exit status 1."""
    try:
        return asyncio.run(work)
    except CommandError as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(1) from None
    except KeyboardInterrupt:
        raise typer.Exit(0) from None


def console() -> Console:
    """Return where trees are drawn; without a terminal lines are long and plain."""
    return Console(width=None if sys.stdout.isatty() else _PLAIN_WIDTH, highlight=False)


@app.command()
def status(
    name: Name,
    *,
    namespace: Namespace = None,
    output: Annotated[Output, typer.Option("--output", "-o", help="Form.")] = Output.TREE,
    watch: Annotated[bool, typer.Option("--watch", "-w", help="Go on until Ctrl-C.")] = False,
    kubeconfig: Kubeconfig = None,
    context: Context = None,
) -> None:
    """Draw a cloud: what is wrong, roles and members, pools and backups."""

    async def show() -> None:
        async with connect(kubeconfig, context, namespace) as clouds:
            if output is Output.JSON:
                await _print_json(clouds, name, again=watch)
            elif watch:
                await _follow(clouds, name)
            else:
                console().print(draw(view_of(await clouds.find(name))))

    run(show())


@app.command()
def switchover(
    name: Name,
    role: Annotated[str, typer.Argument(help="The role.")],
    reason: Annotated[str, typer.Option(help="Why; recorded with the change.")],
    *,
    namespace: Namespace = None,
    kubeconfig: Kubeconfig = None,
    context: Context = None,
) -> None:
    """Have another member of an ActivePassive role become active."""

    async def act() -> None:
        async with connect(kubeconfig, context, namespace) as clouds:
            last = await clouds.switch_over(name, role, reason)
        took = "" if last.duration is None else f", {last.duration:.1f} s without an active member"
        typer.echo(f"{role}: {last.source or 'nobody'} -> {last.target}{took}")

    run(act())


async def _print_json(clouds: Clouds, name: str, *, again: bool) -> None:
    while True:
        typer.echo(dump(view_of(await clouds.find(name))))
        if not again:
            return
        await asyncio.sleep(WATCH_SECONDS)


async def _follow(clouds: Clouds, name: str) -> None:
    """Draw again and again; what cannot be read for a while is named below the last tree."""
    tree = draw(view_of(await clouds.find(name)))
    with Live(tree, console=console(), auto_refresh=False) as live:
        while True:
            failure = ""
            try:
                tree = draw(view_of(await clouds.find(name)))
            except CommandError as error:
                failure = f" {error}"
            live.update(Group(tree, f"{stamp()}{failure}"), refresh=True)
            await asyncio.sleep(WATCH_SECONDS)


def main() -> None:
    """Run the command."""
    app()
