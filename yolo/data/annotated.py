"""What people marked in one picture, as its annotation says: judged, and turned into arrays."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from yolo.data.findings import Findings

MANY_OBJECTS = 500
# Pixels by which a box leaves its picture where the program that wrote it rounded its numbers
ROUNDED = 0.01

# The repair of every format that has such boxes
ROTATED = "rotated boxes taken as the upright boxes around them"

Box = tuple[float, float, float, float]


@dataclass(frozen=True, slots=True)
class MarkedObject:
    """One object as an annotation file gives it, before any check.

    Args:
        label: names the object in messages, as "object 3 ('dog')".
        name: its class.
        box: xmin, ymin, xmax, ymax in the file's own convention; None where `fault` or `repair`
            says why.
        difficult: whether training and evaluation ignore it.
        truncated: whether the picture's edge cuts it.
        line: where it stands in the file, counted from 1; None where lines mean nothing.
        fault: what is wrong with it and how to mend that, or "".
        repair: what was done with it, in the same words each time, or "".
        crowd: whether it marks a region of many; then it is ignored, too.
        area: of its mask in square pixels; 0 for none, which leaves the box's.
    """

    label: str
    name: str
    box: Box | None
    difficult: bool = False
    truncated: bool = False
    line: int | None = None
    fault: str = ""
    repair: str = ""
    crowd: bool = False
    area: float = 0.0

    def place(self, file: str) -> str:
        """Name the object in messages: file, line and label."""
        return f"{file}: {self.label}" if self.line is None else f"{file}:{self.line}: {self.label}"


@dataclass(frozen=True, slots=True)
class Labelled:
    """A picture as the files of a data set describe it, before it is looked at itself.

    Args:
        path: the picture; None where `faults` say why there is none.
        image_id: names it in results and in the lists of a division.
        place: names its annotation in messages.
        objects: what is marked.
        size: (height, width) as the annotation says; anything where it says nonsense.
        size_place: where it says so; "" where the format gives no size.
        faults: what makes the picture or its annotation useless.
        repairs: kind and place of what was repaired when they were looked for.
        before: what a message about the picture's file begins with.
        shares: whether boxes are shares of the picture's width and height, 0..1, not pixels.
        unlabelled: whether no label file says anything about it, not even that it shows nothing.
        divided_by: what its place in a division follows from, where that is not `image_id`.
    """

    path: Path | None
    image_id: str
    place: str
    objects: Sequence[MarkedObject] = ()
    size: Any = None
    size_place: str = ""
    faults: tuple[str, ...] = ()
    repairs: tuple[tuple[str, str], ...] = ()
    before: str = ""
    shares: bool = False
    unlabelled: bool = False
    divided_by: str = ""


class Fault(Exception):
    """What is wrong with an object in a file, in words."""


def number_of(text: str) -> float:
    """Return the number that stands in a file; what Python alone takes for one, 1_000, is none.

    Raises:
        ValueError: it is none.
    """
    return float("no number" if "_" in text else text)


def hull(xs: Sequence[float], ys: Sequence[float]) -> Box:
    """Return the smallest upright box around points, at least one."""
    return min(xs), min(ys), max(xs), max(ys)


def rotated(box: Box, radians: float) -> Box:
    """Return the smallest upright box around one that is turned about its middle.

    Example:
        >>> [round(n, 6) for n in rotated((0, 0, 4, 2), math.pi / 2)]
        [1.0, -1.0, 3.0, 3.0]
    """
    x1, y1, x2, y2 = box
    cos, sin = abs(math.cos(radians)), abs(math.sin(radians))
    x, y = (x1 + x2) / 2, (y1 + y2) / 2
    width = (x2 - x1) * cos + (y2 - y1) * sin
    height = (x2 - x1) * sin + (y2 - y1) * cos
    return x - width / 2, y - height / 2, x + width / 2, y + height / 2


def check_objects(
    objects: Iterable[MarkedObject],
    ids: Mapping[str, int],
    size: tuple[int, int],
    *,
    file: str,
    findings: Findings,
    first_pixel: int = 0,
    shares: bool = False,
) -> dict[str, Any]:
    """Turn the objects of one picture into arrays; repair what can be repaired.

    A box without area, as the file writes it, is dropped; of exact duplicates the first stays;
    a box that leaves the picture is cut at its edge. Each is noted. A coordinate that is no
    finite number, xmin > xmax, ymin > ymax, and a box wholly outside the picture are faults.
    The file counts pixels from `first_pixel`: from 1, and xmax is the last pixel inside, as in
    PASCAL VOC, or from 0 in half-open boxes; or boxes are `shares` of width and height. `size` is
    (height, width) of the picture as displayed.

    Returns:
        `boxes_xyxy` (n, 4) float32, `class_ids` (n,) int32, `difficult`, `truncated` and `crowd`
        (n,) bool, `areas` (n,) float64, `lines` (n,) int32 and `origin`: the arguments of `Sample`
        that describe objects.

    Example:
        >>> one, found = MarkedObject("object 1", "cat", (1, 1, 4, 3)), Findings("a")
        >>> arrays = check_objects(
        ...     [one], {"cat": 0}, (3, 4), file="a", findings=found, first_pixel=1)
        >>> arrays["boxes_xyxy"].tolist()
        [[0.0, 0.0, 4.0, 3.0]]
    """
    kept: list[tuple[MarkedObject, Box]] = []
    seen = set()
    for item in objects:
        place = item.place(file)
        if item.repair:
            findings.warn(item.repair, place)
        if item.repair and item.box is None and not item.fault:
            continue
        fault = item.fault or _fault(item.box)
        if fault or item.box is None:
            findings.error(f"{place}: {fault}")
            continue
        findings.boxes += 1
        xmin, ymin, xmax, ymax = item.box
        if xmin == xmax or ymin == ymax:
            findings.warn("degenerate boxes dropped", f"{place} {_shown(item.box)}")
            continue
        if (ids[item.name], item.box) in seen:
            findings.warn("duplicate objects dropped", f"{place} {_shown(item.box)}")
            continue
        seen.add((ids[item.name], item.box))
        box = (xmin - first_pixel, ymin - first_pixel, xmax, ymax)
        if shares:
            box = (xmin * size[1], ymin * size[0], xmax * size[1], ymax * size[0])
        inside = _cut(box, size)
        if inside is None:
            findings.error(
                f"{place}: {_shown(item.box)} lies outside the picture of {size[1]}x{size[0]} "
                "pixels: correct or remove it"
            )
            continue
        if inside != box:
            beyond = max(abs(a - b) for a, b in zip(inside, box, strict=True))
            if beyond > ROUNDED:
                findings.warn("boxes cut at the picture's edge", f"{place} {_shown(item.box)}")
            if beyond > 1 and not item.repair:
                findings.stray.append(place)
        kept.append((item, inside))
    if len(kept) > MANY_OBJECTS:
        findings.warn(f"pictures with more than {MANY_OBJECTS} objects (all are kept)", file)
    return _arrays(kept, ids, file)


def _fault(box: Box | None) -> str:
    """Return what makes a box unreadable, as written in the file; "" if nothing does."""
    if box is None:
        return "no box: correct the file"
    xmin, ymin, xmax, ymax = box
    if not all(math.isfinite(n) for n in box):
        return f"{_shown(box)}; expected four finite numbers: correct the file"
    if xmin > xmax:
        return f"xmin {xmin:g} > xmax {xmax:g}; expected the smaller first: correct the file"
    if ymin > ymax:
        return f"ymin {ymin:g} > ymax {ymax:g}; expected the smaller first: correct the file"
    return ""


def _shown(box: Box) -> str:
    return "[" + ", ".join(f"{n:g}" for n in box) + "]"


def _cut(box: Box, size: tuple[int, int]) -> Box | None:
    """Return what of a half-open box lies in a picture of `size` (height, width), if any does."""
    height, width = size
    x1, y1, x2, y2 = max(box[0], 0), max(box[1], 0), min(box[2], width), min(box[3], height)
    return None if x1 >= x2 or y1 >= y2 else (x1, y1, x2, y2)


def _arrays(
    kept: Sequence[tuple[MarkedObject, Box]], ids: Mapping[str, int], origin: str
) -> dict[str, Any]:
    boxes = np.array([box for _, box in kept], np.float32).reshape(-1, 4)
    masks = np.array([item.area for item, _ in kept], np.float64)
    of_boxes = np.prod(boxes[:, 2:].astype(np.float64) - boxes[:, :2], axis=1)
    return {
        "boxes_xyxy": boxes,
        "class_ids": np.array([ids[item.name] for item, _ in kept], np.int32),
        "difficult": np.array([item.difficult or item.crowd for item, _ in kept], bool),
        "truncated": np.array([item.truncated for item, _ in kept], bool),
        "crowd": np.array([item.crowd for item, _ in kept], bool),
        "areas": np.where(masks > 0, masks, of_boxes),
        "lines": np.array([item.line or 0 for item, _ in kept], np.int32),
        "origin": origin,
    }
