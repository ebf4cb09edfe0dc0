"""Results by the hash of their inputs."""

import os
import time
from pathlib import Path

import pytest

from lab.artifacts import KEPT, KEPT_SECONDS, Store, digest, tree


def test_digest_follows_names_and_values_but_not_order() -> None:
    assert digest({"a": "1", "b": "2"}) == digest({"b": "2", "a": "1"})
    assert digest({"a": "1", "b": "2"}) != digest({"a": "2", "b": "1"})
    assert digest({"a": "1b"}) != digest({"a": "1", "b": ""})


def test_tree_sees_content_names_and_the_executable_bit(tmp_path: Path) -> None:
    (tmp_path / "one").write_text("1")
    before = digest(tree(tmp_path))
    (tmp_path / "one").chmod(0o755)
    executable = digest(tree(tmp_path))
    (tmp_path / "one").rename(tmp_path / "two")
    assert len({before, executable, digest(tree(tmp_path))}) == 3


def test_tree_passes_over_compiled_python(tmp_path: Path) -> None:
    (tmp_path / "__pycache__").mkdir()
    (tmp_path / "__pycache__" / "a.pyc").write_bytes(b"x")
    assert tree(tmp_path) == {}


def test_a_result_is_made_once(tmp_path: Path) -> None:
    made: list[Path] = []

    def make(work: Path) -> None:
        made.append(work)
        (work / "file").write_text("content")

    first = Store(tmp_path).obtain("thing", "key", make)
    second = Store(tmp_path).obtain("thing", "key", make)
    assert first == second
    assert (second / "file").read_text() == "content"
    assert len(made) == 1


def test_a_failed_result_leaves_nothing(tmp_path: Path) -> None:
    def make(work: Path) -> None:
        (work / "half").write_text("")
        raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        Store(tmp_path).obtain("thing", "key", make)
    assert [path for path in tmp_path.iterdir() if path.is_dir()] == []


def test_old_results_of_the_same_name_go_and_others_stay(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.obtain("thing-else", "0", lambda work: None)
    for number in range(KEPT + 2):
        store.obtain("thing", str(number), lambda work: None)
    left = {path.name for path in tmp_path.iterdir() if path.is_dir()}
    assert left == {"thing-else-0", *(f"thing-{number}" for number in range(2, KEPT + 2))}


def test_the_result_before_goes_when_it_was_not_used_for_a_day(tmp_path: Path) -> None:
    store = Store(tmp_path)
    for key in ("old", "new"):
        store.obtain("thing", key, lambda work: None)
    store.prune()
    assert store.location("thing", "old").exists()
    long_ago = time.time() - KEPT_SECONDS - 1
    for key in ("old", "new"):
        os.utime(store.location("thing", key), (long_ago, long_ago - (key == "old")))

    store.prune()

    assert not store.location("thing", "old").exists()
    assert store.location("thing", "new").exists()


def test_what_a_killed_maker_left_goes(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.obtain("thing", "key", lambda work: None)
    (tmp_path / ".thing-x1y2z3_a").mkdir()
    (tmp_path / ".thing-else-x1y2z3_a").mkdir()
    store.prune()
    left = sorted(path.name for path in tmp_path.iterdir() if path.is_dir())
    assert left == [".thing-else-x1y2z3_a", "thing-key"]
