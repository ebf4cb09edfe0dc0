"""The documents that people write hold one sentence a line."""

from pathlib import Path

import pytest

from tests.support.binaries import ROOT
from tests.support.prose import (
    BROKEN_SENTENCE,
    NOT_INDENTED,
    TWO_SENTENCES,
    documents,
    problems,
)

DOCUMENTS = documents(ROOT)


def test_documents_are_found() -> None:
    names = {path.relative_to(ROOT).as_posix() for path in DOCUMENTS}

    assert {"README.md", "CHANGELOG.md", "docs/architecture.md", "images/README.md"} <= names
    assert any(name.startswith("docs/adr/") for name in names)
    assert "docs/api.md" not in names


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_a_line_of_prose_is_a_sentence(path: Path) -> None:
    name = path.relative_to(ROOT)
    found = [f"{name}:{line}: {what}" for line, what in problems(path.read_text())]

    assert not found, "\n".join(found)


@pytest.mark.parametrize(
    "text",
    [
        "A sentence.\nAnother sentence.",
        "It needs Kubernetes 1.30 or newer, Python 3.11 and etcd v3.6.1.",
        "Some files, e.g. the CRDs, i.e. `crds/*.yaml`, are generated.",
        "It reads 1.5 GB in 2.5 s.",
        "Run `a. b! c? d` first, see [here](../adr/0001-a.b.md).",
        "The `kubectl get pods. And more` command.",
        "What follows:\n\n- a fragment\n- A sentence.\n  Its second one.\n\nA paragraph.",
        "Steps:\n\n1. First.\n2. Second.\n   More about it.",
        "A list:\n- a fragment\n- another one",
        "| a. B | c. D |\n|---|---|\n| e. F | no end |",
        "```\nTwo. Sentences in\ncode.\n```",
        "    Two. Sentences in\n    an indented block.",
        "# A heading. Without an end",
        "<!-- Generated. By hand -->",
        "![A plot. Of times](plot.svg)",
        "It ends in a bracket (as this does.)",
        "It ends in *emphasis.*\nAnd the next line.",
        "Members 0, 1 ... and so on are counted.",
        "It keeps pods, volumes, etc.\nNothing else.",
        "Does it?\nIt does!",
        "The command is:\n\n```\nmake test\n```",
        "- An item with code:\n  ```\n  make test. Twice\n  ```\n  It goes on.",
        "- **A label** and a fragment\n  - nested\n  - nested too",
    ],
)
def test_sentences_of_a_line_each_are_good(text: str) -> None:
    assert [*problems(text)] == []


@pytest.mark.parametrize(
    ("text", "line", "what"),
    [
        ("One. Two.", 1, TWO_SENTENCES),
        ("Good.\nOne! Two.", 2, TWO_SENTENCES),
        ("Is it one? it is not.", 1, TWO_SENTENCES),
        ("It is nova's. nova-compute runs it.", 1, TWO_SENTENCES),
        ("Use version 1.30. Older ones fail.", 1, TWO_SENTENCES),
        ("It runs `make`. `make` ends.", 1, TWO_SENTENCES),
        ("It is so (see [here](a.md)). Then more.", 1, TWO_SENTENCES),
        ('It says "no." Then more.', 1, TWO_SENTENCES),
        ("**A label.** And a sentence.", 1, TWO_SENTENCES),
        ("- One. Two.", 1, TWO_SENTENCES),
        ("1. One. Two.", 1, TWO_SENTENCES),
        ("- One.\n  Two. Three.", 2, TWO_SENTENCES),
        ("It goes on ... Then more.", 1, TWO_SENTENCES),
        ("A sentence that goes\non here.", 1, BROKEN_SENTENCE),
        ("A sentence without an end", 1, BROKEN_SENTENCE),
        ("A sentence with a comma,\nand more.", 1, BROKEN_SENTENCE),
        ("A colon in the middle:\nof a sentence.", 1, BROKEN_SENTENCE),
        ("Some of them, e.g.\nthis one.", 1, BROKEN_SENTENCE),
        ("- An item that goes\n  on here.", 1, BROKEN_SENTENCE),
        ("- An item.\n  Its second sentence has no end", 2, BROKEN_SENTENCE),
        ("- An item.\nIts second sentence.", 2, NOT_INDENTED),
    ],
)
def test_other_lines_are_found(text: str, line: int, what: str) -> None:
    assert (line, what) in [*problems(text)]
