"""In which frame boxes were drawn: on the picture as shown or as stored, in pixels or in shares.

A picture with an EXIF orientation is stored lying and shown upright. Some tools let people mark
the one, some the other, and no format says which. Boxes decide where they fit only one of the two,
then the size that the annotation gives; what all pictures that tell agree on holds for those that
do not.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import replace

from yolo.data.annotated import Box, Labelled
from yolo.data.findings import Findings
from yolo.pictures.header import Header
from yolo.system.reading import printable

SHOWN, STORED = "as shown", "as stored"
# Shares of the longer side by which sloppy boxes leave their picture; more is evidence.
SLOPPY = 0.02
ROUNDED = 1e-3  # by which a share exceeds 1 where its writer rounded

Size = tuple[int, int]


def turned(box: Box, orientation: int, size: Size) -> Box:
    """Turn a half-open box with its picture.

    Args:
        box: on the stored picture.
        orientation: what EXIF data ask of it, 1 to 8.
        size: (height, width) of the stored picture; (1, 1) for shares.

    Returns:
        The box on the picture that `pictures.files.upright` returns.

    Example:
        >>> turned((1, 2, 30, 10), 6, (96, 128))  # a quarter to the right: what was low is left
        (86, 1, 94, 30)
    """
    (x1, y1, x2, y2), (height, width) = box, size
    if orientation >= 5:
        x1, y1, x2, y2, height, width = y1, x1, y2, x2, width, height
    if orientation in (3, 4, 7, 8):
        y1, y2 = height - y2, height - y1
    if orientation in (2, 3, 6, 7):
        x1, x2 = width - x2, width - x1
    return x1, y1, x2, y2


def are_shares(boxes: Iterable[Box]) -> bool:
    """Tell whether boxes can only be shares of their pictures: all inside 0..1, not all whole.

    Example:
        >>> are_shares([(0.1, 0.2, 0.5, 1)]), are_shares([(0, 0, 1, 1)]), are_shares([])
        (True, False, False)
    """
    whole = True
    for box in boxes:
        if not all(0 <= n <= 1 + ROUNDED for n in box):
            return False
        whole = whole and all(n in (0, 1) for n in box)
    return not whole


def on_shown_picture(
    looked_at: Sequence[tuple[Labelled, Header]], first_pixel: int, findings: Findings
) -> list[Labelled | None]:
    """Move the boxes of a split onto the pictures as shown, and find out whether they are shares.

    `first_pixel` is 1 where boxes count pixels from 1 and name the last one inside, else 0.

    Returns:
        The pictures with their boxes in the same convention; None for one whose boxes lie nobody
        knows where.
    """
    pictures = _shares_known([picture for picture, _ in looked_at], findings)
    headers = [header for _, header in looked_at]
    ways = _ways(pictures, headers, findings)
    found: list[Labelled | None] = []
    for picture, header, way in zip(pictures, headers, ways, strict=True):
        if picture is None or way == SHOWN:
            found.append(picture)
        elif way == STORED:
            findings.warn("boxes turned with their pictures as EXIF asks", picture.place)
            found.append(_turned(picture, header, first_pixel))
        else:
            findings.error(
                f"{picture.place}: EXIF data turn the picture, and the annotations disagree on "
                "whether boxes lie on it before or after that: save the pictures upright without "
                "an EXIF orientation, and mark again those whose boxes lie beside their objects"
            )
            found.append(None)
    return found


def _boxes(picture: Labelled) -> list[Box]:
    """Return the boxes of a picture whose numbers are numbers."""
    boxes = (item.box for item in picture.objects if item.box)
    return [box for box in boxes if all(map(math.isfinite, box))]


def _shares_known(pictures: Sequence[Labelled], findings: Findings) -> list[Labelled | None]:
    """Return the pictures of a split, marked as in shares where all their boxes lie in 0..1."""
    in_pixels = [picture for picture in pictures if not picture.shares and _boxes(picture)]
    small = [picture for picture in in_pixels if are_shares(_boxes(picture))]
    if not small:
        return list(pictures)
    if are_shares(box for picture in in_pixels for box in _boxes(picture)):
        for picture in in_pixels:
            findings.warn("boxes inside 0..1 read as shares of their pictures", picture.place)
        return [replace(picture, shares=True) for picture in pictures]
    for picture in small:
        findings.error(
            f"{picture.place}: all boxes lie inside 0..1, those of other pictures count pixels: "
            "write all in one unit"
        )
    left_out = set(map(id, small))
    return [None if id(picture) in left_out else picture for picture in pictures]


def _ways(
    pictures: Sequence[Labelled | None], headers: Sequence[Header], findings: Findings
) -> list[str]:
    """Return for each picture which form of it the boxes lie on, "" where nobody can know."""
    evidence = [_evidence(*one) for one in zip(pictures, headers, strict=True)]
    told = [one for one in evidence if one is not None]
    # A size that boxes contradict somewhere was taken from another form of the picture than they.
    wrong = {says for fits, says in told if fits and says and fits != says}
    votes = {fits or says for fits, says in told if fits or says not in wrong} - {""}
    ways = []
    for picture, one in zip(pictures, evidence, strict=True):
        if one is None:
            ways.append(SHOWN)
            continue
        fits, says = one
        way = fits or (says if says not in wrong else "")
        if not way and votes:
            way = next(iter(votes)) if len(votes) == 1 else ""
        elif not way and picture is not None:
            way = SHOWN
            kind = "boxes taken as drawn on the picture as EXIF turns it, which nothing tells"
            findings.warn(kind, printable(picture.place))
        ways.append(way)
    return ways


def _evidence(picture: Labelled | None, header: Header) -> tuple[str, str] | None:
    """Return which form of a picture alone its boxes fit, and of which its annotation has the size.

    "" where it is both or neither; None for a picture that has one form, or no boxes.
    """
    stored, shown = (header.height, header.width), header.size
    if picture is None or header.orientation == 1 or not (boxes := _boxes(picture)):
        return None
    if stored == shown:
        return "", ""
    slack = max(1.0, SLOPPY * max(stored))

    def fit(size: Size) -> bool:
        return all(box[2] <= size[1] + slack and box[3] <= size[0] + slack for box in boxes)

    fits = {(True, False): STORED, (False, True): SHOWN}.get((fit(stored), fit(shown)), "")
    says = STORED if picture.size == stored else SHOWN if picture.size == shown else ""
    return "" if picture.shares else fits, says


def _turned(picture: Labelled, header: Header, first_pixel: int) -> Labelled:
    """Return a picture whose boxes have been turned with it, in the convention that they had."""
    size = (1, 1) if picture.shares else (header.height, header.width)
    first = 0 if picture.shares else first_pixel
    objects = []
    for item in picture.objects:
        if item.box is not None:
            x1, y1, x2, y2 = item.box
            x1, y1, x2, y2 = turned((x1 - first, y1 - first, x2, y2), header.orientation, size)
            item = replace(item, box=(x1 + first, y1 + first, x2, y2))
        objects.append(item)
    return replace(picture, objects=objects, size=header.size)
