"""The tutorial's annotation lists: a picture and its boxes on each line."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from yolo.data.annotated import Labelled, MarkedObject
from yolo.data.dataset import DataSet, Part
from yolo.errors import DatasetError
from yolo.system.reading import inside, printable, read_lines_of, shortened

_NUMBER = r"[+-]?(?:\d+\.?\d*(?:[eE][+-]?\d+)?|\.\d+|nan|inf)"
_BOX = re.compile(rf"{_NUMBER}(?:,{_NUMBER}){{4}}", re.IGNORECASE)


def open_lists(
    paths: Mapping[str, str | os.PathLike],
    classes: Sequence[str],
    root: str | os.PathLike | None = None,
) -> DataSet:
    """Open lists such as 2007_train.txt: `picture x1,y1,x2,y2,class x1,y1,x2,y2,class ...`.

    Boxes are taken as they stand, in half-open pixels, class numbers from 0. The boxes are found
    from the right, so that the picture's path may hold blanks. A relative path starts at the
    list's folder. A line with a picture and no boxes is a negative. No line leads out of `root`:
    a list that came with somebody's pictures says nothing about the rest of the disk.

    Args:
        paths: the list of each split, in UTF-8.
        classes: class names; a line's class numbers count them from 0.
        root: the folder that the pictures lie in or below; each list's own, if None.

    Raises:
        DatasetError: a list is missing or no text; what is wrong with a line shows when it is read.
    """
    lists = {name: Path(path) for name, path in paths.items()}
    return _Lists(lists, {k: _pictures(path, classes, root) for k, path in lists.items()}, classes)


class _Lists(DataSet):
    """Lists, opened; each of them is named in messages about its split."""

    def __init__(self, paths: Mapping[str, Path], pictures: Mapping, classes: Sequence[str]):
        super().__init__(next(iter(paths.values())), pictures, classes, "lists of lines")
        self._paths = paths

    def listed(self, name: str) -> Part:
        return replace(super().listed(name), what=printable(self._paths[name]))


def _pictures(path: Path, classes: Sequence[str], root: Any) -> list[Labelled]:
    root = Path(path.parent if root is None else root).absolute()
    lines = enumerate(read_lines_of(path), 1)
    return [
        _labelled(line, f"{printable(path)}:{number}", path.parent, classes, root)
        for number, line in lines
        if line.strip()
    ]


def _labelled(line: str, place: str, folder: Path, classes: Sequence[str], root: Path) -> Labelled:
    """Return the picture of a line and what is marked in it, or what is wrong with the line."""
    name, boxes = _parts(line)
    before, _, last = name.rpartition(" ")
    fault, picture = "", None
    if before and last.count(",") >= 3:
        fault = f"{place}: {shortened(last)}; expected x1,y1,x2,y2,class: correct the line"
    else:
        try:
            picture = _picture(folder, name, root)
        except DatasetError as error:
            fault = f"{place}: {error}"
    return Labelled(
        picture, picture.stem if picture else name, place, _marked(boxes, classes),
        faults=(fault,) if fault else (), before=f"{place}: ",
    )  # fmt: skip


def _parts(line: str) -> tuple[str, list[str]]:
    """Return the picture that a line names, which may hold blanks, and the boxes behind it."""
    words = line.strip().split(" ")
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


def _picture(folder: Path, name: str, root: Path) -> Path:
    """Return the path that a line names, which must not lead out of `root`."""
    path = Path(os.path.normpath(folder / name))  # "a/.." must not depend on what a is
    if "\0" in name or not path.absolute().is_relative_to(Path(os.path.normpath(root))):
        raise DatasetError(
            f"{shortened(name)} leads out of {printable(root)}: correct the line, or name the "
            "folder of the pictures with --list-root"
        )
    if not inside(path, root, path.parent):
        raise DatasetError(
            f"{printable(path)}: a link that leads out of {printable(root)}: put the file itself "
            "there, or make the whole folder the link"
        )
    return path
