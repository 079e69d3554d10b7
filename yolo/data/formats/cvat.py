"""CVAT's own XML, "CVAT for images 1.1": written to be corrected there, and read."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from xml.etree.ElementTree import Element
from xml.sax.saxutils import escape, quoteattr

from yolo.boxes.detections import Detections
from yolo.data.annotated import Box, Labelled, MarkedObject, hull, number_of, rotated
from yolo.data.dataset import DataSet
from yolo.data.formats.safe_xml import read_xml
from yolo.data.formats.voc_object import POLYGON, ROTATED
from yolo.data.pairing import grouped
from yolo.data.source import Source
from yolo.data.split_names import role_of
from yolo.data.unnamed import add_unnamed
from yolo.errors import DatasetError
from yolo.system.reading import printable, shortened

END = "</annotations>\n"
NAME = "annotations.xml"
PICTURES = 20  # times the limits of an annotation of one picture
OTHER = "shapes that are neither boxes nor polygons left out"
_LOOKED_AT = 20
_OUTERMOST = re.compile(rb"<annotations[\s>]")
_CORNERS = ("xtl", "ytl", "xbr", "ybr")


# ---------------------------------------------------------------------------------- to read


def recognise(source: Source) -> bool:
    """Tell whether a data set is described by CVAT's own XML."""
    return bool(_files(source))


def _files(source: Source) -> list[str]:
    """Return the file that was named, or one at the top and in each folder.

    That is annotations.xml, or the first other.
    """
    near = [name for name in source.with_suffix(".xml") if name.count("/") < 2]
    near.sort(key=lambda name: name.rpartition("/")[2] != NAME)
    names = near[:_LOOKED_AT] if source.file is None else [source.named]
    found = grouped(
        (name for name in names if _OUTERMOST.search(source.head(name))),
        lambda name: name.rpartition("/")[0],
    )
    return [of_folder[0] for _, of_folder in sorted(found.items())]


def open_source(source: Source) -> DataSet:
    """Open CVAT's own XML, annotations.xml, with the pictures in images/ or wherever they lie.

    Of polygons and rotated boxes the upright box around them is taken. Classes come in the order of
    the tasks' labels, and splits are their subsets; where several tasks lie in a folder, one in
    each of its own, those folders may be called as splits.
    """
    classes, splits = list[str](), dict[str, list[Labelled]]()
    for name in _files(source) or [source.named or NAME]:
        path, folder = source.own_path(name), name.rpartition("/")[0]
        root, lines = read_xml(path, "annotations", pictures=PICTURES)
        if root.find("track") is not None:
            raise DatasetError(
                f"{printable(path)}: tracks of a video, whose pictures are not here: "
                "export COCO or YOLO from CVAT, with images"
            )
        classes += [(label.text or "").strip() for label in root.iterfind("meta//label/name")]
        usual = folder if role_of(folder) else "default"
        for element, line in zip(root.findall("image"), lines["image"], strict=True):
            split, place = element.get("subset") or usual, f"{printable(path)}:{line}"
            one = _labelled(source, element, (folder, split), place)
            splits.setdefault(split, []).append(one)
    add_unnamed(source, splits)
    objects = (item for part in splits.values() for one in part for item in one.objects)
    named = {item.name for item in objects if item.repair != OTHER}
    every = dict.fromkeys([*filter(None, classes), *sorted(named - {""})])
    return DataSet(source.file or source.root, splits or [], tuple(every), "CVAT XML")


def _labelled(source: Source, element: Element, places: tuple[str, str], place: str) -> Labelled:
    """Return what is known of the picture of an <image>, in a file's folder and a split."""
    name, pictures, (folder, split) = element.get("name") or "", source.pictures, places
    near = (f"images/{split}", "images", split, "")
    beside = [f"{folder}/{one}".rstrip("/") for one in near] if folder else []
    found = pictures.find(name, (*beside, *near)) if name else None
    if found is None:
        fault = (
            f"{place}: {pictures.missing(name)}: export with pictures, or name their folder with "
            "--images"
        )
        return Labelled(None, name or place, place, faults=(fault,))
    objects = [_object(number, shape) for number, shape in enumerate(element, 1)]
    size = tuple(_side(element.get(side)) for side in ("height", "width"))
    return Labelled(
        pictures.path(found), pictures.id_of(found), place, objects, size, place,
        faults=(pictures.source.leads_out(found),),
    )  # fmt: skip


def _object(number: int, shape: Element) -> MarkedObject:
    """Return what a shape marks, or what is wrong with it."""
    name, label = shape.get("label") or "", f"shape {number}"
    try:
        box, repair = _box(shape)
    except ValueError:
        found = shortened(" ".join(f'{key}="{value}"' for key, value in shape.items()))
        fault = f"<{printable(shape.tag)[:20]} {found}>; expected numbers: correct the file"
        return MarkedObject(label, name, None, fault=fault)
    fault = "" if name else "no label: correct the file"
    return MarkedObject(label, name, box, fault=fault, repair=repair)


def _box(shape: Element) -> tuple[Box | None, str]:
    if shape.tag == "polygon":
        points = [point.split(",") for point in (shape.get("points") or "").split(";")]
        return hull([number_of(x) for x, _ in points], [number_of(y) for _, y in points]), POLYGON
    if shape.tag != "box":
        return None, OTHER
    xmin, ymin, xmax, ymax = (number_of(shape.get(corner, "")) for corner in _CORNERS)
    degrees = number_of(shape.get("rotation") or "0")
    box = (xmin, ymin, xmax, ymax)
    return (rotated(box, math.radians(degrees)), ROTATED) if degrees % 360 else (box, "")


def _side(text: str | None) -> int | None:
    return int(text) if text and text.isascii() and text.isdigit() else None


# --------------------------------------------------------------------------------- to write


def beginning(classes: Sequence[str]) -> str:
    """Return what stands before the pictures: the version, and the labels of the task."""
    labels = "".join(f"<label><name>{escape(name)}</name></label>" for name in classes)
    return (
        '<?xml version="1.0" encoding="utf-8"?>\n<annotations>\n<version>1.1</version>\n'
        f"<meta><task><labels>{labels}</labels></task></meta>\n"
    )


def image(number: int, name: str, size: tuple[int, int], found: Detections) -> str:
    """Return what was found in a picture."""
    height, width = size
    inside = found.clipped(size)
    lines = [f'<image id="{number}" name={quoteattr(name)} width="{width}" height="{height}">\n']
    for label, box in zip(inside.labels, inside.boxes_xyxy.tolist(), strict=True):
        corners = zip(_CORNERS, box, strict=True)
        numbers = " ".join(f'{corner}="{value:.2f}"' for corner, value in corners)
        lines.append(
            f'<box label={quoteattr(label)} source="auto" occluded="0" {numbers} z_order="0"/>\n'
        )
    return "".join([*lines, "</image>\n"])
