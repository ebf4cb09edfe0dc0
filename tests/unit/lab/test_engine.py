"""Decisions about the docker engine and the packages it needs."""

import os
import pwd
from pathlib import Path

import pytest

from lab import engine, tools
from lab.errors import LabError
from lab.paths import Paths

PATHS = Paths.from_environment({"XDG_CACHE_HOME": "/c", "HOME": "/h"})


def test_files_live_below_the_cache_directory() -> None:
    assert PATHS.docker == Path("/c/stackroles/docker")
    assert Paths.from_environment({"HOME": "/h"}).cache == Path("/h/.cache/stackroles")


def test_each_cache_directory_has_its_own_short_run_directory() -> None:
    usual = Paths.from_environment({"HOME": pwd.getpwuid(0).pw_dir})
    assert usual.run == Path("/run/stackroles")
    assert PATHS.run != usual.run
    assert PATHS.run != Paths.from_environment({"XDG_CACHE_HOME": "/d"}).run
    deep = Paths.from_environment({"XDG_CACHE_HOME": f"/{'long' * 60}"})
    assert len(str(deep.docker_socket)) < 108


def test_an_engine_at_our_socket_that_is_not_ours_is_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "answers", lambda _: True)
    monkeypatch.setenv("DOCKER_HOST", "unix:///machine")
    paths = Paths(cache=tmp_path)
    assert engine.find_own(paths) is None
    assert engine.find(paths) == engine.Engine("unix:///machine", own=False)
    with pytest.raises(LabError, match="another docker engine answers at"):
        engine.start(paths)


@pytest.mark.parametrize(
    ("alive", "unmounted", "believed"),
    [([], True, False), (["containerd-shim"], False, False), (["containerd"], False, True)],
)
def test_what_outlived_a_killed_engine_decides_what_is_left_over(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    alive: list[str],
    unmounted: bool,
    believed: bool,
) -> None:
    monkeypatch.setattr("lab.paths.RUN", tmp_path / "run")
    paths = Paths(cache=tmp_path / "cache")
    pid_file = paths.docker_exec / "containerd" / "containerd.pid"
    pid_file.parent.mkdir(parents=True)
    pid_file.write_text("1")
    lines = [[name, f"{paths.docker_exec}/containerd/x"] for name in alive]
    monkeypatch.setattr("lab.leftovers.command_lines", lambda: [[""], ["sh"], *lines])
    folders: list[Path] = []
    monkeypatch.setattr("lab.leftovers.unmount", lambda *below: folders.extend(below))
    monkeypatch.setattr(engine, "answers", lambda _: False)

    engine._make_room(paths)

    assert bool(folders) is unmounted
    assert pid_file.exists() is believed


def test_packages_are_installed_also_where_an_engine_answers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ensured: list[str] = []
    monkeypatch.setattr(engine, "find", lambda _: engine.Engine("unix:///machine", own=False))
    monkeypatch.setattr(tools, "ensure", lambda programs, _: ensured.extend(programs))

    engine.up(Paths(cache=tmp_path))

    assert {"mmdebstrap", "gcc", "jq", "docker"} <= set(ensured)
    assert "dockerd" not in ensured


@pytest.mark.parametrize(
    ("mask", "has"), [("000001fffeffffff", False), ("000001ffffffffff", True), ("0", False)]
)
def test_the_capability_is_read_from_the_effective_set(mask: str, has: bool) -> None:
    status = f"Name:\tpython\nCapPrm:\tffffffffffffffff\nCapEff:\t{mask}\n"
    assert engine.has_capability(status, engine.CAP_SYS_RESOURCE) is has


def test_the_wrapper_is_the_default_runtime_only_where_it_is_needed() -> None:
    restricted = engine.dockerd_arguments(PATHS, restricted=True)
    assert "--default-runtime=restricted" in restricted
    plain = engine.dockerd_arguments(PATHS, restricted=False)
    assert not [argument for argument in plain if "restricted" in argument]


def test_only_missing_programs_bring_packages_each_once() -> None:
    there = {"docker": "/usr/bin/docker"}.get
    found = tools.missing_packages(["dockerd", "docker", "jq", "xz"], there)
    assert found == ["docker.io", "runc", "containerd", "jq", "xz-utils"]


DEB822 = "Types: deb\nURIs: http://mirror.example/debian\nSuites: bookworm\n"
ONE_LINE = "deb [signed-by=/k] http://mirror.example/debian/ bookworm main contrib\n"
SECURITY = "Types: deb\nURIs: http://mirror.example/debian-security\n"


@pytest.mark.parametrize("sources", [[DEB822], [ONE_LINE], [SECURITY, DEB822]])
def test_the_archive_is_the_one_apt_uses(sources: list[str]) -> None:
    assert tools.archive_uri(sources) == "http://mirror.example/debian"


@pytest.mark.parametrize("sources", [[], [SECURITY], ["# deb http://mirror.example/debian x main"]])
def test_a_machine_without_debian_sources_is_reported(sources: list[str]) -> None:
    with pytest.raises(LabError, match="no Debian archive"):
        tools.archive_uri(sources)


def test_disabled_source_files_are_not_read(tmp_path: Path) -> None:
    folder = tmp_path / "sources.list.d"
    folder.mkdir()
    (folder / "debian.sources").write_text(DEB822)
    (folder / "other.sources.disabled").write_text(SECURITY)
    assert tools.apt_sources(tmp_path) == [DEB822]


def test_packages_start_no_daemon_and_leave_no_policy(tmp_path: Path) -> None:
    policy = tmp_path / "policy-rc.d"
    with tools.no_services_started(policy):
        assert policy.read_text().endswith("exit 101\n")
        assert policy.stat().st_mode & 0o111
    assert not policy.exists()


def test_a_policy_of_the_machines_own_stays(tmp_path: Path) -> None:
    policy = tmp_path / "policy-rc.d"
    policy.write_text("own")
    with tools.no_services_started(policy):
        assert policy.read_text() == "own"
    assert policy.read_text() == "own"


def test_a_pid_file_of_another_process_is_not_believed(tmp_path: Path) -> None:
    paths = Paths(cache=tmp_path)
    paths.docker.mkdir()
    assert engine.own_pid(paths) is None
    (paths.docker / "dockerd.pid").write_text(str(os.getpid()))
    assert engine.own_pid(paths) is None
