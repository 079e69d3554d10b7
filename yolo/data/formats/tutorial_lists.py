"""The tutorial's annotation lists: a picture and its boxes on each line."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from yolo.data.annotated import Labelled, MarkedObject
from yolo.data.dataset import DataSet
from yolo.data.findings import nearest
from yolo.data.formats.yolo_config import class_files, read_names
from yolo.data.pairing import grouped, nfc, stem_and_suffix
from yolo.data.source import Source, plain_name
from yolo.data.split_names import role_of
from yolo.errors import DatasetError
from yolo.system.reading import inside, printable, read_lines_of, shortened

ROBOFLOW = "_annotations.txt"
_NUMBER = r"[+-]?(?:\d+\.?\d*(?:[eE][+-]?\d+)?|\.\d+|nan|inf)"
_BOX = re.compile(rf"{_NUMBER}(?:,{_NUMBER}){{4}}", re.IGNORECASE)
_WIDE = re.compile(rf"\s({_NUMBER}(?:,\s*{_NUMBER}){{4}})(?=\s|$)", re.IGNORECASE)


def recognise(source: Source) -> bool:
    """Tell whether a list was named, or a folder holds some: by their first lines."""
    if source.file is not None:
        return source.file.suffix.lower() == ".txt" and _looks_so(source, source.named)
    return bool(_list_files(source))


def open_source(source: Source) -> DataSet:
    """Open the list that was named, or those of a folder.

    They are called as 2007_train.txt and 2007_val.txt, or lie in folders as train/_annotations.txt.
    """
    names = [source.named] if source.file is not None else _list_files(source)
    paths = {_split_of(name): source.path(name) for name in names}
    if len(paths) < len(names):  # 2007_train.txt and 2012_train.txt
        paths = {stem_and_suffix(name)[0]: source.path(name) for name in names}
    classes = source.classes
    if classes is None:
        files = class_files(source) or [n for n in source.names if n.endswith("_classes.txt")]
        if not files:
            raise DatasetError(
                f"{printable(source.path(names[0]))}: lines of pictures and boxes, but no class "
                "names (classes.txt): give --classes FILE, one name a line"
            )
        classes = read_names(source, files[0])
    return open_lists(paths, classes)


def _list_files(source: Source) -> list[str]:
    """Return the lists at the top of a source, or Roboflow's in folders called as splits."""
    texts = source.with_suffix(".txt")
    top = [name for name in texts if "/" not in name]
    parts = [name for name in texts if name.endswith(f"/{ROBOFLOW}") and role_of(_split_of(name))]
    found = ([name for name in names if _looks_so(source, name)] for names in (top, parts))
    return next(filter(None, found), [])


def _split_of(name: str) -> str:
    """Return the split that a list describes, by its folder or by the end of its name.

    Example:
        >>> _split_of("2007_train.txt"), _split_of("valid/_annotations.txt")
        ('train', 'valid')
    """
    return name.rpartition("/")[0] or stem_and_suffix(name)[0].rpartition("_")[2]


def _looks_so(source: Source, name: str) -> bool:
    """Tell whether the first line of a file that is not empty has a box behind a name."""
    text = source.head(name).decode("utf-8", "replace")
    first = next((line for line in text.splitlines() if line.strip()), "")
    return len(first) > 8 and bool(_parts(first)[1])


def open_lists(
    paths: Mapping[str, str | os.PathLike],
    classes: Sequence[str],
    root: str | os.PathLike | None = None,
) -> DataSet:
    """Open lists such as 2007_train.txt: `picture x1,y1,x2,y2,class x1,y1,x2,y2,class ...`.

    Boxes are taken as they stand, in half-open pixels, class numbers from 0. The boxes are found
    from the right, so that the picture's path may hold blanks; `_Names` says how it is found. A
    line with a picture and no boxes is a negative. No line leads out of `root`:
    a list that came with somebody's pictures says nothing about the rest of the disk.
    Class numbers count `classes` from 0. The pictures lie in or below `root`, or each list's own
    folder.
    """
    lists = {name: Path(path) for name, path in paths.items()}
    pictures = {name: _pictures(path, classes, root) for name, path in lists.items()}
    opened = DataSet(next(iter(lists.values())), pictures, classes, "lists of lines")
    opened.files = lists
    return opened


def _pictures(path: Path, classes: Sequence[str], root: Any) -> list[Labelled]:
    names = _Names(path.parent, Path(path.parent if root is None else root))
    lines = enumerate(read_lines_of(path), 1)
    return [
        _labelled(line, f"{printable(path)}:{number}", names, classes)
        for number, line in lines
        if line.strip()
    ]


def _labelled(line: str, place: str, names: _Names, classes: Sequence[str]) -> Labelled:
    """Return the picture of a line and what is marked in it, or what is wrong with the line."""
    name, boxes = _parts(line)
    before, _, last = name.rpartition(" ")
    fault, picture = "", None
    if before and last.count(",") >= 3:
        fault = f"{place}: {shortened(last)}; expected x1,y1,x2,y2,class: correct the line"
    else:
        try:
            picture = names.find(name)
        except DatasetError as error:
            fault = f"{place}: {error}"
    return Labelled(
        picture, picture.stem if picture else name, place, _marked(boxes, classes),
        faults=(fault,) if fault else (), before=f"{place}: ",
    )  # fmt: skip


def _parts(line: str) -> tuple[str, list[str]]:
    """Return the picture that a line names, which may hold blanks, and the boxes behind it.

    Boxes with blanks behind their commas are read where there are no others.
    """
    name, boxes = _split(line)
    if not boxes and _WIDE.search(line):
        return _split(_WIDE.sub(lambda box: " " + re.sub(r"\s", "", box[1]), line))
    return name, boxes


def _split(line: str) -> tuple[str, list[str]]:
    words = line.strip().replace("\t", " ").split(" ")
    boxes: list[str] = []
    while len(words) > 1 and (not words[-1] or _BOX.fullmatch(words[-1])):
        boxes[:0] = filter(None, [words.pop()])
    return " ".join(words), boxes


def _marked(boxes: list[str], classes: Sequence[str]) -> list[MarkedObject]:
    """Return the objects of a line."""
    marked = []
    for i, box in enumerate(boxes, 1):
        xmin, ymin, xmax, ymax, number = (float(n) for n in box.split(","))
        known = number in range(len(classes))
        fault = (
            f"class {number:g}; expected 0 to {len(classes) - 1}: correct the line or the class "
            "list"
        )
        marked.append(MarkedObject(
            f"box {i}", classes[int(number)] if known else "", (xmin, ymin, xmax, ymax),
            fault="" if known else fault,
        ))  # fmt: skip
    return marked


# --------------------------------------------------------- the pictures that lines mean


class _Names:
    r"""Finds the pictures that a list names.

    A relative name starts at the list's folder. What cannot be found so is looked for with `\` as
    "/", `%20` as a blank, without quotes or `file://`, in another letter case or Unicode form, and
    the path of another machine by its last parts, as many as can be, below the list's folder.

    Args:
        folder: of the list, as the user named it.
        root: the folder that the pictures lie in or below.
    """

    def __init__(self, folder: Path, root: Path):
        self._folder, self._root = folder, root.absolute()
        self._real_folder, self._real_root = (Path(os.path.realpath(p)) for p in (folder, root))
        self._listed: dict[Path, dict[str, list[str]]] = {}

    def find(self, name: str) -> Path:
        """Return the path that a line means.

        Raises:
            DatasetError: it leads out of the root, or there is no such picture.
        """
        bare = name.strip("\"'").removeprefix("file://")
        wanted = [name, bare, bare.replace("\\", "/")]
        for one in dict.fromkeys([*wanted, *map(unquote, wanted)]):
            path = self._below(one)
            if path is not None and os.path.lexists(path):
                return self._checked(path)
        path = self._by_last_parts(unquote(wanted[-1])) or self._in_other_case(unquote(wanted[-1]))
        if path is not None:
            return self._checked(path)
        path = self._below(name)
        if path is None:
            raise DatasetError(
                f"{shortened(name)} leads out of {printable(self._root)}: correct the line, or "
                "name the folder of the pictures with --list-root"
            )
        near = nearest(path.name, sum(self._names(path.parent).values(), []), alike=0.8)
        raise DatasetError(f"{printable(path)[:300]}: cannot be opened: no such file{near}")

    def _below(self, name: str) -> Path | None:
        """Return the path of a name, None where it leads out of the root."""
        if "\0" in name:
            return None
        plain = os.path.normpath(name)  # "a/.." must not depend on what a is
        if Path(plain).is_absolute():
            fits = any(Path(plain).is_relative_to(root) for root in (self._root, self._real_root))
            return Path(plain) if fits else None
        whole = Path(os.path.normpath(self._real_folder / plain))
        return self._folder / plain if whole.is_relative_to(self._real_root) else None

    def _checked(self, path: Path) -> Path:
        if not inside(path, self._root, path.parent):
            raise DatasetError(
                f"{printable(path)}: a link that leads out of {printable(self._root)}: put the "
                "file itself there, or make the whole folder the link"
            )
        return path

    def _by_last_parts(self, name: str) -> Path | None:
        """Return the picture that the path of another machine means."""
        plain = plain_name(name)
        if plain is None or not (name.startswith("/") or name[1:2] == ":"):
            return None
        parts = plain.split("/")
        paths = (self._below("/".join(parts[first:])) for first in range(len(parts)))
        return next((path for path in paths if path and os.path.lexists(path)), None)

    def _in_other_case(self, name: str) -> Path | None:
        """Return the one picture of its folder whose name differs in letter case or form alone."""
        path = self._below(name)
        names = self._names(path.parent).get(nfc(path.name).casefold(), []) if path else []
        return path.with_name(names[0]) if path and len(names) == 1 else None

    def _names(self, folder: Path) -> dict[str, list[str]]:
        """Return what a folder holds, by the names as they compare."""
        if folder not in self._listed:
            found = os.path.isdir(folder)  # noqa: PTH112 (Path's raises for too long a name)
            there = sorted(one.name for one in folder.iterdir()) if found else []
            self._listed[folder] = grouped(there, lambda name: nfc(name).casefold())
        return self._listed[folder]
