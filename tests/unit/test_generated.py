"""Generated files are what the sources say; `python -m stackroles.codegen` writes them."""

import os
import shutil
from pathlib import Path

import pytest

from stackroles.codegen.__main__ import main
from stackroles.codegen.outputs import chart_files, source_files, stale_files
from tests.support.binaries import ROOT, binary


@pytest.fixture
def _helm(monkeypatch: pytest.MonkeyPatch) -> None:
    folder = str(binary("helm").parent)
    monkeypatch.setenv("PATH", os.pathsep.join((folder, os.environ["PATH"])))


@pytest.fixture
def copy(tmp_path: Path, _helm: None) -> Path:
    """A copy of the generated files and the chart, to spoil."""
    for name in ("crds", "charts", "manifests"):
        shutil.copytree(ROOT / name, tmp_path / name)
    (tmp_path / "docs").mkdir()
    for page in ("api.md", "rollouts.md"):
        shutil.copy(ROOT / "docs" / page, tmp_path / "docs" / page)
    assert main(["--root", str(tmp_path)]) == 0
    return tmp_path


@pytest.mark.usefixtures("_helm")
def test_nothing_is_stale() -> None:
    assert stale_files(ROOT, source_files()) == []
    assert stale_files(ROOT, chart_files(ROOT)) == []


def test_check_passes_on_what_was_written(copy: Path) -> None:
    assert main(["--root", str(copy), "--check"]) == 0


@pytest.mark.parametrize(
    "path",
    [
        "crds/stackroles.io_backups.yaml",
        "charts/stackroles/files/crds/stackroles.io_backups.yaml",
        "charts/stackroles/files/rbac/workloads.yaml",
        "docs/api.md",
        "manifests/install.yaml",
    ],
)
def test_check_names_a_file_that_was_edited(
    copy: Path, capsys: pytest.CaptureFixture[str], path: str
) -> None:
    with (copy / path).open("a") as file:
        file.write("# by hand\n")

    assert main(["--root", str(copy), "--check"]) == 1
    assert path in capsys.readouterr().err


def test_check_names_a_file_that_nothing_generates(
    copy: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (copy / "crds/stackroles.io_leftovers.yaml").write_text("kind: Nothing\n")

    assert main(["--root", str(copy), "--check"]) == 1
    assert "stackroles.io_leftovers.yaml" in capsys.readouterr().err
    assert main(["--root", str(copy)]) == 0
    assert not (copy / "crds/stackroles.io_leftovers.yaml").exists()


def test_a_chart_that_was_edited_makes_the_manifest_stale(copy: Path) -> None:
    values = copy / "charts/stackroles/values.yaml"
    values.write_text(values.read_text().replace("replicas: 2", "replicas: 3"))

    assert main(["--root", str(copy), "--check"]) == 1
