"""Which images are built from what, under which tags."""

from pathlib import Path

import pytest

from lab import images
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


def test_only_old_images_that_are_named_by_content_and_not_planned_are_stale(
    checkout: Path,
) -> None:
    planned = images.plan(checkout)
    old, young = "localhost/stackroles/base:0123456789abcdef", "localhost/stackroles/x:" + "0" * 16
    listed = {old: 4.0, young: 2.0, planned["base"].reference: 9.0, "localhost/stackroles/x:1": 9.0}
    assert images.stale_tags(listed, planned, days=3) == [old]
