"""Data sets in PASCAL VOC format: Annotations, JPEGImages and ImageSets/Main; read and written.

Boxes in the files count pixels from 1 and name the last pixel inside; they come out as half-open
boxes (x1 = xmin - 1, x2 = xmax). A data set in which any xmin or ymin is 0 counts from 0, and its
boxes are taken as they are.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple
from xml.etree.ElementTree import Element
from xml.sax.saxutils import escape

from yolo.boxes.detections import Detections
from yolo.data.annotated import Labelled, MarkedObject
from yolo.data.dataset import DataSet
from yolo.data.findings import short_list
from yolo.data.formats.safe_xml import read_xml
from yolo.data.formats.voc_layout import Member, find_layout
from yolo.data.formats.voc_object import objects_of
from yolo.data.frames import are_shares
from yolo.data.pairing import PICTURE_FOLDERS
from yolo.data.sample import Named
from yolo.data.source import Source
from yolo.errors import DatasetError
from yolo.system.reading import printable, read_lines_of
from yolo.system.writing import add_text

log = logging.getLogger("yolo")

CLASS_LIST = "classes.txt"  # beside the folders; the format itself has no order of classes
LEAST_SIDE = 1.001  # pixels; a box of one would begin and end at the same coordinate

# ---------------------------------------------------------------------------------- to read


class VocFolder(DataSet):
    """A folder in VOC format, whatever tool wrote it, opened.

    Without lists in ImageSets/Main or folders called train, valid and test a seed divides the
    pictures. Annotation and picture belong together by their names: <filename>, <folder> and
    <path> are not looked at.
    """

    counts_pixels = True
    size_note = "<size> is not the picture's, whose own is used"

    def __init__(self, source: Source):
        self._source, (members, lists, note) = source, find_layout(source)
        # With none at all, the annotations still say what results are scored against.
        self._shown = bool(len(source.pictures)) or any(
            name.lower() in PICTURE_FOLDERS for name in source.folders
        )
        self._members = members
        self._annotations = {
            key: self._parsed(one.annotation) for key, one in members.items() if one.annotation
        }
        super().__init__(
            source.root,
            {name: [self._labelled(key) for key in keys] for name, keys in lists.items()}
            if lists
            else [self._labelled(key) for key in sorted(members)],
            _in_order(source, {item.name for _, item in self._objects() if item.name}),
            f"VOC XML{note}",
        )
        self._first: int | None = None

    def _parsed(self, name: str) -> Labelled:
        """Return what an annotation holds, or what is wrong with its file."""
        try:
            return read_annotation(self._source.own_path(name))
        except DatasetError as error:
            place = printable(self._source.text_path(name))
            return Labelled(None, "", place, size_place=place, faults=(str(error),))

    def _labelled(self, key: str) -> Labelled:
        """Return what is known of an id; a list can name nothing but what the folders hold."""
        name, pictures, others = self._members.get(key, Member(None, ()))
        places, fault, leads_out, path = self._source.pictures, "", "", None
        wanted = printable(self._source.text_path(name or self._usual_name(key)))
        if pictures:
            path, leads_out = places.path(pictures[0]), places.source.leads_out(pictures[0])
        elif name is None:
            fault = f"{wanted}: no such annotation: add it or take the name off the list"
        elif self._shown:
            fault = (
                f"{wanted}: no picture {printable(key)}.jpg (or another type) in "
                f"{printable(places.source.root)} or below{places.hint(f'{key}.jpg')}: add it or "
                "remove the annotation"
            )
        kind = "several annotations for one picture, the first taken"
        repairs = [(kind, f"{wanted}, not {printable(other)}") for other in others]
        if len(pictures) > 1:
            kind = "several pictures for one annotation, the first taken"
            repairs.insert(0, (kind, short_list(map(printable, pictures))))
        place = wanted if name or path is None else printable(path)
        found = self._annotations.get(key) or Labelled(None, key, place)
        return replace(
            found, path=path, image_id=key, place=place, repairs=tuple(repairs),
            faults=(fault, *found.faults, leads_out),
            unlabelled=name is None and path is not None,
        )  # fmt: skip

    def need_pictures(self) -> None:
        """Refuse a folder of annotations alone."""
        if not self._shown:
            raise DatasetError(
                f"{printable(self.root)}: has annotations but no JPEGImages: put the pictures "
                "there, or name their folder with --images DIR"
            )

    def _usual_name(self, key: str) -> str:
        """Return where the annotation that a list names in vain should lie."""
        others = (one.annotation for one in self._members.values() if one.annotation)
        folder, slash, _ = next(others, "Annotations/").rpartition("/")
        return f"{folder}{slash}{key}.xml"

    def _objects(self) -> Iterable[tuple[str, MarkedObject]]:
        """Return every object that can be read, with the stem of its annotation."""
        return ((key, item) for key, one in self._annotations.items() for item in one.objects)

    def _first_pixel(self, choice: str) -> int:
        """Return what the annotations count pixels from; where it is 0 of itself, say so once."""
        if choice != "auto":
            return int(choice)
        if self._first is None:
            # What lies around a rotated box or a polygon tells nothing.
            boxes = [(name, one.box) for name, one in self._objects() if one.box and not one.repair]
            shares = are_shares(box for _, box in boxes)
            there = [n for n, box in boxes if not shares and any(0 <= c < 1 for c in box[:2])]
            self._first = int(not there)
            if there:
                log.info(
                    "%s: pixels are counted from 0: %d of %d boxes start there, the first in "
                    "%s.xml (--first-pixel 1 if those are mistakes)",
                    printable(self.root), len(there), len(boxes), printable(there[0]),
                )  # fmt: skip
        return self._first


def _in_order(source: Source, found: set[str]) -> list[str]:
    """Return class names in the order of a classes.txt that has them all, else sorted."""
    listed = list[str]()
    if CLASS_LIST in source.names and not source.leads_out(CLASS_LIST):
        lines = read_lines_of(source.path(CLASS_LIST), max_bytes=1 << 20)
        listed = list(dict.fromkeys(line.strip() for line in lines if line.strip()))
    return listed if found and found.issubset(listed) else sorted(found)


def read_annotation(path: str | os.PathLike) -> Labelled:
    """Parse an annotation file, boxes as written, with no look for its picture.

    Raises:
        DatasetError: it is no annotation; see `safe_xml.read_xml`.
    """
    root, lines = read_xml(path, "annotation")
    size, place = root.find("size"), printable(path)
    found = enumerate(zip(root.findall("object"), lines["object"], strict=True), 1)
    return Labelled(
        None, "", place,
        [marked for number, one in found for marked in objects_of(number, *one)],
        None if size is None else _size_of(size),
        place if size is None else f"{place}:{lines['size'][0]}",
    )  # fmt: skip


def _size_of(element: Element) -> tuple[int, int] | None:
    try:
        height, width = (int(float(element.findtext(n, ""))) for n in ("height", "width"))
    except (ValueError, OverflowError):
        return None
    return height, width


# --------------------------------------------------------------------------------- to write


class LabelledObject(NamedTuple):
    """One object: class name, half-open box in pixels, and the VOC flags."""

    name: str
    box: Sequence[float]
    truncated: bool = False
    difficult: bool = False


def annotation_xml(filename: str, size: tuple[int, int], objects: Iterable) -> str:
    """Write an annotation in PASCAL VOC format: pixels counted from 1, the last one inside.

    Objects have `name`, `box` (half-open pixels, of which four decimals are kept), `truncated` and
    `difficult`, as a `LabelledObject` has them.

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
            "    <bndbox>",
            f"      <xmin>{_shown(x1 + 1)}</xmin>\n      <ymin>{_shown(y1 + 1)}</ymin>",
            f"      <xmax>{_shown(x2)}</xmax>\n      <ymax>{_shown(y2)}</ymax>",
            "    </bndbox>\n  </object>",
        ]
    return "\n".join([*lines, "</annotation>", ""])


def _shown(value: float) -> str:
    """Return a coordinate as text, with four decimals at most: 12, 12.5."""
    return f"{value:.4f}".rstrip("0").rstrip(".")


def write_labels(folder: Path, splits: Named, classes: Sequence[str]) -> dict[str, int]:
    """Write annotations, lists, and the order of the classes; see `convert.Writer`.

    Boxes of a pixel are left out, because readers take them for slips of the mouse.
    """
    written, small, crowds = set(), 0, 0
    for split, samples in splits.items():
        stems = [name.rpartition(".")[0] for name, _ in samples]
        lines = "".join(f"{stem}\n" for stem in stems)
        add_text(folder / "ImageSets" / "Main" / f"{split}.txt", lines)
        for stem, (name, sample) in zip(stems, samples, strict=True):
            if name in written:
                continue
            written.add(name)
            boxes = sample.boxes_xyxy.tolist()
            objects = [
                LabelledObject(classes[i], box, bool(truncated), bool(difficult))
                for i, box, truncated, difficult in zip(
                    sample.class_ids, boxes, sample.truncated, sample.difficult, strict=True
                )
                if box[2] - box[0] > LEAST_SIDE and box[3] - box[1] > LEAST_SIDE
            ]
            small += len(boxes) - len(objects)
            crowds += int(sample.crowd.sum())
            text = annotation_xml(name, sample.size, objects)
            add_text(folder / "Annotations" / f"{stem}.xml", text)
    add_text(folder / CLASS_LIST, "".join(f"{name}\n" for name in classes))
    return {
        "boxes of a pixel a side or less, left out": small,
        "regions of many, written as difficult objects": crowds,
    }


def detections_xml(found: Detections, filename: str, size: tuple[int, int]) -> str:
    """Return what was found as an annotation file, to correct in a labelling tool.

    Corners are rounded to whole pixels inside the picture; a box gets at least two pixels a
    side, because readers take one of a single pixel for a slip of the mouse. An object at
    the picture's edge is marked as truncated. Scores have no place in the format.
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
