"""What is wrong with a data set: repairs are counted and logged, faults stop the reading."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

import numpy as np

from yolo.errors import DatasetError

log = logging.getLogger("yolo")

LINES_SHOWN = 20
PLACES_SHOWN = 3
MANY_OBJECTS = 500
# More boxes than this that leave their pictures mean that boxes and pictures do not belong together
STRAY_BOXES, STRAY_SHARE = 10, 0.02


class Findings:
    """Collects what the readers of annotations find, over all files, and reports it at the end.

    Args:
        what: names the data set in messages.

    Example:
        >>> findings = Findings("toys")
        >>> findings.error("a.xml: object 1 ('cup'): no <bndbox>")
        >>> findings.close()
        Traceback (most recent call last):
        ...
        yolo.errors.DatasetError: toys: 1 fault: a.xml: object 1 ('cup'): no <bndbox>
    """

    def __init__(self, what: str):
        self.what = what
        self.errors: list[str] = []
        self.warnings: dict[str, list[str]] = {}
        self.boxes = 0
        self.stray: list[str] = []

    def warn(self, kind: str, place: str) -> None:
        """Note a repair: its kind, the same words each time, and the file and object."""
        self.warnings.setdefault(kind, []).append(place)

    def error(self, message: str) -> None:
        """Note a fault that nobody but the owner of the data can mend."""
        self.errors.append(message)

    def finish(self, collect: list[Findings] | None) -> None:
        """Close, or leave that to who collects the findings of several readings first."""
        self._judge_stray()
        if collect is None:
            self.close()
        else:
            collect.append(self)

    def _judge_stray(self) -> None:
        if len(self.stray) > max(STRAY_BOXES, STRAY_SHARE * self.boxes):
            self.error(
                f"{len(self.stray)} of {self.boxes} boxes leave their pictures by more than a "
                f"pixel, the first in {self.stray[0]}: the annotations seem to belong to "
                "pictures of another size; pair them with the pictures they were made on"
            )

    def log_repairs(self) -> None:
        """Log one line for each kind of repair, and every one of them for the log's file."""
        for kind, places in self.warnings.items():
            first = "; ".join(places[:PLACES_SHOWN])
            more = len(places) - PLACES_SHOWN
            rest = f"; and {more} more" if more > 0 else ""
            log.warning("%s: %s: %d (%s%s)", self.what, kind, len(places), first, rest)
            for place in places:
                log.debug("%s: %s: %s", self.what, kind, place)

    def close(self) -> None:
        """Log the repairs, and stop if there was a fault.

        Raises:
            DatasetError: with the first 20 faults, one a line, and their number.
        """
        self.log_repairs()
        if self.errors:
            raise DatasetError(faults(self.what, self.errors))


def faults(what: str, errors: list[str]) -> str:
    """Return a message of one or more faults, the first 20 by name."""
    if len(errors) == 1:
        return f"{what}: 1 fault: {errors[0]}"
    lines = errors[:LINES_SHOWN]
    if len(errors) > len(lines):
        lines = [*lines, f"... and {len(errors) - len(lines)} more"]
    return f"{what}: {len(errors)} faults:\n" + "\n".join(lines)


@dataclass(frozen=True)
class MarkedObject:
    """One object as an annotation file gives it, before any check.

    Args:
        label: names the object in messages, as "object 3 ('dog')".
        class_id: index into the class list.
        box: xmin, ymin, xmax, ymax in the file's own convention.
        difficult: whether evaluation after PASCAL VOC ignores it.
        truncated: whether the picture's edge cuts it.
        line: where it stands in the file, counted from 1; None where lines mean nothing.
    """

    label: str
    class_id: int
    box: tuple[float, float, float, float]
    difficult: bool = False
    truncated: bool = False
    line: int | None = None


def check_objects(
    objects: Iterable[MarkedObject],
    size: tuple[int, int],
    *,
    file: str,
    findings: Findings,
    first_pixel: int = 0,
) -> dict[str, Any]:
    """Turn the objects of one picture into arrays; repair what can be repaired.

    A box without area, as the file writes it, is dropped; of exact duplicates the first stays;
    a box that leaves the picture is cut at its edge. Each is noted. A coordinate that is no
    finite number, xmin > xmax, ymin > ymax, and a box wholly outside the picture are faults.

    Args:
        objects: what the file holds for this picture.
        size: (height, width) of the picture as displayed.
        file: names the annotation in messages.
        findings: takes repairs and faults.
        first_pixel: 1 where the file counts pixels from 1 and xmax is the last pixel inside, as
            PASCAL VOC does; 0 where boxes are half-open already.

    Returns:
        `boxes_xyxy` (n, 4) float32, `class_ids` (n,) int32, `difficult` and `truncated` (n,)
        bool, `lines` (n,) int32 and `origin`: the arguments of `Sample` that describe objects.

    Example:
        >>> one = MarkedObject("object 1", 0, (1, 1, 4, 3))
        >>> arrays = check_objects([one], (3, 4), file="a", findings=Findings("a"), first_pixel=1)
        >>> arrays["boxes_xyxy"].tolist()
        [[0.0, 0.0, 4.0, 3.0]]
    """
    height, width = size
    kept: list[tuple[MarkedObject, tuple[float, ...]]] = []
    seen = set()
    for item in objects:
        line = "" if item.line is None else f":{item.line}"
        place = f"{file}{line}: {item.label}"
        shown = "[" + ", ".join(f"{n:g}" for n in item.box) + "]"
        xmin, ymin, xmax, ymax = item.box
        findings.boxes += 1
        if not all(math.isfinite(n) for n in item.box):
            findings.error(f"{place}: {shown}; expected four finite numbers: correct the file")
            continue
        if xmin > xmax or ymin > ymax:
            pair = (
                f"xmin {xmin:g} > xmax {xmax:g}"
                if xmin > xmax
                else (f"ymin {ymin:g} > ymax {ymax:g}")
            )
            findings.error(f"{place}: {pair}; expected the smaller first: correct the file")
            continue
        if xmin == xmax or ymin == ymax:
            findings.warn("degenerate boxes dropped", f"{place} {shown}")
            continue
        if (item.class_id, item.box) in seen:
            findings.warn("duplicate objects dropped", f"{place} {shown}")
            continue
        seen.add((item.class_id, item.box))
        box = (xmin - first_pixel, ymin - first_pixel, xmax, ymax)
        inside = (max(box[0], 0), max(box[1], 0), min(box[2], width), min(box[3], height))
        if inside[0] >= inside[2] or inside[1] >= inside[3]:
            findings.error(
                f"{place}: {shown} lies outside the picture of {width}x{height} pixels: correct "
                "or remove it"
            )
            continue
        if inside != box:
            findings.warn("boxes cut at the picture's edge", f"{place} {shown}")
            if max(abs(a - b) for a, b in zip(inside, box, strict=True)) > 1:
                findings.stray.append(place)
        kept.append((item, inside))
    if len(kept) > MANY_OBJECTS:
        findings.warn(f"pictures with more than {MANY_OBJECTS} objects (all are kept)", file)
    return {
        "boxes_xyxy": np.array([box for _, box in kept], np.float32).reshape(-1, 4),
        "class_ids": np.array([item.class_id for item, _ in kept], np.int32),
        "difficult": np.array([item.difficult for item, _ in kept], bool),
        "truncated": np.array([item.truncated for item, _ in kept], bool),
        "lines": np.array([item.line or 0 for item, _ in kept], np.int32),
        "origin": file,
    }


def short_list(names: Iterable[str], *, limit: int = 10) -> str:
    """Join names for a message, and say how many are left out.

    Example:
        >>> short_list(["a", "b", "c"], limit=2)
        'a, b and 1 more'
    """
    names = list(names)
    text = ", ".join(names[:limit])
    return text + (f" and {len(names) - limit} more" if len(names) > limit else "")


def nearest(name: str, names: Iterable[str]) -> str:
    """Return "; did you mean 'dog'?" where a known name is near, else nothing.

    Example:
        >>> nearest("dgo", ["cat", "dog"]), nearest("Cat", ["cat"]), nearest("x", ["cat"])
        ("; did you mean 'dog'?", "; did you mean 'cat'?", '')
    """
    by_folded = {known.casefold(): known for known in names}
    near = get_close_matches(name.casefold(), by_folded, 1)
    return f"; did you mean {by_folded[near[0]]!r}?" if near else ""
