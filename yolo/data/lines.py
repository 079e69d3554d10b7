"""The tutorial's annotation lists: a picture and its boxes on each line."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path

from yolo.data.findings import Findings, MarkedObject, check_objects
from yolo.data.sample import Sample
from yolo.errors import DatasetError
from yolo.headers import printable, read_header, regular_file

_NUMBER = r"[+-]?(?:\d+\.?\d*(?:[eE][+-]?\d+)?|\.\d+|nan|inf)"
_BOX = re.compile(rf"{_NUMBER}(?:,{_NUMBER}){{4}}", re.IGNORECASE)


def read_lines(
    path: str | os.PathLike, *, classes: Sequence[str], collect: list[Findings] | None = None
) -> list[Sample]:
    """Read a list such as 2007_train.txt: `picture x1,y1,x2,y2,class x1,y1,x2,y2,class ...`.

    Boxes are taken as they stand, in half-open pixels, class numbers from 0. The boxes are found
    from the right, so that the picture's path may hold blanks. A relative path starts at the
    list's folder. A line with a picture and no boxes is a negative.

    Args:
        path: the list, in UTF-8.
        classes: class names; a line's class numbers count them from 0.
        collect: takes what was found, repairs and faults; nothing is logged or raised for it.

    Returns:
        One sample a line, in order; `image_id` is the picture's stem.

    Raises:
        DatasetError: the list is missing or faulty: the message names up to 20 lines.
    """
    path = Path(path)
    regular_file(path)
    try:
        lines = path.read_text(encoding="utf-8-sig").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise DatasetError(f"{printable(path)}: no readable list in UTF-8 ({error})") from None
    findings = Findings(printable(path))
    samples = []
    for number, line in enumerate(lines, 1):
        words = line.strip().split(" ")
        if words == [""]:
            continue
        place = f"{printable(path)}:{number}"
        boxes: list[str] = []
        while len(words) > 1 and (not words[-1] or _BOX.fullmatch(words[-1])):
            boxes[:0] = filter(None, [words.pop()])
        if len(words) > 1 and words[-1].count(",") >= 3:
            findings.error(
                f"{place}: {printable(words[-1])!r}; expected x1,y1,x2,y2,class: correct the line"
            )
            continue
        picture = path.parent / " ".join(words)
        try:
            size = read_header(picture).size
        except DatasetError as error:
            findings.error(f"{place}: {error}")
            continue
        marked = []
        for i, box in enumerate(boxes, 1):
            *corners, class_id = (float(n) for n in box.split(","))
            if class_id not in range(len(classes)):
                findings.error(
                    f"{place}: box {i}: class {class_id:g}; expected 0 to {len(classes) - 1}: "
                    "correct the line or the class list"
                )
                continue
            marked.append(MarkedObject(f"box {i}", int(class_id), tuple(corners)))
        arrays = check_objects(marked, size, file=place, findings=findings)
        samples.append(Sample(picture, size=size, image_id=picture.stem, **arrays))
    findings.finish(collect)
    return samples
