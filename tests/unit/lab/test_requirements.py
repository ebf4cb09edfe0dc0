"""The development environment's requirement file."""

import re
import tomllib

from lab import requirements
from lab.paths import REPOSITORY


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def test_everything_asked_for_is_pinned_with_hashes() -> None:
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())
    text = (REPOSITORY / "requirements" / "dev.txt").read_text()
    pinned = {canonical(name) for name in re.findall(r"^([A-Za-z0-9._-]+)==", text, re.MULTILINE)}
    asked = {canonical(re.split(r"[<>=!~\[; ]", line)[0]) for line in requirements.wanted(project)}
    assert asked <= pinned
    assert len(re.findall(r"^[A-Za-z0-9._-]+==", text, re.MULTILINE)) == text.count("==")
    assert "--hash=sha256:" in text


def test_no_requirement_file_names_a_host() -> None:
    for file in (REPOSITORY / "requirements").glob("*.txt"):
        assert "://" not in file.read_text()
        assert "index" not in file.read_text()
