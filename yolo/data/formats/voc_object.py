"""One <object> of an annotation in PASCAL VOC format, as labelling tools write it."""

from __future__ import annotations

import math
from collections.abc import Iterator
from xml.etree.ElementTree import Element

from yolo.data.annotated import ROTATED, Box, Fault, MarkedObject, hull, number_of, rotated
from yolo.system.reading import shortened

CORNERS = ("xmin", "ymin", "xmax", "ymax")
# What tools write for a flag, besides a number that is 0 or not
_WORDS = {"": False, "false": False, "no": False, "unspecified": False, "true": True, "yes": True}
POLYGON = "polygons taken as the upright boxes around them"
DELETED = "objects marked as deleted left out"
ODD_FLAG = "flags that are neither yes nor no, taken as no"


def objects_of(number: int, element: Element, line: int) -> Iterator[MarkedObject]:
    """Yield what an <object> marks: one object for each box in it.

    A box is a <bndbox>, upright, or with CVAT's attribute `rotation` turned around its middle; of
    an object without any, roLabelImg's <robndbox> or LabelMe's <polygon>, as the upright box around
    it, or a <point>, a box without area.
    """
    name = (element.findtext("name") or "").strip()
    label = f"object {number} ({shortened(name)})"
    difficult, truncated = (
        _flag(element.findtext(tag) or "") for tag in ("difficult", "truncated")
    )
    odd = ODD_FLAG if None in (difficult, truncated) else ""

    def marked(box: Box | None, fault: str, repair: str, count: int = 0) -> MarkedObject:
        fault = fault if name else "no <name>"
        return MarkedObject(
            f"{label}, box {count}" if count else label, name, box, bool(difficult),
            bool(truncated), line, fault and f"{fault}: correct the file", repair,
        )  # fmt: skip

    if _flag(element.findtext("deleted") or ""):
        yield marked(None, "", DELETED)
        return
    shapes = [(read, one) for tag, read in _SHAPES.items() for one in element.findall(tag)]
    boxes = [(read, one) for read, one in shapes if one.tag == "bndbox"] or shapes[:1]
    if not boxes:
        yield marked(None, "no <bndbox>", "")
    for count, (read, shape) in enumerate(boxes, 1):
        try:
            box, repair = read(shape, element)
            yield marked(box, "", repair or odd, count * (len(boxes) > 1))
        except Fault as error:
            yield marked(None, str(error), "", count * (len(boxes) > 1))


def _flag(text: str) -> bool | None:
    """Return what a flag says, None if nobody knows."""
    text = text.strip().lower()
    if text in _WORDS:
        return _WORDS[text]
    try:
        return float(text) != 0
    except ValueError:
        return None


def _upright(shape: Element, element: Element) -> tuple[Box, str]:
    xmin, ymin, xmax, ymax = (_number(shape, corner) for corner in CORNERS)
    box = (xmin, ymin, xmax, ymax)
    for attribute in element.iterfind("attributes/attribute"):
        if (attribute.findtext("name") or "").strip().lower() == "rotation":
            degrees = _number(attribute, "value")
            if degrees % 360:
                return rotated(box, math.radians(degrees)), ROTATED
    return box, ""


def _around_middle(shape: Element, element: Element) -> tuple[Box, str]:
    """Read roLabelImg's box: middle, sides, and an angle in radians; or its four corners."""
    if shape.find("cx") is None:
        return _corners(shape, element)[0], ROTATED
    x, y, width, height, angle = (_number(shape, tag) for tag in ("cx", "cy", "w", "h", "angle"))
    box = (x - width / 2, y - height / 2, x + width / 2, y + height / 2)
    return rotated(box, angle), ROTATED


def _corners(shape: Element, element: Element) -> tuple[Box, str]:
    """Read corners wherever they stand inside: <pt><x> and <y>, or <x1>, <y1>, <x2> ..."""
    found: dict[str, list[float]] = {"x": [], "y": []}
    for one in shape.iter():
        if one is not shape and not len(one) and one.tag[:1].lower() in found:
            found[one.tag[0].lower()].append(_parsed(one.tag, one.text))
    if not found["x"] or len(found["x"]) != len(found["y"]):
        raise Fault(f"<{shape.tag}> holds no corners; expected <x> and <y> of each")
    return hull(found["x"], found["y"]), POLYGON if shape.tag == "polygon" else ""


# The shapes that tools mark, the one that says most of a box first.
_SHAPES = {
    "bndbox": _upright,
    "robndbox": _around_middle,
    "polygon": _corners,
    "point": _corners,
}


def _number(element: Element, tag: str) -> float:
    return _parsed(tag, element.findtext(tag))


def _parsed(tag: str, text: str | None) -> float:
    text = (text or "").strip()
    try:
        return number_of(text)
    except ValueError:
        found = shortened(text) if text else "no value"
        raise Fault(f"<{tag}> holds {found}; expected a number") from None
