"""What prediction leaves on the disk: JSON, tables, crops, and `prelabels`; a class for each."""

from __future__ import annotations

import contextlib
import csv
import io
import json
import logging
import os
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from yolo.boxes.detections import CSV_COLUMNS
from yolo.classes import COCO_CATEGORY_IDS, COCO_CLASSES
from yolo.data.formats import coco_results
from yolo.errors import DatasetError, YoloError
from yolo.inference import prelabels
from yolo.inference.results import GrowingFile, Result
from yolo.pictures.files import write_image
from yolo.system.reading import open_regular, printable
from yolo.system.writing import numbered

log = logging.getLogger("yolo")

_FORBIDDEN = '<>:"/\\|?*'  # in names of folders, on one system or another


class JsonFile:
    """`predictions.json`: a list with an entry for every picture.

    Until that is whole, `predictions.jsonl` grows beside it, a line for every entry: what is left
    if the process is killed. It is never written over.
    """

    def __init__(self, out: Path, classes):
        self.path = out / "predictions.json"
        self._whole, self._separator = GrowingFile(self.path, "["), ""
        self._lines: BinaryIO | None = None

    def add(self, result: Result) -> None:
        """Take over one result."""
        entry = result.to_json()
        self._add_line(json.dumps(entry, ensure_ascii=False))
        text = json.dumps([entry], ensure_ascii=False, indent=1)
        self._whole.write(self._separator + text[1:-2])  # without the brackets of a list
        self._separator = ","

    def _add_line(self, text: str) -> None:
        path = self.path.with_suffix(".jsonl")
        try:
            if self._lines is None:
                self._lines = _new_file(path)
            self._lines.write((text + "\n").encode("utf-8", "backslashreplace"))
            self._lines.flush()
        except OSError as error:
            raise YoloError(
                f"{printable(path)}: cannot be written ({error.strerror or error})"
            ) from error

    def close(self) -> None:
        """Write the file, whole or not at all; only if it stands, the lines go."""
        if self._lines is not None:
            with contextlib.suppress(OSError):  # what could not be written was said then
                self._lines.close()
        stands = self._whole.close("\n]\n" if self._separator else "]\n")
        if self._lines is not None and stands:
            Path(self._lines.name).unlink(missing_ok=True)


def _new_file(path: Path) -> BinaryIO:
    """Open a file that is not there yet: of this name, or of it with the first free number."""
    path.parent.mkdir(parents=True, exist_ok=True)
    for name in numbered(path):
        with contextlib.suppress(FileExistsError):
            file = name.open("xb")
            break
    if name != path:
        log.warning(
            "%s: of a run that was killed, or still goes on; it stays, and this run writes %s",
            printable(path), name.name,
        )  # fmt: skip
    return file


def _csv_line(values: Iterable) -> str:
    line = io.StringIO()
    csv.writer(line, lineterminator="\n").writerow(values)
    return line.getvalue()


class CsvFile:
    """`predictions.csv`: a line for every object."""

    def __init__(self, out: Path, classes):
        self.path = out / "predictions.csv"
        self._file = GrowingFile(self.path, _csv_line(["file", "frame", *CSV_COLUMNS]))

    def add(self, result: Result) -> None:
        """Take over one result."""
        frame = "" if result.frame is None else result.frame
        for row in result.found.to_json():
            values = [row["class"], row["class_id"], row["score"], *row["box"]]
            self._file.write(_csv_line([result.source, frame, *values]))

    def close(self) -> None:
        """Write the file, whole or not at all."""
        self._file.close()


class CocoResultsFile:
    """`coco_results.json`: COCO's results format; a picture's id is its number if it is named so.

    It is for scoring, and holds the ranking that `evaluate.py` looks at, far below what is shown.
    COCO names its pictures by their ids (000000000139.jpg is picture 139); others are named by
    their stems, and all by their file's path beside it. Categories are COCO's own ids where the
    detector knows COCO's 80 classes, else class id + 1 with the name beside it.
    """

    def __init__(self, out: Path, classes):
        self.path = out / "coco_results.json"
        self._file, self._separator = GrowingFile(self.path, "["), ""
        self._categories = COCO_CATEGORY_IDS if tuple(classes) == COCO_CLASSES else None

    def add(self, result: Result) -> None:
        """Take over one result."""
        stem = result.stem if result.path is None else result.path.stem
        image_id = int(stem) if stem.isascii() and stem.isdigit() else stem
        found = result.found if result.ranked is None else result.ranked
        name = "" if result.path is None else printable(result.path.as_posix())
        for entry in coco_results.results(
            found, image_id, category_ids=self._categories, file_name=name
        ):
            self._file.write(self._separator + json.dumps(entry, ensure_ascii=False))
            self._separator = ", "

    def close(self) -> None:
        """Write the file, whole or not at all."""
        self._file.close("]\n")


class Crops:
    """`crops/<class>/`: every object cut out."""

    def __init__(self, out: Path, classes):
        self.path = out / "crops"

    def add(self, result: Result) -> None:
        """Write the crops of one picture, numbered best first."""
        height, width = result.image.shape[:2]
        for number, (label, box) in enumerate(
            zip(result.found.labels, result.found.boxes_xyxy, strict=True), 1
        ):
            x1, y1 = np.maximum(np.floor(box[:2]).astype(int), 0)
            x2, y2 = np.minimum(np.ceil(box[2:]).astype(int), (width, height))
            if x1 < x2 and y1 < y2:
                folder = self.path / folder_name(label)
                write_image(folder / f"{result.stem}_{number}.jpg", result.image[y1:y2, x1:x2])

    def close(self) -> None:
        """Nothing is left to write."""


class CountsFile:
    """`counts.csv`: how many objects of each class every picture shows, and all together."""

    def __init__(self, out: Path, classes):
        self.path, self._classes = out / "counts.csv", classes
        self._file = GrowingFile(self.path, _csv_line(["file", "frame", *classes, "all"]))
        self._total: Counter[int] = Counter()

    def add(self, result: Result) -> None:
        """Take over one result."""
        counts = Counter(result.found.class_ids.tolist())
        self._total += counts
        frame = "" if result.frame is None else result.frame
        self._file.write(_csv_line([result.source, frame, *self._in_order(counts)]))

    def close(self) -> None:
        """Write the file, whole or not at all."""
        self._file.close(_csv_line(["total", "", *self._in_order(self._total)]))

    def _in_order(self, counts: Counter) -> list[int]:
        return [*(counts[i] for i in range(len(self._classes))), counts.total()]


# The words of --save; option_values.SAVE_KINDS lists them, too, for --help without NumPy.
WRITERS: dict[str, Callable[..., Any]] = {
    "json": JsonFile,
    "csv": CsvFile,
    "coco-results": CocoResultsFile,
    **prelabels.WRITERS,
    "crops": Crops,
    "counts": CountsFile,
}


def folder_name(label: str) -> str:
    """Return a class name as the name of a folder, on any system.

    Example:
        >>> folder_name("a/b"), folder_name(".."), folder_name("猫")
        ('a_b', '__', '猫')
    """
    name = "".join("_" if c in _FORBIDDEN or not c.isprintable() else c for c in label)
    return "_" * len(name) if not name.strip(". ") else name


MARK = b"drawn by keras-focal, which may write over it"

_NEAR = 4096  # bytes from the beginning within which a JPEG's comment stands


def is_drawn(path: str | os.PathLike) -> bool:
    """Tell whether a picture or video has the mark; False, too, for what cannot be read."""
    try:
        with open_regular(path, max_bytes=1 << 50) as file:
            if MARK in file.read(_NEAR):
                return True
            file.seek(max(0, file.seek(0, os.SEEK_END) - len(MARK)))
            return file.read() == MARK
    except (DatasetError, OSError):
        return False
