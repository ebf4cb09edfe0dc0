"""Command line of the lab."""

from __future__ import annotations

import os
import shlex
import sys
from typing import Annotated

import typer

from lab import engine
from lab.errors import LabError
from lab.paths import Paths

app = typer.Typer(no_args_is_help=True, add_completion=False, help="The development cluster of stackroles.")
docker_app = typer.Typer(no_args_is_help=True, help="The docker engine: one that runs, else the project's own.")
app.add_typer(docker_app, name="docker")

Name = Annotated[str, typer.Option("--name", help="Name of the cluster.")]


@docker_app.command("up")
def docker_up() -> None:
    """Make sure that a docker engine answers and print its address."""
    typer.echo(engine.up(Paths.from_environment()).host)


@docker_app.command("down")
def docker_down() -> None:
    """Stop the project's own docker engine; one that the machine runs is left alone."""
    stopped = engine.down(Paths.from_environment())
    typer.echo("stopped" if stopped else "the project's own docker engine does not run")


@app.command()
def env(name: Name = "stackroles") -> None:
    """Print shell exports (DOCKER_HOST, KUBECONFIG, PATH) for `eval`."""
    paths = Paths.from_environment()
    found = engine.find(paths)
    values = found.env if found else {}
    values["KUBECONFIG"] = str(paths.cluster(name) / "kubeconfig")
    values["PATH"] = os.environ.get("PATH", "")
    for key, value in values.items():
        typer.echo(f"export {key}={shlex.quote(value)}")


def main() -> None:
    """Run the command line; a user's error is a message and a status, never a traceback."""
    try:
        app()
    except LabError as error:
        typer.echo(f"error: {error.render()}", err=True)
        sys.exit(1)
