"""Which images are built from what, under which tags."""

import contextlib
from pathlib import Path

import pytest

from lab import images
from lab.docker import Layer
from lab.engine import Engine
from lab.errors import LabError

ROOT = "ARG BASE=x\nFROM ${BASE}\n"
CHILD = "ARG REGISTRY=r\nARG TAG=dev\nFROM ${REGISTRY}/%s:${TAG}\n"


def write(root: Path, name: str, text: str) -> None:
    folder = root / "images" / name
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "Dockerfile").write_text(text)


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    write(tmp_path, "a-leaf", CHILD % "middle")
    write(tmp_path, "base", ROOT)
    write(tmp_path, "middle", CHILD % "base")
    write(tmp_path, "other", CHILD % "base")
    return tmp_path


def test_parents_come_before_children(checkout: Path) -> None:
    order = list(images.plan(checkout))
    assert order.index("base") < order.index("middle") < order.index("a-leaf")


def test_a_change_moves_the_tags_of_an_image_and_its_children_only(checkout: Path) -> None:
    before = images.plan(checkout)
    write(checkout, "middle", CHILD % "base" + "USER 1\n")
    after = images.plan(checkout)
    changed = {name for name, image in after.items() if image.tag != before[name].tag}
    assert changed == {"middle", "a-leaf"}


@pytest.mark.parametrize("parent", ["absent", "a-leaf"])
def test_a_parent_that_cannot_be_built_first_is_an_error(checkout: Path, parent: str) -> None:
    write(checkout, "middle", CHILD % parent)
    with pytest.raises(LabError, match="middle"):
        images.plan(checkout)


def test_the_operators_tag_follows_its_source_and_not_the_papers(checkout: Path) -> None:
    (checkout / "Dockerfile").write_text("FROM x")
    source = checkout / "operator" / "stackroles" / "main.py"
    source.parent.mkdir(parents=True)
    source.write_text("one")
    first = images.plan(checkout)["operator"].tag
    (checkout / "docs.md").write_text("text")
    assert images.plan(checkout)["operator"].tag == first
    source.write_text("two")
    assert images.plan(checkout)["operator"].tag != first


def test_the_chart_gets_tags_of_role_images_alone(checkout: Path) -> None:
    (checkout / "Dockerfile").write_text("FROM x")
    write(checkout, "guest", CHILD % "base")
    assert set(images.tags(images.plan(checkout))) == {"a-leaf", "base", "middle", "other"}


def test_this_checkouts_images_all_have_an_order() -> None:
    planned = images.plan()
    assert planned["base"].parent is None
    assert {"mariadb", "keystone", "nova-compute", "operator"} <= set(planned)


def layer(name: str, gigabytes: int) -> Layer:
    return Layer("2026-01-01", name, gigabytes * 10**9)


BASE, OLD_BASE, ONE, TWO = layer("base", 2), layer("old base", 2), layer("one", 3), layer("two", 2)


@pytest.mark.parametrize(
    ("earlier", "stale"),
    [
        ({"new": (BASE, ONE), "old": (BASE, TWO)}, []),
        ({"new": (BASE, ONE), "old": (OLD_BASE, TWO)}, ["old"]),
        ({"new": (OLD_BASE, ONE), "old": (OLD_BASE,), "older": (OLD_BASE, TWO)}, ["older"]),
        ({"new": (layer("all", 9),), "old": (BASE,)}, ["new", "old"]),
    ],
)
def test_images_of_earlier_checkouts_stay_as_long_as_their_own_layers_fit(
    earlier: dict[str, tuple[Layer, ...]], stale: list[str]
) -> None:
    assert images.stale_tags(list(earlier), earlier, held={BASE}, keep=6 * 10**9) == stale


@pytest.mark.parametrize(
    ("name", "pruned"),
    [
        ("localhost/stackroles/base:0123456789abcdef", True),
        ("localhost/stackroles/base:0123456789abcdef-unchecked", True),
        ("localhost/stackroles/pause:3.10.1", False),
        ("localhost/stackroles/debian:13", False),
    ],
)
def test_only_images_named_by_content_are_of_a_checkout(name: str, pruned: bool) -> None:
    assert bool(images.BY_CONTENT.search(name)) is pruned


class Commands:
    """Records commands; one whose words are in ``failing`` fails."""

    def __init__(self, failing: str = "") -> None:
        self.failing = failing
        self.seen: list[str] = []

    def __call__(self, command: list[str | Path], *_: object, **__: object) -> str:
        line = " ".join(str(part) for part in command)
        self.seen.append(line)
        if self.failing and self.failing in line:
            raise LabError(f"{line} failed")
        return ""


@pytest.mark.parametrize(("failing", "named"), [("", True), ("check.sh", False)])
def test_a_role_image_gets_its_name_once_its_check_has_passed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, failing: str, named: bool
) -> None:
    commands = Commands(failing)
    monkeypatch.setattr("lab.shell.logged", commands)
    monkeypatch.setattr("lab.shell.output", commands)
    item = images.Image("memcached", "base", "0" * 16)

    with pytest.raises(LabError) if failing else contextlib.nullcontext():
        images._build_role(Engine("unix:///e", own=True), item, tmp_path / "log", {})

    assert f"--tag {item.reference}-unchecked " in commands.seen[0]
    assert commands.seen[1].endswith("check.sh memcached")
    assert (f"docker tag {item.reference}-unchecked {item.reference}" in commands.seen) is named
