"""Versions that two places must agree on."""

import json
import re
from pathlib import Path

from lab import binaries, shell, versions


def test_the_published_node_image_is_the_one_this_kind_was_released_with() -> None:
    command = ["go", "mod", "download", "-json", "sigs.k8s.io/kind"]
    found = json.loads(shell.output(command, env=binaries.GO, cwd=binaries.TOOLS / "kind"))
    source = Path(found["Dir"]) / "pkg" / "apis" / "config" / "defaults" / "image.go"

    default = re.search(r'^const Image = "(.+)"$', source.read_text(), re.MULTILINE)

    assert default is not None
    assert default[1] == versions.KINDEST
