"""The tutorial's annotation lists: a picture and its boxes on each line."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path

from yolo.data.annotated import MarkedObject, check_objects
from yolo.data.findings import Findings
from yolo.data.sample import Sample
from yolo.errors import DatasetError
from yolo.pictures.header import read_header
from yolo.system.reading import inside, printable, read_lines_of, shortened

_NUMBER = r"[+-]?(?:\d+\.?\d*(?:[eE][+-]?\d+)?|\.\d+|nan|inf)"
_BOX = re.compile(rf"{_NUMBER}(?:,{_NUMBER}){{4}}", re.IGNORECASE)


def read_lines(
    path: str | os.PathLike,
    *,
    classes: Sequence[str],
    root: str | os.PathLike | None = None,
    collect: list[Findings] | None = None,
) -> list[Sample]:
    """Read a list such as 2007_train.txt: `picture x1,y1,x2,y2,class x1,y1,x2,y2,class ...`.

    Boxes are taken as they stand, in half-open pixels, class numbers from 0. The boxes are found
    from the right, so that the picture's path may hold blanks. A relative path starts at the
    list's folder. A line with a picture and no boxes is a negative. No line leads out of `root`:
    a list that came with somebody's pictures says nothing about the rest of the disk.

    Args:
        path: the list, in UTF-8.
        classes: class names; a line's class numbers count them from 0.
        root: the folder that the pictures lie in or below; the list's own, if None.
        collect: takes what was found, repairs and faults; nothing is logged or raised for it.

    Returns:
        One sample a line, in order; `image_id` is the picture's stem.

    Raises:
        DatasetError: the list is missing or faulty: the message names up to 20 lines.
    """
    path = Path(path)
    lines = read_lines_of(path)
    root = Path(path.parent if root is None else root).absolute()
    findings = Findings(printable(path))
    samples = []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        place = f"{printable(path)}:{number}"
        name, boxes = _parts(line)
        before, _, last = name.rpartition(" ")
        if before and last.count(",") >= 3:
            findings.error(
                f"{place}: {shortened(last)}; expected x1,y1,x2,y2,class: correct the line"
            )
            continue
        try:
            picture = _picture(path.parent, name, root)
            header = read_header(picture)
        except DatasetError as error:
            findings.error(f"{place}: {error}")
            continue
        if header.frames > 1:
            findings.warn("pictures of several frames, the first taken", place)
        marked = _marked(boxes, len(classes), place, findings)
        arrays = check_objects(marked, header.size, file=place, findings=findings)
        samples.append(Sample(picture, size=header.size, image_id=picture.stem, **arrays))
    findings.finish(collect)
    return samples


def _parts(line: str) -> tuple[str, list[str]]:
    """Return the picture that a line names, which may hold blanks, and the boxes behind it."""
    words = line.strip().split(" ")
    boxes: list[str] = []
    while len(words) > 1 and (not words[-1] or _BOX.fullmatch(words[-1])):
        boxes[:0] = filter(None, [words.pop()])
    return " ".join(words), boxes


def _marked(
    boxes: list[str], num_classes: int, place: str, findings: Findings
) -> list[MarkedObject]:
    """Return the objects of a line; one of a class that does not exist is noted."""
    marked = []
    for i, box in enumerate(boxes, 1):
        xmin, ymin, xmax, ymax, class_id = (float(n) for n in box.split(","))
        if class_id in range(num_classes):
            marked.append(MarkedObject(f"box {i}", int(class_id), (xmin, ymin, xmax, ymax)))
        else:
            findings.error(
                f"{place}: box {i}: class {class_id:g}; expected 0 to {num_classes - 1}: "
                "correct the line or the class list"
            )
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
