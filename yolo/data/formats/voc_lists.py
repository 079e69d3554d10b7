"""The lists of a data set in VOC format: what is to train on, what to measure on."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Collection, Iterable

from yolo.data.pairing import core, nfc, stem_and_suffix
from yolo.data.source import Source, plain_name
from yolo.data.split_names import role_of
from yolo.pictures.header import PICTURE_SUFFIXES
from yolo.system.reading import printable, read_lines_of

log = logging.getLogger("yolo")

FLAGS = ("1", "-1", "0")  # behind a name in a list of one class: whether it occurs there
_FOLDERS = ("imagesets/main", "imagesets")  # the first that holds lists has them all


def read_lists(source: Source, members: Collection[str]) -> tuple[dict[str, list[str]], str]:
    """Return the ids that each list names, in its order, and how the lists came about.

    Lists of single classes (`dog_train.txt`, lines "0001 -1") are passed over, or joined where
    there are no others. A list that names nothing is none.

    Args:
        source: the data set's folder.
        members: the ids of its pictures; a line that means none of them is given as it stands.

    Raises:
        DatasetError: a list cannot be read.
    """
    paths = _list_files(source)
    lines = {
        name: [line.strip() for line in read_lines_of(source.path(path)) if line.strip()]
        for name, path in paths.items()
    }
    of_class = [name for name in lines if _is_of_class(name, lines, members)]
    ids = _Ids(members)
    joined: dict[str, list[str]] = defaultdict(list)
    plain = [name for name in lines if name not in of_class and lines[name]]
    for name in plain or of_class:
        which = name if plain else name.rpartition("_")[2]
        joined[which] += (ids.find(line) or line for line in lines[name])
    if not plain:
        note = f"{len(of_class)} lists of single classes joined" if of_class else ""
        return {name: list(dict.fromkeys(found)) for name, found in joined.items()}, note
    for name, found in joined.items():
        for one in sorted(_twice(found)):
            log.warning(
                "%s: %s stands there twice; it is read once",
                printable(source.path(paths[name])), printable(one),
            )  # fmt: skip
    return {name: list(dict.fromkeys(found)) for name, found in joined.items()}, ""


def _list_files(source: Source) -> dict[str, str]:
    """Return the lists by their names: those in ImageSets/Main, or else nearer to the top."""
    found: dict[str, dict[str, str]] = defaultdict(dict)
    for path in source.with_suffix(".txt"):
        found[path.rpartition("/")[0].lower()][stem_and_suffix(path)[0]] = path
    for folder in _FOLDERS:
        if folder in found:
            return found[folder]
    names = found.get("", {})
    return {name: path for name, path in names.items() if role_of(name) or name == "trainval"}


def _is_of_class(name: str, lists: dict[str, list[str]], members: Collection[str]) -> bool:
    """Tell whether a list marks where one class occurs: dog_train, with a flag behind each name."""
    _, underscore, last = name.rpartition("_")
    if not underscore or not (last in lists or role_of(last) or last == "trainval"):
        return False
    if not lists[name]:
        return last in lists
    return all(_flagged(line) and nfc(line) not in members for line in lists[name])


def _flagged(line: str) -> bool:
    return " " in line and line.rpartition(" ")[2] in FLAGS


def _twice(names: list[str]) -> set[str]:
    seen: set[str] = set()
    return {name for name in names if name in seen or seen.add(name)}  # type: ignore[func-returns-value]


class _Ids:
    """Finds the ids that lines mean: in other letter case, with suffix, folders or a flag, too."""

    def __init__(self, members: Iterable[str]):
        self._exact = frozenset(members)
        self._folded: dict[str, list[str]] = defaultdict(list)
        for one in self._exact:
            self._folded[one.casefold()].append(one)

    def find(self, line: str) -> str | None:
        """Return the id that a line means, None if none."""
        texts = [line, line.rpartition(" ")[0].strip()] if _flagged(line) else [line]
        for text in texts:
            if (found := self._named(text)) is not None:
                return found
            suffix = stem_and_suffix(text)[1]
            if suffix in PICTURE_SUFFIXES or suffix == ".xml":
                if (found := self._named(text[: -len(suffix)])) is not None:
                    return found
        return None

    def _named(self, name: str) -> str | None:
        if nfc(name) in self._exact:
            return nfc(name)
        parts = core(plain_name(name) or "").split("/")
        for first in range(len(parts)):
            tail = "/".join(parts[first:])
            near = [tail] if tail in self._exact else self._folded.get(tail.casefold(), [])
            if len(near) == 1:
                return near[0]
        return None
