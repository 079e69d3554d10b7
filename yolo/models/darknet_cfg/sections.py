"""The text of a Darknet cfg: its sections, their words and values, each with its line.

Reference: darknet/src/parser.c `read_cfg`, option_list.c `read_option` and `option_find`.
"""

from __future__ import annotations

import math
import os
import re
from dataclasses import dataclass, field
from pathlib import Path

from yolo.errors import ConfigError
from yolo.system.reading import printable, read_regular, shortened

MAX_BYTES = 1 << 20  # forty times the longest of Darknet's own
MAX_SECTIONS = 2000
_BLANKS = str.maketrans("", "", " \t\r\n")
_INTEGER = re.compile(r"[+-]?\d{1,18}")


@dataclass
class Section:
    """One section of a cfg.

    Args:
        kind: the word in its brackets, e.g. "convolutional".
        place: names the file in messages.
        line: where it begins, counted from 1.
        words: for each word its value and its line; of two equal words the first counts.
        asked: the words that a reader has asked for.
    """

    kind: str
    place: str
    line: int
    words: dict[str, tuple[str, int]] = field(default_factory=dict)
    asked: set[str] = field(default_factory=set)

    def fault(self, text: str, word: str = "") -> ConfigError:
        """Return an error that names a word's line, or the section's where it has no such word."""
        return fault(self.place, self.words.get(word, ("", self.line))[1], text)

    def word(self, name: str, default: str = "") -> str:
        """Return a value as it is written, but for its blanks."""
        self.asked.add(name)
        return self.words.get(name, (default, 0))[0]

    def integer(self, name: str, default: int, *, least: int, most: int) -> int:
        """Return a whole number; a remark behind it is left out, as Darknet does.

        Raises:
            ConfigError: it is none, or outside of `least` to `most`.
        """
        text = self.word(name, str(default)).partition("#")[0]
        if not _INTEGER.fullmatch(text):
            raise self.fault(f"{name}={shortened(text)} is no whole number", name)
        if not least <= int(text) <= most:
            raise self.fault(f"{name}={int(text)} lies outside of {least} to {most}", name)
        return int(text)

    def flag(self, name: str, default: int = 0) -> bool:
        """Return whether a word is switched on."""
        return bool(self.integer(name, default, least=-1, most=1 << 20))

    def number(self, name: str, default: float, *, least: float, most: float) -> float:
        """Return a number; for errors see `integer`."""
        (value,) = self.numbers(name, str(default))[:1] or (math.nan,)
        if not least <= value <= most:
            raise self.fault(
                f"{name}={shortened(self.word(name))} lies outside of {least:g} to {most:g}", name
            )
        return value

    def numbers(self, name: str, default: str = "") -> list[float]:
        """Return the numbers of a list; a remark behind it is left out.

        Raises:
            ConfigError: one of them is none.
        """
        text = self.word(name, default).partition("#")[0]
        parts = [part for part in text.split(",") if part]
        try:
            values = [float(part) for part in parts]
        except ValueError:
            values = [math.nan]
        if not all(map(math.isfinite, values)):
            raise self.fault(f"{name}={shortened(text)}: expected numbers", name)
        return values

    def integers(self, name: str, default: str = "") -> list[int]:
        """Return the whole numbers of a list; for errors see `numbers`."""
        values = self.numbers(name, default)
        if any(value != int(value) for value in values):
            raise self.fault(f"{name}={shortened(self.word(name))}: expected whole numbers", name)
        return [int(value) for value in values]


def fault(place: str, line: int, text: str) -> ConfigError:
    """Return an error that names a line of a file."""
    return ConfigError(f"{place}, line {line}: {text}")


def read_text(path: str | os.PathLike) -> str:
    """Return a cfg's text such that `text.encode("utf-8", "surrogateescape")` is the file again.

    Raises:
        ConfigError: the file cannot be read, is too large or is no text.
    """
    data = read_regular(Path(path), max_bytes=MAX_BYTES, error=ConfigError)
    if b"\0" in data:
        raise ConfigError(f"{printable(path)}: is no Darknet cfg but a binary file")
    return data.decode("utf-8", "surrogateescape")


def parse(text: str, place: str) -> list[Section]:
    """Return the sections of the text of a cfg, the first of which is [net].

    Blanks count nowhere. Lines that begin with # or ; are remarks. A byte-order mark and any kind
    of line end are understood.

    Raises:
        ConfigError: one line that names the line of `place`, the file, at which it is no cfg.
    """
    sections: list[Section] = []
    text = text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
    for number, line in enumerate(text.split("\n"), 1):
        line = line.translate(_BLANKS)
        if not line or line[0] in "#;":
            continue
        if line[0] == "[":
            if len(sections) == MAX_SECTIONS:
                raise fault(place, number, f"more than {MAX_SECTIONS} sections")
            # A remark behind the bracket belongs to the name in Darknet, which then knows no such.
            kind = line[1:].partition("]")[0]
            sections.append(Section(kind, place, number))
            if len(sections) == 1 and kind not in ("net", "network"):
                raise fault(place, number, f"begins with [{printable(kind)[:40]}], not with [net]")
            continue
        if not sections:
            raise fault(place, number, f"{shortened(line)} stands before the first section, [net]")
        word, equals, value = line.partition("=")
        if not equals or not word:
            raise fault(
                place, number, f"{shortened(line)} is no word=value; the file may be cut off here"
            )
        if value:  # Darknet drops a word without a value
            sections[-1].words.setdefault(word, (value, number))
    if not sections:
        raise ConfigError(f"{place}: holds no section; a Darknet cfg begins with [net]")
    return sections
