"""The command `kubectl-stackroles`, which kubectl finds as its plugin `stackroles`."""

import asyncio
from enum import StrEnum
from typing import Annotated, Final

import typer
from rich.console import Group
from rich.live import Live

from stackroles.cli import recovery_commands
from stackroles.cli.ask import CommandError, connect
from stackroles.cli.cluster import Clouds, dump, stamp
from stackroles.cli.draw import draw
from stackroles.cli.options import Context, Kubeconfig, Namespace, console, run
from stackroles.cli.view import view_of

WATCH_SECONDS: Final = 2.0

app = typer.Typer(
    name="kubectl-stackroles",
    help="How clouds of this cluster stand, and their backups.",
    no_args_is_help=True,
    add_completion=False,
)
app.command()(recovery_commands.backup)
app.command()(recovery_commands.restore)
app.command()(recovery_commands.recovery_points)


class Output(StrEnum):
    """Forms of output."""

    TREE = "tree"
    JSON = "json"


Name = Annotated[str, typer.Argument(help="The CloudController.")]


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
        async with connect(kubeconfig, context, namespace) as api:
            clouds = Clouds(api)
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
        async with connect(kubeconfig, context, namespace) as api:
            last = await Clouds(api).switch_over(name, role, reason)
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
