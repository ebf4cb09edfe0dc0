"""All generated files: what each should hold."""

from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from stackroles import constants
from stackroles.api.v1alpha1.conditions import Reason
from stackroles.api.v1alpha1.registry import RESOURCES
from stackroles.codegen.bundle import install_manifest, render_chart
from stackroles.codegen.clustering import clustering_page
from stackroles.codegen.crd import build_crd
from stackroles.codegen.map_keys import role_key_sets
from stackroles.codegen.rbac import Scope, render_scope
from stackroles.codegen.reference import api_reference
from stackroles.codegen.rollouts import rollouts_page
from stackroles.codegen.text import BANNER, dump_yaml
from stackroles.roles import registry

Files = Mapping[Path, str]


def all_crds() -> list[dict[str, Any]]:
    """Return the CustomResourceDefinition of every kind, in the registry's order."""
    key_sets = role_key_sets()
    return [build_crd(resource, key_sets) for resource in RESOURCES]


@cache
def source_files() -> Files:
    """Return what follows from the Python sources alone, by path from the repository's root."""
    crds = all_crds()
    files: dict[Path, str] = {}
    for crd in crds:
        name = f"{constants.API_GROUP}_{crd['spec']['names']['plural']}.yaml"
        for folder in (Path("crds"), Path("charts/stackroles/files/crds")):
            files[folder / name] = BANNER + dump_yaml(crd)
    for scope in Scope:
        files[Path(f"charts/stackroles/files/rbac/{scope}.yaml")] = BANNER + render_scope(scope)
    files[Path("docs/api.md")] = api_reference(crds, Reason)
    files[Path("docs/rollouts.md")] = rollouts_page(crds)
    files[Path("docs/clustering-models.md")] = clustering_page(registry.CONTROLLER_ROLES)
    return files


def chart_files(root: Path) -> Files:
    """Return what follows from the chart as it is on disk under a repository's root.

    Raises:
        HelmError: the chart could not be rendered.
    """
    manifest = install_manifest(render_chart(root / "charts/stackroles"))
    return {Path("manifests/install.yaml"): BANNER + manifest}


def stale_files(root: Path, wanted: Files) -> list[Path]:
    """Return the files that differ from what is wanted, or that nothing generates any more."""
    differing = [
        path
        for path, text in wanted.items()
        if not (root / path).is_file() or (root / path).read_text() != text
    ]
    return sorted({*differing, *_orphans(root, wanted)})


def write_files(root: Path, wanted: Files) -> list[Path]:
    """Write what differs, remove what nothing generates any more, and return both."""
    stale = stale_files(root, wanted)
    for path in stale:
        target = root / path
        if path in wanted:
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(wanted[path])
        else:
            target.unlink()
    return stale


def _orphans(root: Path, wanted: Files) -> Iterable[Path]:
    """Yield files in folders that hold generated files only, of which nothing is known."""
    folders = {path.parent for path in wanted} - {Path("docs"), Path("manifests")}
    for folder in folders:
        for file in (root / folder).glob("*"):
            if file.relative_to(root) not in wanted:
                yield file.relative_to(root)
