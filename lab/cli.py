"""Command line of the lab."""

from __future__ import annotations

import json
import os
import shlex
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Annotated

import typer
from rich.console import Console

from lab import (
    binaries,
    budgets,
    building,
    cleaning,
    client,
    cluster,
    engine,
    images,
    install,
    mutants,
    requirements,
    rotation,
    slices,
    steps,
    usage,
)
from lab.errors import LAB, LabError
from lab.paths import Paths

app = typer.Typer(
    no_args_is_help=True, add_completion=False, help="The development cluster of stackroles."
)
docker_app = typer.Typer(
    no_args_is_help=True, help="The docker engine: one that runs, else the project's own."
)
cluster_app = typer.Typer(
    no_args_is_help=True, help="Three nodes with an underlay network and an audit log."
)
app.add_typer(docker_app, name="docker")
images_app = typer.Typer(no_args_is_help=True, help="The operator's image and the role images.")
app.add_typer(cluster_app, name="cluster")
app.add_typer(images_app, name="images")

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


@cluster_app.command("up")
def cluster_up(name: Name = "stackroles") -> None:
    """Bring the cluster up, or complete what is missing of it."""
    paths = Paths.from_environment()
    notify = _timed()
    made = cluster.up(paths, engine.up(paths), name, notify)
    notify(f"cluster {name} is ready: export KUBECONFIG={made.kubeconfig}")


@cluster_app.command("down")
def cluster_down(name: Name = "stackroles") -> None:
    """Remove the cluster; its volumes are gone with it."""
    paths = Paths.from_environment()
    gone = cluster.down(paths, engine.get(paths), name)
    typer.echo(f"cluster {name} removed" if gone else f"there is no cluster {name}")


@images_app.command("build")
def images_build() -> None:
    """Build the operator's image and the role images that are not there yet."""
    paths = Paths.from_environment()
    planned = images.build(paths, engine.up(paths), _timed())
    for item in planned.values():
        typer.echo(item.reference)


@images_app.command("load")
def images_load(name: Name = "stackroles") -> None:
    """Give the running cluster's nodes the built images that they do not have."""
    paths = Paths.from_environment()
    found = cluster.describe(paths, engine.get(paths), name)
    notify = _timed()
    loaded = cluster.load_images(found, images.built(found.engine), notify)
    notify(f"{len(loaded)} images loaded")


@images_app.command("tags")
def images_tags() -> None:
    """Print the tag of every role image as JSON, the form the chart takes."""
    typer.echo(json.dumps(images.tags(images.plan())))


@app.command()
def clean(
    *,
    caches: Annotated[
        bool, typer.Option("--caches", help="Also remove everything that was built.")
    ] = False,
) -> None:
    """Stop and remove what the project started: clusters, networks, its own docker engine."""
    for line in cleaning.clean(Paths.from_environment(), caches=caches):
        typer.echo(line)


@app.command()
def build() -> None:
    """Build what is missing: programs, node image, role images, the nodes' image store."""
    building.everything(Paths.from_environment(), _timed())


@app.command("demo")
def run_demo(name: Name = "stackroles") -> None:
    """Do the main job: from what this machine has to a cloud with a guest and a backup."""
    from lab import demo  # noqa: PLC0415 - it brings the OpenStack client, which nothing else needs

    console = Console()
    job = demo.Demo(Paths.from_environment(), name)
    steps = [*demo.build_phases(job), *demo.bring_up_phases(job), *demo.use_phases(job)]
    demo.report(job, demo.run(job, steps, console), console)
    typer.echo(usage.line(job.paths))


@app.command()
def upgrade(name: Name = "stackroles") -> None:
    """Give the running operator and its roles this checkout: images, then the chart."""
    paths = Paths.from_environment()
    notify = _timed()
    planned = images.build(paths, engine.up(paths), notify)
    found = cluster.describe(paths, engine.get(paths), name)
    cluster.load_images(found, images.built(found.engine), notify)
    install.chart(install.site(found), planned, notify)
    notify("the operator is upgraded; it rolls the roles whose images or agents changed")


@app.command(
    "openstack",
    context_settings={"allow_interspersed_args": False, "ignore_unknown_options": True},
)
def run_openstack(
    arguments: Annotated[list[str], typer.Argument(help="What follows `openstack`.")],
    name: Name = "stackroles",
    cloud: Annotated[str, typer.Option("--cloud", help="Name of the CloudController.")] = "demo",
) -> None:
    """Run OpenStack's command line client in the cluster, as the cloud's administrator."""
    paths = Paths.from_environment()
    found = cluster.describe(paths, engine.get(paths), name)
    status, text = client.run(install.kubectl(found, install.NAMESPACE), cloud, arguments)
    typer.echo(text, nl=False)
    raise typer.Exit(status)


@app.command("test")
def run_tests(
    chosen: Annotated[list[str] | None, typer.Option("--slice", help="Run only this one.")] = None,
) -> None:
    """Run the test slices, print what each took of its budget, and fail when one failed."""
    known = slices.every()
    unknown = set(chosen or ()) - {item.name for item in known}
    if unknown:
        raise LabError(
            f"no slice {', '.join(sorted(unknown))}",
            remedy=f"choose of {', '.join(item.name for item in known)}",
        )
    wanted = [item for item in known if not chosen or item.name in chosen]
    paths = Paths.from_environment()
    outcomes = slices.run(wanted, typer.echo)
    good = _good(outcomes)
    try:
        if not chosen:
            areas, case = slices.rotated()
            runs = rotation.last_runs(rotation.RECORD.read_text())
            typer.echo(rotation.left_out((*areas, case), runs))
        if good and not chosen:
            cluster.down(paths, engine.get(paths), steps.CLUSTER)
        elif slices.uses_cluster(wanted):
            remove = f"{LAB} cluster down --name {steps.CLUSTER}"
            typer.echo(f"the cluster {steps.CLUSTER} stays up to look at; `{remove}` removes it")
        typer.echo(usage.line(paths))
    finally:
        _report(outcomes)
    if not good:
        raise typer.Exit(1)


@app.command("long")
def run_long(
    cases: Annotated[list[str] | None, typer.Option("--case", help="Run only this one.")] = None,
) -> None:
    """Run areas and long cases on the cluster that is up and write their results into the docs."""
    known = rotation.areas() | rotation.cases()
    unknown = set(cases or ()) - known.keys()
    if unknown:
        raise LabError(
            f"no case {', '.join(sorted(unknown))}", remedy=f"choose of {', '.join(known)}"
        )
    commit = rotation.shown_commit()
    outcomes = []
    for case in cases or known:
        (outcome,) = slices.run([slices.asked(case)], typer.echo)
        ended = rotation.LastRun(
            f"{datetime.now(UTC):%Y-%m-%d}", commit, outcome.seconds or 0, outcome.tally.render()
        )
        text = rotation.RECORD.read_text()
        rotation.RECORD.write_text(rotation.recorded(text, case, known[case], ended))
        outcomes.append(replace(outcome, name=case))
    _report(outcomes)
    if not _good(outcomes):
        raise typer.Exit(1)


@app.command()
def soak(
    name: Name = "stackroles",
    seed: Annotated[int, typer.Option("--seed", help="Draws victims and order.")] = 1,
    minutes: Annotated[
        float | None, typer.Option("--minutes", help="Begin no cycle after so many.")
    ] = None,
    cycles: Annotated[int | None, typer.Option("--cycles", help="Run at most so many.")] = None,
    *,
    report_only: Annotated[
        bool, typer.Option("--report-only", help="Write docs/reliability.md and run nothing.")
    ] = False,
) -> None:
    """Run the fault campaign, or what is left of it, on the cluster and write its report."""
    from lab.soak import command  # noqa: PLC0415 - it needs the operator's and the tests' modules

    if report_only:
        command.write_report()
        return
    paths = Paths.from_environment()
    target = install.site(cluster.describe(paths, engine.get(paths), name))
    try:
        command.run(target, seed=seed, notify=_timed(), minutes=minutes, cycles=cycles)
    finally:
        command.write_report()


def _good(outcomes: Sequence[budgets.Outcome]) -> bool:
    """Return whether every slice was good, and all of them kept within their limit."""
    return budgets.good(outcomes, budgets.load().of(outcomes))


def _report(outcomes: Sequence[budgets.Outcome]) -> None:
    """Print the table, the counts and what was not good: a CI may show nothing but the end."""
    limit = budgets.load().of(outcomes)
    typer.echo(f"\n{budgets.table(outcomes, limit)}\n")
    typer.echo(sum((item.tally for item in outcomes), budgets.Tally()).render())
    for line in budgets.explain(outcomes, limit):
        typer.echo(line)


@app.command("gofmt")
def check_go() -> None:
    """Check the form of the lab's own Go programs."""
    binaries.check_format()


@app.command("requirements")
def compile_requirements() -> None:
    """Write the requirement files of development anew from pyproject.toml."""
    requirements.compile_all()


@app.command("mutants")
def test_mutants() -> None:
    """Test the tests of the database's decisions by mutants of these; mutmut must be installed."""
    scores = mutants.run()
    typer.echo(mutants.table(scores))
    for item in scores:
        for name in item.left:
            typer.echo(f"not noticed: {name}\n{mutants.change(name)}")
    found = mutants.percent(scores)
    typer.echo(f"{found:.1f} % found, at least {mutants.LEAST_PERCENT} % wanted")
    if found < mutants.LEAST_PERCENT:
        raise typer.Exit(1)


@app.command("bin")
def bin_() -> None:
    """Build what is missing of the programs and print the folders they are in."""
    for folder in binaries.every(Paths.from_environment()):
        typer.echo(folder)


@app.command()
def env(name: Name = "stackroles") -> None:
    """Print shell exports (DOCKER_HOST, KUBECONFIG, PATH) for `eval`."""
    paths = Paths.from_environment()
    found = engine.find(paths)
    values = found.env if found else {}
    values["KUBECONFIG"] = str(paths.cluster(name) / "kubeconfig")
    folders = [str(folder) for folder in binaries.search_path(paths)]
    present = [part for part in os.environ.get("PATH", "").split(":") if part not in folders]
    values["PATH"] = ":".join(folders + present)
    for key, value in values.items():
        typer.echo(f"export {key}={shlex.quote(value)}")


def _timed() -> Callable[[str], None]:
    start = time.monotonic()

    def notify(text: str) -> None:
        typer.echo(f"{time.monotonic() - start:6.1f} s  {text}")

    return notify


def main() -> None:
    """Run the command line; a user's error is a message and a status, never a traceback."""
    try:
        app()
    except LabError as error:
        typer.echo(f"error: {error.render()}", err=True)
        sys.exit(1)
