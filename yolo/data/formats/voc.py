"""Data sets in PASCAL VOC format: Annotations, JPEGImages and ImageSets/Main; read and written.

Boxes in the files count pixels from 1 and name the last pixel inside; they come out as half-open
boxes (x1 = xmin - 1, x2 = xmax). A data set in which any xmin or ymin is 0 counts from 0, and its
boxes are taken as they are.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple
from xml.etree.ElementTree import Element
from xml.sax.saxutils import escape

from yolo.boxes.detections import Detections
from yolo.data.annotated import Labelled, MarkedObject
from yolo.data.dataset import DataSet
from yolo.data.findings import short_list
from yolo.data.formats.safe_xml import read_xml
from yolo.data.frames import are_shares
from yolo.data.source import Source
from yolo.errors import DatasetError
from yolo.pictures.header import PICTURE_SUFFIXES
from yolo.system.reading import inside, printable, read_lines_of, shortened

log = logging.getLogger("yolo")

CORNERS = ("xmin", "ymin", "xmax", "ymax")


# ---------------------------------------------------------------------------------- to read


def recognise(source: Source) -> bool:
    """Tell whether a folder is in VOC format, or holds such folders (VOCdevkit)."""
    if source.file:
        return False
    folders = (source.root, *source.root.iterdir())
    return any((folder / "Annotations").is_dir() for folder in folders)


def open_source(source: Source) -> VocFolder:
    """Open a folder in VOC format."""
    return VocFolder(source.root)


class VocFolder(DataSet):
    """A folder in VOC format, opened.

    Without lists in ImageSets/Main a seed divides the annotated pictures; of lists, those of
    single classes (dog_train.txt beside train.txt) are passed over. Annotation and picture belong
    together by their stem: <filename>, <folder> and <path> are not looked at.

    Args:
        root: the folder that holds Annotations and JPEGImages (VOCdevkit/VOC2007), or one that
            holds exactly one such folder (VOCdevkit).

    Raises:
        DatasetError: a folder is missing, or a list cannot be read. What is wrong with an
            annotation shows when it is used.
    """

    counts_pixels = True
    size_note = "<size> is not the picture's, whose own is used"

    def __init__(self, root: str | os.PathLike):
        self.folder = _folder(Path(root))
        files = sorted((self.folder / "Annotations").iterdir())
        paths = {path.stem: path for path in files if path.suffix.lower() == ".xml"}
        self._annotations = {path.stem: self._parsed(path) for path in paths.values()}
        lists, pictures = _lists(self.folder, paths.keys()), _pictures(self.folder)

        def labelled(stem: str) -> Labelled:
            return self._labelled(stem, paths.get(stem), pictures.get(stem, []))

        super().__init__(
            self.folder,
            {name: [labelled(stem) for stem in stems] for name, stems in lists.items()}
            if lists
            else [labelled(stem) for stem in sorted(paths)],
            sorted({item.name for _, item in self._objects() if item.name}),
            "VOC",
        )
        self._first: int | None = None

    def _parsed(self, path: Path) -> Annotation | str:
        """Return an annotation, or what is wrong with its file."""
        if fault := self._leads_out(path):
            return fault
        try:
            return read_annotation(path)
        except DatasetError as error:
            return str(error)

    def _leads_out(self, path: Path) -> str:
        """Return what is wrong with a link that leads out of the data set, "" for other files."""
        if inside(path, self.folder, path.parent):
            return ""
        return (
            f"{printable(path)}: a link that leads out of the data set: put the file itself "
            "there, or make the whole folder the link"
        )

    def _labelled(self, stem: str, path: Path | None, pictures: list[Path]) -> Labelled:
        """Return what is known of a stem; a list can name nothing but what the folders hold."""
        faults, repairs, annotation = [], [], self._annotations.get(stem, NOTHING)
        wanted = printable(path or self.folder / "Annotations" / f"{stem}.xml")
        if path is None:
            faults.append(f"{wanted}: no such annotation: add it or take the name off the list")
        if not pictures:
            faults.append(
                f"{wanted}: no picture {printable(stem)}.jpg (or another type) in "
                f"{printable(self.folder / 'JPEGImages')}: add it or take the name off the list"
            )
        elif len(pictures) > 1:
            names = short_list(printable(picture.name) for picture in pictures)
            repairs.append(("several pictures for one annotation, the first taken", names))
        if isinstance(annotation, str):
            faults.append(annotation)
            annotation = NOTHING
        if pictures and (fault := self._leads_out(pictures[0])):
            faults.append(fault)
        line = "" if annotation.size_line is None else f":{annotation.size_line}"
        return Labelled(
            pictures[0] if pictures else None, stem, wanted, annotation.objects,
            annotation.size, f"{wanted}{line}", tuple(faults), tuple(repairs),
        )  # fmt: skip

    def _objects(self) -> Iterable[tuple[str, MarkedObject]]:
        """Return every object that can be read, with the stem of its annotation."""
        for stem, found in self._annotations.items():
            yield from () if isinstance(found, str) else ((stem, one) for one in found.objects)

    def _first_pixel(self, choice: str) -> int:
        """Return what the annotations count pixels from; where it is 0 of itself, say so once."""
        if choice != "auto":
            return int(choice)
        if self._first is None:
            boxes = [(name, item.box) for name, item in self._objects() if item.box]
            if are_shares(box for _, box in boxes):
                boxes = []
            there = [name for name, box in boxes if any(0 <= n < 1 for n in box[:2])]
            self._first = int(not there)
            if there:
                log.info(
                    "%s: pixels are counted from 0: %d of %d boxes start there, the first in "
                    "%s.xml (--first-pixel 1 if those are mistakes)",
                    printable(self.folder), len(there), len(boxes), printable(there[0]),
                )  # fmt: skip
        return self._first


def _folder(root: Path) -> Path:
    if (root / "Annotations").is_dir():
        if not (root / "JPEGImages").is_dir():
            raise DatasetError(
                f"{printable(root)}: has Annotations but no JPEGImages: put the pictures there"
            )
        return root
    inner = sorted(path for path in root.iterdir() if (path / "Annotations").is_dir())
    if len(inner) > 1:
        names = short_list(printable(path.name) for path in inner)
        raise DatasetError(
            f"{printable(root)}: of folders in VOC format it holds several: {names}: name one"
        )
    return _folder(inner[0])


def _lists(folder: Path, stems: Iterable[str]) -> dict[str, list[str]]:
    """Return the stems that each list names, in its order."""
    files = sorted((folder / "ImageSets" / "Main").glob("*.txt"))
    names, known = {path.stem for path in files}, set(stems)
    return {
        path.stem: _read_list(path, known)
        for path in files
        if path.stem.rpartition("_")[2] not in names - {path.stem}
    }


def _read_list(path: Path, stems: set[str]) -> list[str]:
    lines = read_lines_of(path)
    found: dict[str, None] = {}
    for line in lines:
        stem = line.strip()
        if stem and stem not in stems:
            name, _, flag = stem.rpartition(" ")
            if flag in ("1", "-1", "0"):  # a list of one class marks where the class occurs
                stem = name.strip()
        if stem and stem not in stems and Path(stem).suffix.lower() in PICTURE_SUFFIXES:
            stem = stem[: stem.rindex(".")]
        if stem in found:
            log.warning(
                "%s: %s stands there twice; it is read once", printable(path), printable(stem)
            )
        elif stem:
            found[stem] = None
    return list(found)


def _pictures(folder: Path) -> dict[str, list[Path]]:
    """Index the pictures by stem, whatever the case of their extension."""
    found: dict[str, list[Path]] = {}
    for path in sorted((folder / "JPEGImages").iterdir()):
        if path.suffix.lower() in PICTURE_SUFFIXES:
            found.setdefault(path.stem, []).append(path)
    for paths in found.values():
        paths.sort(key=lambda p: PICTURE_SUFFIXES.index(p.suffix.lower()))
    return found


class Annotation(NamedTuple):
    """One annotation file.

    Args:
        objects: the direct <object> children, in order; <part>s are no objects.
        size: (height, width) as <size> says, None where it is missing or no number.
        size_line: where <size> stands in the file, counted from 1; None where it is missing.
    """

    objects: tuple[MarkedObject, ...]
    size: tuple[int, int] | None
    size_line: int | None


NOTHING = Annotation((), None, None)


def read_annotation(path: str | os.PathLike) -> Annotation:
    """Parse an annotation file, boxes as written.

    Raises:
        DatasetError: it is no annotation; see `safe_xml.read_xml`.
    """
    root, lines = read_xml(path, "annotation")
    size, found = root.find("size"), enumerate(root.findall("object"), 1)
    return Annotation(
        tuple(_object(*one, line) for one, line in zip(found, lines["object"], strict=True)),
        None if size is None else _size_of(size),
        None if size is None else lines["size"][0],
    )


def _size_of(element: Element) -> tuple[int, int] | None:
    try:
        height, width = (int(float(element.findtext(n, ""))) for n in ("height", "width"))
    except (ValueError, OverflowError):
        return None
    return height, width


def _object(number: int, element: Element, line: int) -> MarkedObject:
    name = (element.findtext("name") or "").strip()
    fault = "" if name else "no <name>"
    box, numbers = element.find("bndbox"), []
    if box is None:
        fault = fault or "no <bndbox>"
    else:
        for corner in CORNERS:
            text = (box.findtext(corner) or "").strip()
            try:
                numbers.append(float(text if "_" not in text else "no number"))
            except ValueError:
                found = shortened(text) if text else "no value"
                fault = fault or f"<{corner}> holds {found}; expected a number"
    difficult, truncated = (
        (element.findtext(flag) or "").strip() == "1" for flag in ("difficult", "truncated")
    )
    return MarkedObject(
        f"object {number} ({shortened(name)})", name,
        (numbers[0], numbers[1], numbers[2], numbers[3]) if len(numbers) == 4 else None,
        difficult, truncated, line, fault and f"{fault}: correct the file",
    )  # fmt: skip


# --------------------------------------------------------------------------------- to write


class LabelledObject(NamedTuple):
    """One object: class name, half-open box in whole pixels, and the VOC flags."""

    name: str
    box: tuple[int, int, int, int]
    truncated: bool = False
    difficult: bool = False


def annotation_xml(filename: str, size: tuple[int, int], objects: Iterable) -> str:
    """Write an annotation in PASCAL VOC format: pixels counted from 1, the last one inside.

    Args:
        filename: of the picture, without a folder.
        size: (height, width) of the picture.
        objects: what it shows, each with `name`, `box` (half-open, whole pixels), `truncated`
            and `difficult`, as a `LabelledObject` has them.

    Returns:
        The XML text.

    Example:
        >>> text = annotation_xml("1.jpg", (9, 9), [LabelledObject("star", (0, 0, 4, 9))])
        >>> [line.strip() for line in text.splitlines() if "min" in line or "max" in line]
        ['<xmin>1</xmin>', '<ymin>1</ymin>', '<xmax>4</xmax>', '<ymax>9</ymax>']
    """
    lines = [
        "<annotation>",
        "  <folder>VOC2007</folder>",
        f"  <filename>{escape(filename)}</filename>",
        f"  <size>\n    <width>{size[1]}</width>\n    <height>{size[0]}</height>\n"
        "    <depth>3</depth>\n  </size>",
        "  <segmented>0</segmented>",
    ]
    for item in objects:
        x1, y1, x2, y2 = item.box
        lines += [
            f"  <object>\n    <name>{escape(item.name)}</name>",
            "    <pose>Unspecified</pose>",
            f"    <truncated>{item.truncated:d}</truncated>",
            f"    <difficult>{item.difficult:d}</difficult>",
            f"    <bndbox>\n      <xmin>{x1 + 1}</xmin>\n      <ymin>{y1 + 1}</ymin>",
            f"      <xmax>{x2}</xmax>\n      <ymax>{y2}</ymax>\n    </bndbox>\n  </object>",
        ]
    return "\n".join([*lines, "</annotation>", ""])


def detections_xml(found: Detections, filename: str, size: tuple[int, int]) -> str:
    """Return what was found as an annotation file, to correct in a labelling tool.

    Corners are rounded to whole pixels inside the picture; a box gets at least two pixels a
    side, because readers take one of a single pixel for a slip of the mouse. An object at
    the picture's edge is marked as truncated. Scores have no place in the format.

    Args:
        found: the detections, in pixels of the picture.
        filename: of the picture, without a folder.
        size: (height, width) of the picture.
    """
    objects, inside_it = [], found.clipped(size)
    for label, box in zip(inside_it.labels, inside_it.boxes_xyxy, strict=True):
        sides = [_whole_side(box[axis], box[axis + 2], size[1 - axis]) for axis in (0, 1)]
        (x1, x2), (y1, y2) = sides
        cut = x1 == 0 or y1 == 0 or x2 == size[1] or y2 == size[0]
        objects.append(LabelledObject(label, (x1, y1, x2, y2), truncated=cut))
    return annotation_xml(filename, size, objects)


def _whole_side(low: float, high: float, length: int) -> tuple[int, int]:
    """Round one side of a box to whole pixels inside 0..length, two of them at least."""
    low, high = round(float(low)), round(float(high))
    if high - low < 2:
        low = max(0, min(low, length - 2))
        high = min(length, low + 2)
    return low, high
