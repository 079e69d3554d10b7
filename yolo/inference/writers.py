"""What prediction leaves on the disk: JSON, tables, annotations, crops; one class for each form."""

from __future__ import annotations

import contextlib
import csv
import io
import json
import logging
import os
import shutil
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, TextIO

import numpy as np

from yolo.boxes.detections import CSV_COLUMNS, Detections
from yolo.classes import COCO_CATEGORY_IDS, COCO_CLASSES
from yolo.data.formats import coco_results, voc
from yolo.errors import ConfigError, DatasetError, YoloError
from yolo.pictures.files import encode_image, write_image
from yolo.pictures.header import read_header
from yolo.system.reading import open_regular, printable
from yolo.system.writing import numbered, replacing, write_bytes, write_text

log = logging.getLogger("yolo")

_FORBIDDEN = '<>:"/\\|?*'  # in names of folders, on one system or another


@dataclass(frozen=True, eq=False)
class Result:
    """What was found in one picture or one frame.

    Args:
        source: what was looked at, as it is written down.
        stem: a name for its files that no other result of the run has.
        image: (H, W, 3) uint8 RGB.
        found: in pixels of `image`; what is shown.
        ranked: what is scored, where that is more.
        path: the picture file; None for a frame.
        frame: the number of the frame in its video, from 0; None for a picture.
        drawn: where it was drawn, or None.
    """

    source: str
    stem: str
    image: np.ndarray
    found: Detections
    path: Path | None = None
    frame: int | None = None
    drawn: Path | None = None
    ranked: Detections | None = None

    def to_json(self) -> dict:
        """Return `file`, `width`, `height`, `objects`; `frame` and `drawn` where there are such."""
        height, width = self.image.shape[:2]
        entry = {"file": self.source, "width": int(width), "height": int(height)}
        if self.frame is not None:
            entry["frame"] = self.frame
        entry["objects"] = self.found.to_json()
        if self.drawn is not None:
            entry["drawn"] = printable(self.drawn)
        return entry


class _Growing:
    """A text file that grows under another name, and takes its place when it is closed.

    Args:
        path: the file.
        start: what it begins with.
    """

    def __init__(self, path: Path, start: str):
        self.path, self._start = path, start
        self._file: TextIO | None = None
        self._place = contextlib.ExitStack()

    def write(self, text: str) -> None:
        """Add text; an error ends the file, and what has its name stays as it was."""
        with self._place as place:
            if self._file is None:
                temporary = place.enter_context(replacing(self.path))
                self._file = place.enter_context(
                    temporary.open("w", encoding="utf-8", errors="backslashreplace", newline="")
                )
                self._file.write(self._start)
            self._file.write(text)
            self._place = place.pop_all()

    def close(self, end: str = "") -> bool:
        """End the file with `end`, and tell whether it stands: not after an error in between."""
        if self._file is not None and self._file.closed:
            return False
        self.write(end)
        self._place.close()
        return True


class JsonFile:
    """`predictions.json`: a list with an entry for every picture.

    Until that is whole, `predictions.jsonl` grows beside it, a line for every entry: what is left
    if the process is killed. It is never written over.
    """

    def __init__(self, out: Path, classes):
        self.path = out / "predictions.json"
        self._whole, self._separator = _Growing(self.path, "["), ""
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
        self._file = _Growing(self.path, _csv_line(["file", "frame", *CSV_COLUMNS]))

    def add(self, result: Result) -> None:
        """Take over one result."""
        frame = "" if result.frame is None else result.frame
        for row in result.found.to_json():
            values = [row["class"], row["class_id"], row["score"], *row["box"]]
            self._file.write(_csv_line([result.source, frame, *values]))

    def close(self) -> None:
        """Write the file, whole or not at all."""
        self._file.close()


class CocoFile:
    """`coco_results.json`: COCO's results format; a picture's id is its number if it is named so.

    It is for scoring, and holds the ranking that `evaluate.py` looks at, far below what is shown.
    COCO names its pictures by their ids (000000000139.jpg is picture 139); others are named by
    their stems, and all by their file's name beside it. Categories are COCO's own ids where the
    detector knows COCO's 80 classes, else class id + 1 with the name beside it.
    """

    def __init__(self, out: Path, classes):
        self.path = out / "coco_results.json"
        self._file, self._separator = _Growing(self.path, "["), ""
        self._categories = COCO_CATEGORY_IDS if tuple(classes) == COCO_CLASSES else None

    def add(self, result: Result) -> None:
        """Take over one result."""
        stem = result.stem if result.path is None else result.path.stem
        image_id = int(stem) if stem.isascii() and stem.isdigit() else stem
        found = result.found if result.ranked is None else result.ranked
        name = "" if result.path is None else printable(result.path.name)
        for entry in coco_results.results(
            found, image_id, category_ids=self._categories, file_name=name
        ):
            self._file.write(self._separator + json.dumps(entry, ensure_ascii=False))
            self._separator = ", "

    def close(self) -> None:
        """Write the file, whole or not at all."""
        self._file.close("]\n")


class _ToCorrect:
    """A folder of annotations, to correct in a labelling tool, and the list of their classes.

    Raises:
        ConfigError: it holds annotations already, which may have been corrected by hand.
    """

    folder = labels = ""  # its name, and where in it the annotations lie

    def __init__(self, out: Path, classes):
        self.path = out / self.folder
        self._classes = classes
        if any(self.path.glob(self.labels)):
            raise ConfigError(
                f"{printable(self.path)}: holds annotations already, perhaps corrected by hand; "
                "move that folder away or name another --out"
            )

    def close(self) -> None:
        """Write the class list."""
        write_text(self.path / "classes.txt", "".join(f"{name}\n" for name in self._classes))


class VocFolder(_ToCorrect):
    """`voc/`: Annotations and JPEGImages, which one can also train on."""

    folder, labels = "voc", "Annotations/*.xml"

    def add(self, result: Result) -> None:
        """Write the annotation and, beside it, the picture: its file as it is, or the frame."""
        pictures = self.path / "JPEGImages"
        path = result.path
        if path is None:
            name = f"{result.stem}.jpg"
            write_bytes(pictures / name, encode_image(result.image, ".jpg"))
        else:
            kind = read_header(path).kind
            name = f"{result.stem}.{'jpg' if kind == 'jpeg' else kind}"
            with replacing(pictures / name) as temporary:
                shutil.copyfile(path, temporary)
        text = voc.detections_xml(result.found, name, result.image.shape[:2])
        write_text(self.path / "Annotations" / f"{result.stem}.xml", text)


class YoloFolder(_ToCorrect):
    """`yolo/`: labels as text files, and the class list that their numbers index."""

    folder, labels = "yolo", "labels/*.txt"

    def add(self, result: Result) -> None:
        """Write the label file; an empty one says that nothing was found."""
        text = result.found.to_yolo_text(result.image.shape[:2])
        write_text(self.path / "labels" / f"{result.stem}.txt", text)


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
        self._file = _Growing(self.path, _csv_line(["file", "frame", *classes, "all"]))
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
    "coco": CocoFile,
    "voc": VocFolder,
    "yolo": YoloFolder,
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
