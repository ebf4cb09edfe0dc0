"""The commands `backup`, `restore` and `recovery-points`."""

import sys
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Annotated, Any

import typer

from stackroles.cli.ask import CommandError, connect
from stackroles.cli.bare_set import BareSet, set_of, source_of
from stackroles.cli.cluster import dump
from stackroles.cli.draw_recovery import draw_points, window_lines
from stackroles.cli.follow import utc_now
from stackroles.cli.manifests import at_time, name_of
from stackroles.cli.options import (
    INTERRUPTED,
    PLAIN_WIDTH,
    CaSecret,
    Context,
    CredentialsSecret,
    EncryptionSecret,
    Kubeconfig,
    NameOfSet,
    Namespace,
    PointInTime,
    PolicyOfSet,
    Region,
    RepositoryOfSet,
    can_ask,
    console,
    fail,
    run,
)
from stackroles.cli.points import nothing_found, points_of
from stackroles.cli.recovery_cluster import Recovery
from stackroles.cli.waits import (
    Known,
    wait_for_backup,
    wait_for_preflight,
    wait_for_restore,
    where,
    where_backup,
)

Object = dict[str, Any]
# A pipe or a file folds nothing.
_TABLE_WIDTH = 2 * PLAIN_WIDTH


class Output(StrEnum):
    """Forms of output."""

    TABLE = "table"
    JSON = "json"


OwnName = Annotated[
    str | None, typer.Option("--name", help="Its name; by default one with the time.")
]
Wait = Annotated[bool, typer.Option(help="Show how it goes on until it has ended.")]


@dataclass(frozen=True, slots=True)
class Place:
    """Where the resources are: the options of all commands."""

    kubeconfig: str | None
    context: str | None
    namespace: str | None


def backup(
    policy: Annotated[str, typer.Argument(help="The BackupPolicy.")],
    *,
    name: OwnName = None,
    wait: Wait = True,
    namespace: Namespace = None,
    kubeconfig: Kubeconfig = None,
    context: Context = None,
) -> None:
    """Make a recovery set of a cloud at once, as its policy says."""
    chosen = name or name_of("Backup", policy, utc_now())

    async def act() -> None:
        async with connect(kubeconfig, context, namespace) as api:
            recovery = Recovery(api)
            await recovery.make_backup(chosen, policy)
            typer.echo(f"Backup {chosen} is made.")
            if wait:
                await wait_for_backup(recovery, chosen)
            else:
                typer.echo(where_backup(recovery, chosen))

    run(act(), interrupted=INTERRUPTED)


def restore(
    backup: Annotated[
        str | None, typer.Argument(help="The Backup; `recovery-points` lists them.")
    ] = None,
    *,
    policy: PolicyOfSet = None,
    recovery_set: NameOfSet = None,
    repository: RepositoryOfSet = None,
    encryption_secret: EncryptionSecret = None,
    credentials_secret: CredentialsSecret = None,
    ca_secret: CaSecret = None,
    region: Region = None,
    at: PointInTime = None,
    name: OwnName = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only find out what is missing and would be lost.")
    ] = False,
    overwrite: Annotated[
        str | None,
        typer.Option(help="Consent to lose what was written since: the CloudController's name."),
    ] = None,
    safety_backup: Annotated[
        bool,
        typer.Option(
            "--safety-backup/--no-safety-backup", help="Back up what is overwritten first."
        ),
    ] = True,
    wait: Wait = True,
    namespace: Namespace = None,
    kubeconfig: Kubeconfig = None,
    context: Context = None,
) -> None:
    """Put the databases of a recovery set back into its cloud, which is made where it is gone."""
    asks = _asks(overwrite, dry_run=dry_run)
    bare = BareSet(
        policy=policy,
        name=recovery_set,
        repository=repository,
        encryption_secret=encryption_secret,
        credentials_secret=credentials_secret,
        ca_secret=ca_secret,
        region=region,
    )
    wanted = _Wanted(
        source=_source(backup, bare, at),
        name=name,
        overwrite=overwrite,
        safety_backup=safety_backup,
        wait=wait,
        asks=asks,
    )
    place = Place(kubeconfig, context, namespace)
    known = run(_make_restore(place, wanted), interrupted=INTERRUPTED)
    if asks:
        _ask(known, safety_backup=safety_backup)
        run(_begin(place, known, wait=wait), interrupted=INTERRUPTED)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Wanted:
    """A Restore that a user wants.

    Attributes:
        source: what it restores, as fields of its spec.
        name: the Restore's name, None for one with the time.
        overwrite: what the user consents to overwrite, None for a dry run.
        safety_backup: whether what is there is backed up first.
        wait: whether to wait for its end.
        asks: whether the user is asked for consent after the dry run.
    """

    source: Object
    name: str | None
    overwrite: str | None
    safety_backup: bool
    wait: bool
    asks: bool


def _source(backup: str | None, bare: BareSet, at: str | None) -> Object:
    """Return what is restored; end the command where that is not named."""
    try:
        return at_time(source_of(backup, bare), at)
    except (CommandError, ValueError) as error:
        raise fail(f"{error} Nothing was changed.") from None


def _asks(overwrite: str | None, *, dry_run: bool) -> bool:
    """Return whether the user is asked for consent; end the command where that cannot be."""
    if dry_run and overwrite is not None:
        raise fail("A dry run overwrites nothing: leave out --dry-run or --overwrite.")
    asks = not dry_run and overwrite is None
    if asks and not can_ask():
        raise fail(
            "--overwrite CLOUD is needed where no terminal can be asked, with the name of the "
            "CloudController whose databases are overwritten; --dry-run shows what would be lost. "
            "Nothing was changed."
        )
    return asks


async def _make_restore(place: Place, wanted: _Wanted) -> Known:
    """Make a Restore, and wait for its end or its preflight; return its names.

    Raises:
        CommandError: it could not be made, or did not end well.
    """
    async with connect(place.kubeconfig, place.context, place.namespace) as api:
        recovery = Recovery(api)
        cloud = await recovery.cloud_of_source(wanted.source)
        if cloud and wanted.overwrite not in (None, cloud):
            what = set_of(wanted.source)
            raise CommandError(
                f"{what[:1].upper()}{what[1:]} is of CloudController {cloud}, and --overwrite "
                f"names {wanted.overwrite}. Nothing was changed."
            )
        named = cloud or wanted.source["recoverySet"]["policy"]
        name = wanted.name or name_of("Restore", named, utc_now())
        await recovery.make_restore(
            name,
            wanted.source,
            overwrite=wanted.overwrite,
            safety_backup=wanted.safety_backup,
        )
        dry = wanted.overwrite is None
        typer.echo(f"Restore {name} is made{', as a dry run' if dry else ''}.")
        of_backup = "backup" in wanted.source
        known = Known(name=name, namespace=recovery.namespace, cloud=cloud, of_backup=of_backup)
        if dry and (wanted.wait or wanted.asks):
            view = await wait_for_preflight(recovery, known, asks=wanted.asks)
            known = replace(known, cloud=view.cloud or cloud, made=bool(view.makes))
        elif wanted.wait:
            await wait_for_restore(recovery, known)
        else:
            typer.echo(where(known))
    return known


async def _begin(place: Place, known: Known, *, wait: bool) -> None:
    """Have a dry run become the restore.

    Raises:
        CommandError: it could not be changed, or did not end well.
    """
    async with connect(place.kubeconfig, place.context, place.namespace) as api:
        recovery = Recovery(api)
        await recovery.consent(known.name, known.cloud)
        if wait:
            await wait_for_restore(recovery, known)
        else:
            typer.echo(f"Restore {known.name} begins. {where(known)}")


def _ask(known: Known, *, safety_backup: bool) -> None:
    """Return once the user has consented; end the command without."""
    first = (
        "is backed up first, unless the database does not serve"
        if safety_backup
        else "is not backed up first"
    )
    if not known.made:
        typer.echo(f"What is there {first}.")
    try:
        typed = typer.prompt(
            f"To go on, type the name of the cloud, {known.cloud}", default="", show_default=False
        )
    except typer.Abort:
        typer.echo()
        typed = ""
    if typed.strip() != known.cloud:
        raise fail(
            f"That is not the cloud's name: nothing was changed. Restore {known.name} stays a dry "
            f"run; {known.removal} removes it."
        )


def recovery_points(
    name: Annotated[str, typer.Argument(help="The CloudController.")],
    *,
    output: Annotated[Output, typer.Option("--output", "-o", help="Form.")] = Output.TABLE,
    namespace: Namespace = None,
    kubeconfig: Kubeconfig = None,
    context: Context = None,
) -> None:
    """List the verified Backups that a cloud can be set back to, the newest first."""

    async def show() -> None:
        async with connect(kubeconfig, context, namespace) as api:
            view = points_of(await Recovery(api).points(name), utc_now())
        if output is Output.JSON:
            typer.echo(dump(view))
            return
        if view.points:
            folded = sys.stdout.isatty()
            console(_TABLE_WIDTH).print(draw_points(view, folded=folded))
        else:
            typer.echo(nothing_found(view))
        for line in window_lines(view):
            typer.echo(line)
        for text in view.unreadable:
            typer.echo(f"not shown: {text}")

    run(show())
