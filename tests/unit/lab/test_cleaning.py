"""Cleaning goes on past what cannot be removed, and touches only what is this lab's."""

from pathlib import Path

import pytest

from lab import cleaning, cluster, engine
from lab.engine import Engine
from lab.errors import LabError
from lab.paths import Paths

OWN, MACHINES = Engine("unix:///own", own=True), Engine("unix:///machine", own=False)


class Docker:
    """Records commands; removing what is in ``stuck`` fails."""

    def __init__(self, networks: list[str], stuck: set[str]) -> None:
        self.networks, self.stuck = networks, stuck
        self.commands: list[list[str]] = []

    def __call__(self, command: list[str], **_: object) -> str:
        self.commands.append([str(part) for part in command])
        if command[1:3] == ["network", "ls"]:
            return "\n".join(self.networks)
        if command[-1] in self.stuck:
            raise LabError(f"{command[-1]} is in use")
        return ""


@pytest.fixture
def paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Paths:
    """A lab with a cluster; its engine answers, and what is called after it is recorded."""
    made = Paths(tmp_path / "stackroles")
    made.cluster("one").mkdir(parents=True)
    (made.cluster("one") / cluster.CONFIG).touch()
    monkeypatch.setattr("lab.paths.RUN", tmp_path / "run")
    monkeypatch.setattr(engine, "find_own", lambda _: OWN)
    monkeypatch.setattr(engine, "find_machines", lambda _: None)
    monkeypatch.setattr(engine, "answers", lambda _: False)
    monkeypatch.setattr(engine, "own_pid", lambda _: None)
    monkeypatch.setattr(engine, "down", lambda _: True)
    return made


def run(paths: Paths, *, caches: bool = False) -> tuple[list[str], str]:
    """Return the lines and the error's text."""
    lines: list[str] = []
    try:
        lines.extend(cleaning.clean(paths, caches=caches))
    except LabError as error:
        return lines, error.render()
    return lines, ""


def test_what_cannot_be_removed_does_not_keep_the_rest(
    paths: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths.run.mkdir()
    monkeypatch.setattr("lab.shell.output", Docker(["first", "second"], stuck={"first"}))

    lines, error = run(paths)

    assert lines == ["network second removed", "the project's own docker engine stopped"]
    assert "first is in use" in error
    assert not paths.run.exists()


def test_an_engine_that_was_killed_is_started_to_remove_what_it_left(
    paths: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    (paths.docker / "data").mkdir(parents=True)
    monkeypatch.setattr(engine, "find_own", lambda _: None)
    monkeypatch.setattr(engine, "start", lambda _: OWN)
    docker = Docker(["stackroles"], stuck=set())
    monkeypatch.setattr("lab.shell.output", docker)

    lines, error = run(paths)

    assert not error
    assert lines[0].startswith("starting")
    assert "network stackroles removed" in lines
    assert any("io.x-k8s.kind.cluster=one" in part for line in docker.commands for part in line)


def test_what_another_engine_serves_is_left_alone(
    paths: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths.run.mkdir()
    monkeypatch.setattr(engine, "find_own", lambda _: None)
    monkeypatch.setattr(engine, "down", lambda _: False)
    monkeypatch.setattr(engine, "answers", lambda _: True)

    _, error = run(paths, caches=True)

    assert "still runs" in error
    assert paths.run.exists()
    assert paths.cache.exists()


def test_images_go_from_the_machines_engine_with_the_caches(
    paths: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "find_own", lambda _: None)
    monkeypatch.setattr(engine, "down", lambda _: False)
    monkeypatch.setattr(engine, "find_machines", lambda _: MACHINES)
    monkeypatch.setattr("lab.docker.listed", lambda *_: {"localhost/stackroles/base:1": 1.0})
    docker = Docker([], stuck=set())
    monkeypatch.setattr("lab.shell.output", docker)

    lines, error = run(paths, caches=True)

    assert not error
    assert lines == ["image localhost/stackroles/base:1 removed", f"{paths.cache} removed"]
    assert any(f"label={cluster.LABEL}={paths.cache}" in line for line in docker.commands)
