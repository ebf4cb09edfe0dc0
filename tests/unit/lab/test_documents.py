"""What the papers show is what there is."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from lab import install
from lab.paths import REPOSITORY

SAMPLES = ("cloud", "pool", "backup-policy", "backup", "restore")
# Of the same cloud, with fields that it does not need.
VARIANTS = ("housekeeping",)
PAPERS = [REPOSITORY / "README.md", *sorted((REPOSITORY / "docs").rglob("*.md"))]
YAML_BLOCK = re.compile(r"^```ya?ml\n(.*?)^```$", re.MULTILINE | re.DOTALL)
GROUP = "stackroles.io/"
SYSTEM = "stackroles-system"


def sample(name: str) -> str:
    return (install.SAMPLES / f"{name}.yaml").read_text()


def test_the_samples_are_these() -> None:
    assert {file.stem for file in install.SAMPLES.glob("*.yaml")} == {*SAMPLES, *VARIANTS}


def test_the_readme_shows_the_samples_word_for_word() -> None:
    blocks = YAML_BLOCK.findall((REPOSITORY / "README.md").read_text())

    assert blocks == ["---\n".join(sample(name) for name in SAMPLES)]


@pytest.mark.parametrize("paper", PAPERS, ids=lambda file: str(file.relative_to(REPOSITORY)))
def test_a_resource_in_a_paper_is_one_of_the_samples(paper: Path) -> None:
    samples = [yaml.safe_load(sample(name)) for name in (*SAMPLES, *VARIANTS)]
    for block in YAML_BLOCK.findall(paper.read_text()):
        shown = [found for found in yaml.safe_load_all(block) if isinstance(found, dict)]
        for found in shown:
            if str(found.get("apiVersion", "")).startswith(GROUP):
                assert found in samples


def test_a_backup_of_the_demo_is_the_sample_under_another_name() -> None:
    expected = yaml.safe_load(sample("backup"))
    expected["metadata"]["name"] = "demo-1"

    assert install.named_backup("demo-1") == expected


def commands_after(heading: str) -> str:
    text = (REPOSITORY / "docs" / "install.md").read_text()
    return text.partition(heading)[2].split("```")[1]


def test_the_documented_removal_reaches_all_that_the_manifest_made_but_crds_and_clouds() -> None:
    commands = commands_after("Never `kubectl delete -f")
    assert f"kubectl delete namespace {SYSTEM}" in commands
    selector = re.search(r"^operator=(\S+)$", commands, re.MULTILINE)
    assert selector is not None
    labels = dict(pair.split("=") for pair in selector[1].split(","))
    kinds = {
        kind for line in re.findall(r"delete (\S+,\S+) -l", commands) for kind in line.split(",")
    }

    def reached(manifest: dict[str, Any]) -> bool:
        meta, kind = manifest["metadata"], manifest["kind"]
        if SYSTEM in (meta.get("namespace"), meta["name"]):
            return True
        return kind.lower() in kinds and labels.items() <= meta["labels"].items()

    text = (REPOSITORY / "manifests" / "install.yaml").read_text()
    stay = {item["kind"] for item in yaml.safe_load_all(text) if item and not reached(item)}
    assert stay == {"CustomResourceDefinition", "Namespace"}


def test_a_command_of_the_lab_names_the_environment_it_runs_in() -> None:
    for paper in PAPERS:
        assert not re.search(r"(?<!\.venv/bin/)python -m lab\b", paper.read_text()), paper
