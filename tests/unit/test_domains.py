"""In a domain the name of a module says whether it may do I/O."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.binaries import ROOT

DOMAINS = ROOT / "operator" / "stackroles" / "domains"
MODULES = sorted(path for path in DOMAINS.rglob("*.py") if path.name != "__init__.py")
IMPURE = (
    "stackroles.kube",
    "stackroles.openstack",
    "stackroles.reconcile",
    "stackroles.runtime",
    "aiohttp",
    "asyncio",
    "http",
    "os",
    "random",
    "secrets",
    "socket",
    "structlog",
    "subprocess",
    "time",
    "urllib.request",
)
CLOCKS = {"now", "utcnow", "today"}


def does_io(stem: str) -> bool:
    """Tell by its name whether a module of a domain may do I/O."""
    return stem in {"reconcile", "client"} or stem.startswith("reconcile_")


def imported(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


def impurities(source: str) -> list[str]:
    """Return what a module may not have when its name does not say that it does I/O."""
    tree = ast.parse(source)
    names = {
        name
        for name in imported(tree)
        for module in IMPURE
        if name == module or name.startswith(module + ".")
    }
    own = {
        name
        for name in imported(tree)
        if name.startswith("stackroles.domains.")
        and any(does_io(part) for part in name.split(".")[3:])
    }
    calls = {
        f"{node.func.attr}()"
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and isinstance(node.func.value, ast.Name)
        and node.func.value.id in {"datetime", "date"}
        and node.func.attr in CLOCKS
    }
    waits = {"async def" for node in ast.walk(tree) if isinstance(node, ast.AsyncFunctionDef)}
    return sorted(names | own | calls | waits)


@pytest.mark.parametrize(
    "module",
    [path for path in MODULES if not does_io(path.stem)],
    ids=lambda path: path.relative_to(DOMAINS).as_posix(),
)
def test_only_reconcile_and_client_do_io(module: Path) -> None:
    assert impurities(module.read_text()) == []


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("from stackroles.kube.cluster import Cluster", "stackroles.kube.cluster"),
        ("from stackroles.domains.database import client", "stackroles.domains.database.client"),
        ("import time", "time"),
        ("from datetime import datetime\ndatetime.now()", "now()"),
        ("async def f(): ...", "async def"),
    ],
)
def test_what_does_io_is_found(source: str, found: str) -> None:
    assert found in impurities(source)


def test_every_domain_has_its_tests_beside_it() -> None:
    domains = {path.parent.name for path in MODULES}
    tested = {path.name for path in (ROOT / "tests/unit/domains").iterdir() if path.is_dir()}

    assert domains <= tested
