"""Prose in Markdown is written one sentence a line, so that a diff shows the sentence that changed.

Paragraphs and list items are prose. Tables, code blocks, headings and comments are left alone.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from itertools import pairwise

TWO_SENTENCES = "two sentences on one line"
BROKEN_SENTENCE = "a sentence that goes on in the next line, or does not end"
NOT_INDENTED = "a line of a list item that is not indented"

_FENCE = re.compile(r"^\s*(```|~~~)")
_ITEM = re.compile(r"^(\s*)([-*+]|\d+[.)])\s+")
_CODE_SPAN = re.compile(r"(`+)(?!`).+?(?<!`)\1(?!`)")
_LINK_TARGET = re.compile(r"(?<=\])\([^)\s]*\)")
# What may stand between the end of a sentence and the space after it: quotes, brackets, emphasis.
_CLOSERS = r"[\"')\]*_]*"
_END = re.compile(rf"(\S*?)([.!?]){_CLOSERS}(?=\s+\S)")
_LAST = re.compile(rf"[.!?:]{_CLOSERS}$")
_ABBREVIATIONS = frozenset({"e.g", "i.e", "cf", "vs", "approx", "fig", "resp", "incl", "etc"})


class _Kind(Enum):
    OTHER = "other"
    PARAGRAPH = "paragraph"
    ITEM = "item"
    CONTINUATION = "continuation"


@dataclass(frozen=True, slots=True)
class _Line:
    number: int
    kind: _Kind
    text: str = ""
    indented: bool = True


def problems(text: str) -> Iterator[tuple[int, str]]:
    """Yield the number of each line of prose that is not one sentence, and what is wrong with it.

    Args:
        text: a Markdown file.
    """
    lines = [*_classified(text), _Line(0, _Kind.OTHER)]
    for line, following in pairwise(lines):
        if line.kind is _Kind.OTHER:
            continue
        if not line.indented:
            yield line.number, NOT_INDENTED
        if has_two_sentences(line.text):
            yield line.number, TWO_SENTENCES
        if not _is_ended(line, following):
            yield line.number, BROKEN_SENTENCE


def has_two_sentences(line: str) -> bool:
    """Tell whether a sentence ends before the end of a line."""
    return any(_ends_sentence(match) for match in _END.finditer(_masked(line)))


def _ends_sentence(match: re.Match[str]) -> bool:
    word, sign = match[1].lstrip("(["), match[2]
    if sign != ".":
        return True
    rest = match.string[match.end() :].lstrip()
    if word.endswith(".."):
        return rest[:1].isupper()
    return word.lower() not in _ABBREVIATIONS


def _is_ended(line: _Line, following: _Line) -> bool:
    """Tell whether the sentence of a line ends with it.

    An item of one line may be no sentence at all; a colon ends a line only before a list, a table
    or a code block.
    """
    goes_on = following.kind in (_Kind.PARAGRAPH, _Kind.CONTINUATION)
    if line.kind is _Kind.ITEM and not goes_on:
        return True
    masked = _masked(line.text)
    if not _LAST.search(masked):
        return False
    word = masked.rstrip(".").rpartition(" ")[2].lstrip("([").lower()
    return not (goes_on and (masked.endswith(":") or (word in _ABBREVIATIONS and word != "etc")))


def _masked(line: str) -> str:
    """Return a line without what only looks like the end of a sentence: code and addresses."""
    return _LINK_TARGET.sub("", _CODE_SPAN.sub("code", line)).strip()


def _classified(text: str) -> Iterator[_Line]:
    fenced = listed = False
    before = ""
    for number, raw in enumerate(text.splitlines(), 1):
        line = raw.rstrip()
        if _FENCE.match(line):
            fenced = not fenced
            yield _Line(number, _Kind.OTHER)
        elif fenced or not line or line.lstrip().startswith(("#", "|", "<!--")):
            listed = listed and (fenced or not line.startswith(("#", "|", "<!--")))
            yield _Line(number, _Kind.OTHER)
        elif item := _ITEM.match(line):
            listed = True
            yield _Line(number, _Kind.ITEM, line[item.end() :])
        elif listed and (line.startswith("  ") or before):
            yield _Line(number, _Kind.CONTINUATION, line, indented=line.startswith("  "))
        elif line.startswith("    "):
            yield _Line(number, _Kind.OTHER)
        else:
            listed = False
            yield _Line(number, _Kind.PARAGRAPH, line)
        before = line
