"""An annotation file in PASCAL VOC format, as text."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple
from xml.sax.saxutils import escape


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
