"""helm for tests that render the chart."""

import os
from collections.abc import Callable
from typing import Any

import pytest

from stackroles.codegen.bundle import render_chart
from tests.support.binaries import ROOT, binary

Render = Callable[..., list[dict[str, Any]]]


@pytest.fixture
def render(monkeypatch: pytest.MonkeyPatch) -> Render:
    """Return a function that renders the chart with `key=value` settings."""
    folder = str(binary("helm").parent)
    monkeypatch.setenv("PATH", os.pathsep.join((folder, os.environ["PATH"])))

    def rendered(*settings: str) -> list[dict[str, Any]]:
        arguments = [part for setting in settings for part in ("--set-json", setting)]
        return render_chart(ROOT / "charts" / "stackroles", *arguments)

    return rendered
