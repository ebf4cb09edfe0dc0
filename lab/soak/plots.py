"""Distributions as SVG: one row a fault, one dot a cycle."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import median
from typing import Final
from xml.sax.saxutils import escape

WIDTH, LEFT, RIGHT = 720, 200, 30
TOP, ROW, BOTTOM = 40, 34, 40
TICKS = 6
_FONT = 'font-family="sans-serif" font-size="12" role="img"'
COLOURS: Final = ("#1f6fb4", "#c75c10")

Series = Mapping[str, Sequence[float]]
"""Row -> values, in seconds."""


def strips(title: str, series: Mapping[str, Series]) -> str:
    """Return a picture of distributions: dots for values, a bar for each median.

    Args:
        title: what it shows.
        series: what is measured (two at most, each with a colour of its own) -> its rows.
    """
    rows = list(dict.fromkeys(row for values in series.values() for row in values))
    most = max((v for values in series.values() for row in values.values() for v in row), default=1)
    end = axis_end(most)
    height = TOP + ROW * len(rows) + BOTTOM
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" {_FONT}>',
        f"<title>{escape(title)}</title>",
        f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>',
        *_axis(end, height),
        *_legend(list(series)),
    ]
    for number, row in enumerate(rows):
        middle = TOP + ROW * number + ROW / 2
        parts.append(
            f'<text x="{LEFT - 10}" y="{middle + 4:.1f}" text-anchor="end">{escape(row)}</text>'
        )
        for colour, values in zip(COLOURS, series.values(), strict=False):
            offset = -6 if colour == COLOURS[0] else 6
            parts += _dots(values.get(row, ()), middle + offset, end, colour)
    return "\n".join([*parts, "</svg>", ""])


def axis_end(most: float) -> float:
    """Return where an axis ends that shows a value: 1, 2 or 5 times a power of ten, or more."""
    end = 1.0
    while True:
        for factor in (1, 2, 5):
            if most <= end * factor:
                return end * factor
        end *= 10


def _x(value: float, end: float) -> float:
    return LEFT + (WIDTH - LEFT - RIGHT) * value / end


def _axis(end: float, height: int) -> list[str]:
    parts = []
    for tick in range(TICKS):
        value = end * tick / (TICKS - 1)
        x, bottom = _x(value, end), height - BOTTOM
        parts += [
            f'<line x1="{x:.1f}" y1="{TOP}" x2="{x:.1f}" y2="{bottom}" stroke="#dddddd"/>',
            f'<text x="{x:.1f}" y="{bottom + 18}" text-anchor="middle">{value:g} s</text>',
        ]
    return parts


def _legend(names: Sequence[str]) -> list[str]:
    parts = []
    for number, (name, colour) in enumerate(zip(names, COLOURS, strict=False)):
        x = LEFT + 190 * number
        parts += [
            f'<circle cx="{x}" cy="20" r="4" fill="{colour}"/>',
            f'<text x="{x + 10}" y="24">{escape(name)}</text>',
        ]
    return parts


def _dots(values: Sequence[float], y: float, end: float, colour: str) -> list[str]:
    parts = [
        f'<circle cx="{_x(value, end):.1f}" cy="{y:.1f}" r="3" fill="{colour}" '
        f'fill-opacity="0.55"/>'
        for value in values
    ]
    if values:
        x = _x(median(values), end)
        parts.append(
            f'<line x1="{x:.1f}" y1="{y - 6:.1f}" x2="{x:.1f}" y2="{y + 6:.1f}" '
            f'stroke="{colour}" stroke-width="2"/>'
        )
    return parts
