"""operator/ is an import root, and must never become a package called `operator`."""

import operator as standard_operator
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.support.binaries import ROOT

PACKAGE = "stackroles"


def test_operator_holds_the_package_and_nothing_else() -> None:
    entries = {entry.name for entry in (ROOT / "operator").iterdir()} - {"__pycache__"}

    assert entries == {PACKAGE}


def test_import_operator_is_the_standard_library() -> None:
    assert hasattr(standard_operator, "itemgetter")
    code = "import operator, sys; sys.exit(not hasattr(operator, 'itemgetter'))"
    result = subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False)

    assert result.returncode == 0


def test_package_folders_say_what_they_are() -> None:
    for file in (ROOT / "operator" / PACKAGE).rglob("__init__.py"):
        assert file.read_text().startswith('"""'), f"{file} has no docstring"


def test_every_folder_with_modules_is_a_package() -> None:
    folders = {file.parent for file in (ROOT / "operator" / PACKAGE).rglob("*.py")}

    assert all((folder / "__init__.py").is_file() for folder in folders)


def test_the_wheel_holds_the_package_under_its_own_name(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()

    assert {name.partition("/")[0] for name in names} == {
        PACKAGE,
        wheel.name.split("-py3")[0] + ".dist-info",
    }
    assert f"{PACKAGE}/py.typed" in names
    assert f"{PACKAGE}/agents/__init__.py" in names


def test_pytest_enters_every_folder_with_tests(pytestconfig: pytest.Config) -> None:
    """It leaves out some names without a word, `build` among them."""
    left_out = set(pytestconfig.getini("norecursedirs"))
    folders = {part for file in (ROOT / "tests").rglob("test_*.py") for part in file.parts}

    assert not folders & left_out
