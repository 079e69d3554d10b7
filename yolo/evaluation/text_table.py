"""Tables in plain text whose columns line up, Chinese class names included."""

from __future__ import annotations

import math
import unicodedata

_NAMED = 6


def text_table(header: list[str], rows: list[list[str]]) -> str:
    """Return a table: the first column to the left, the others to the right, two spaces between.

    Example:
        >>> print(text_table(["class", "AP"], [["cat", "0.5"], ["dog", "-"]]))
        class   AP
        cat    0.5
        dog      -
    """
    lines = [header, *rows]
    widths = [max(map(columns, column)) for column in zip(*lines, strict=True)]
    texts = []
    for line in lines:
        gaps = [" " * (width - columns(cell)) for cell, width in zip(line, widths, strict=True)]
        first, *others = zip(line, gaps, strict=True)
        texts.append("  ".join([first[0] + first[1], *(gap + cell for cell, gap in others)]))
    return "\n".join(text.rstrip() for text in texts)


def without_objects(names: list[str]) -> str:
    """Return a line for the classes of which there is nothing to score, "" for none.

    Example:
        >>> without_objects(["cat"]), without_objects(list("abcdefgh"))
        ('without objects: cat', 'without objects, 8 classes: a, b, c, d, e, f, ...')
    """
    if not names:
        return ""
    count = f", {len(names)} classes" if len(names) > 1 else ""
    more = ", ..." if len(names) > _NAMED else ""
    return f"without objects{count}: {', '.join(names[:_NAMED])}{more}"


def columns(text: str) -> int:
    """Return how many columns of a terminal a text takes: a Chinese character takes two.

    Example:
        >>> columns("cat"), columns("猫")
        (3, 2)
    """
    return sum(2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)


def number(value: float | None) -> str:
    """Return a share with four digits, or a dash where there is none (None, nan, COCO's -1).

    Example:
        >>> number(0.5), number(None), number(-1.0)
        ('0.5000', '-', '-')
    """
    return "-" if value is None or math.isnan(value) or value < 0 else f"{value:.4f}"
