"""Text files of boxes, one a picture, as Cartucho's mAP tool and the tutorial's map_out have them.

A line of `detection-results/` is `class score left top right bottom`, one of `ground-truth/` is
`class left top right bottom`, with `difficult` behind it where the object is. A class's name may
hold blanks. VOC's kit has a file a class, `comp4_det_test_CLASS.txt`, with the picture's name in
the class's place; Darknet's `detector valid` writes it, too.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from yolo.data.sample import Sample
from yolo.errors import DatasetError
from yolo.system.reading import printable, read_lines_of, shortened

RESULTS, TRUTH = "detection-results", "ground-truth"
_LOOKED_AT = 20  # files by which a folder is recognised
_OF_KIT = re.compile(r"comp\d_det_[a-z0-9]+_(.+)")

Line = tuple[str, tuple[float, ...]]


def folder_of(path: Path, name: str) -> Path | None:
    """Return the folder of text files that is meant: itself, or one of that name in it."""
    for folder in (path / name, path / "input" / name, path):
        if folder.is_dir() and _files(folder):
            return folder
    return None


def is_truth(path: Path) -> bool:
    """Tell whether a folder holds ground truth in this form, be its boxes any or not.

    YOLO's labels look alike, but their numbers are shares: one above 1 tells.
    """
    folder = folder_of(path, TRUTH)
    if folder is None:
        return False
    if folder.name == TRUTH:
        return True
    files = [file for file in _files(folder) if file.stat().st_size][:_LOOKED_AT]
    try:
        lines = [line for file in files for line in read_lines_of(file)]
    except DatasetError:
        return False
    found = [_numbers(line.removesuffix(" difficult"), 4) for line in map(str.strip, lines) if line]
    return bool(found) and all(found) and any(one and max(one[1]) > 1 for one in found)


def read_truth(path: Path) -> tuple[list[Sample], tuple[str, ...]]:
    """Read ground truth; there are no pictures, and a picture's size is as far as its boxes reach.

    Returns:
        One sample a file, in the order of their names, and the class names, sorted.
    """
    expected = "class left top right bottom [difficult]"
    there = _files(folder_of(path, TRUTH) or path)
    files = {file: list(_lines(file, _objects, expected)) for file in there}
    marked = [name for lines in files.values() for name, _ in lines]
    classes = tuple(sorted(set(marked)))
    if not classes:
        raise DatasetError(f"{printable(path)}: no object in its text files")
    return [_sample(file, lines, classes) for file, lines in files.items()], classes


def read_detections(path: Path) -> Iterator[tuple[str, str, float, tuple[float, ...]]]:
    """Read what was found.

    Yields:
        The picture's name without suffix, the class, the score, and left, top, right, bottom.

    Raises:
        DatasetError: there are no files, or a line is none; the message names it.
    """
    folder = folder_of(path, RESULTS)
    if folder is None:
        raise DatasetError(
            f"{printable(path)}: no results; expected a JSON file in COCO's results format, or "
            "text files of lines 'class score left top right bottom', one a picture"
        )
    for file in _files(folder):
        kit = _OF_KIT.fullmatch(file.stem)
        expected = f"{'picture' if kit else 'class'} score left top right bottom"
        for name, numbers in _lines(file, _found, expected):
            names = (name, kit[1]) if kit else (file.stem, name)
            yield *names, numbers[0], numbers[1:]


def of_kit(path: Path) -> bool:
    """Tell whether results are those of VOC's kit, a file a class."""
    folder = folder_of(path, RESULTS)
    return folder is not None and all(_OF_KIT.fullmatch(file.stem) for file in _files(folder))


def _files(folder: Path) -> list[Path]:
    return sorted(
        file for file in folder.glob("*.txt")
        if file.is_file() and not file.name.startswith("._") and file.name != "classes.txt"
    )  # fmt: skip


def _lines(file: Path, parse, expected: str) -> Iterator[Line]:
    for number, line in enumerate(read_lines_of(file), 1):
        if not line.strip():
            continue
        found = parse(line)
        if found is None:
            raise DatasetError(
                f"{printable(file)}:{number}: {shortened(line)}; expected '{expected}': "
                f"{_remedy(line)}"
            )
        yield found


def _remedy(line: str) -> str:
    """Return what to do about a line that is none, by what its numbers could be otherwise."""
    try:
        numbers = [float(word) for word in line.split()[1:]]
    except ValueError:
        return "correct the line"
    if len(numbers) == 5 and all(0 <= n <= 1 for n in numbers):
        return "shares of the picture, as in YOLO's labels, do not go: save COCO's results format"
    if len(numbers) in (4, 5) and min(numbers[-4:]) >= 0 and min(numbers[-2:]) > 0:
        return "write left + width and top + height, if they are width and height"
    return "correct the line"


def _objects(line: str) -> Line | None:
    """Return class and corners, with a fifth number, 1, for a difficult object."""
    words = line.split()
    difficult = words[-1] == "difficult"
    found = _numbers(" ".join(words[:-1]) if difficult else line, 4)
    return (found[0], (*found[1], float(difficult))) if found and _are_corners(found) else None


def _found(line: str) -> Line | None:
    found = _numbers(line, 5)
    return found if found and 0 <= found[1][0] <= 1 and _are_corners(found) else None


def _are_corners(found: Line) -> bool:
    left, top, right, bottom = found[1][-4:]
    return left <= right and top <= bottom


def _numbers(line: str, count: int) -> Line | None:
    """Return a class and the numbers behind it, None where they are not so many."""
    words = line.split()
    try:
        numbers = tuple(float(word) for word in words[-count:])
    except ValueError:
        return None
    name = " ".join(words[:-count])
    if not name or len(numbers) < count or not all(map(math.isfinite, numbers)):
        return None
    return name, numbers


def _sample(file: Path, lines: list[Line], classes: tuple[str, ...]) -> Sample:
    numbers = np.array([numbers for _, numbers in lines], np.float64).reshape(-1, 5)
    boxes, difficult = numbers[:, :4].astype(np.float32), numbers[:, 4] > 0
    right, bottom = np.ceil(boxes[:, 2:].max(axis=0, initial=1)).astype(int)
    return Sample(
        file, boxes, np.array([classes.index(name) for name, _ in lines], np.int32), difficult,
        np.zeros(len(lines), bool), (int(bottom) + 1, int(right) + 1), file.stem,
    )  # fmt: skip
