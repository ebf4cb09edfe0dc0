"""What the documents refer to exists: files that links and code spans name, and headings."""

import re
from collections.abc import Iterator
from itertools import product
from pathlib import Path

import pytest

from tests.support.binaries import ROOT
from tests.support.prose import documents

DOCUMENTS = documents(ROOT)
PLACES = (ROOT, ROOT / "operator/stackroles", ROOT / "docs")
LINK = re.compile(r"\]\((?!https?:)([^)\s#]*)(?:#([^)\s]+))?\)")
# A path of this tree: with a folder, and a file's ending or a slash at its end.
PATH = re.compile(r"`((?:[\w{}*,-]+/)+(?:[\w.{}*,-]+\.(?:py|md|toml|yaml))?)`")
CODE = re.compile(r"(`+).+?\1")
BRACES = re.compile(r"\{([^}]*)\}")


def anchors(text: str) -> set[str]:
    """Return the anchors of a document's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in headings}


def expanded(path: str) -> Iterator[str]:
    """Yield the paths that one with braces stands for."""
    pieces = BRACES.split(path)
    choices = [piece.split(",") if n % 2 else [piece] for n, piece in enumerate(pieces)]
    yield from ("".join(chosen) for chosen in product(*choices))


def missing(text: str, folder: Path) -> Iterator[str]:
    """Yield what a document in a folder refers to and is not there."""
    for target, anchor in LINK.findall(CODE.sub("", text)):
        file = folder / target if target else None
        if file is not None and not file.exists():
            yield target
        elif anchor and anchor not in anchors(file.read_text() if file else text):
            yield f"{target}#{anchor}"
    for named in PATH.findall(text):
        for path in expanded(named):
            if not any(any(place.glob(path.rstrip("/"))) for place in PLACES):
                yield path


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_what_a_document_refers_to_exists(path: Path) -> None:
    assert [*missing(path.read_text(), path.parent)] == []


@pytest.mark.parametrize(
    "text",
    [
        "See [the limits](docs/limits.md#backups), [here](#a-title) or [there](https://a.b/c#d).",
        "`docs/limits.md`, `domains/database/decide.py`, `domains/backup/build*.py`, `lab/`",
        "`domains/compute/status_{pool,node}.py`, `/usr/share/nothing/`, `<name>/nothing.py`",
        "`nothing.io/`, `[a](nothing)`",
    ],
)
def test_what_exists_is_not_missing(text: str) -> None:
    assert [*missing(f"# A title\n{text}", ROOT)] == []


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("[limits](docs/nothing.md)", "docs/nothing.md"),
        ("[limits](docs/limits.md#nothing)", "docs/limits.md#nothing"),
        ("[limits](#nothing)", "#nothing"),
        ("`domains/database/nothing.py`", "domains/database/nothing.py"),
        ("`domains/compute/status_{pool,nothing}.py`", "domains/compute/status_nothing.py"),
        ("`nothing/`", "nothing/"),
    ],
)
def test_what_does_not_exist_is_found(text: str, found: str) -> None:
    assert [*missing(text, ROOT)] == [found]
