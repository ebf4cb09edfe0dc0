"""What the build slice makes, so that no later slice builds."""

from pathlib import Path

import pytest

from lab import building, versions
from lab.engine import Engine
from lab.paths import Paths


@pytest.mark.parametrize("image", [versions.KINDEST, "localhost/stackroles/node:v1"])
def test_programs_are_built_whichever_node_image_is_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, image: str
) -> None:
    built: list[Paths] = []
    monkeypatch.setattr("lab.node_image.obtain", lambda *_: image)
    monkeypatch.setattr("lab.binaries.every", built.append)
    paths = Paths(tmp_path)

    found = building._programs_and_node(paths, Engine("unix:///e", own=False))

    assert found == image
    assert built == [paths]
