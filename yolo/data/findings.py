"""What is wrong with a data set: repairs are counted and logged, faults stop the reading."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from difflib import get_close_matches

from yolo.errors import DatasetError
from yolo.system.reading import printable

log = logging.getLogger("yolo")

LINES_SHOWN = 20
PLACES_SHOWN = 3
# More boxes than this that leave their pictures mean that boxes and pictures do not belong together
STRAY_BOXES, STRAY_SHARE = 10, 0.02


class Findings:
    """Collects what the readers of annotations find, over all files, and reports it at the end.

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
        self.notes: dict[str, list[str]] = {}  # what is as it may be, and good to know
        self.boxes = 0
        self.stray: list[str] = []
        self.others: dict[str, list[str]] = {}  # objects of classes that nobody asked for

    def warn(self, kind: str, place: str) -> None:
        """Note a repair: its kind, the same words each time, and the file and object."""
        self.warnings.setdefault(kind, []).append(place)

    def note(self, kind: str, place: str) -> None:
        """Note what is no mistake: its kind, the same words each time, and where."""
        self.notes.setdefault(kind, []).append(place)

    def error(self, message: str) -> None:
        """Note a fault that nobody but the owner of the data can mend."""
        self.errors.append(message)

    def judge_stray(self) -> None:
        """Note a fault if so many boxes leave their pictures that they belong to others."""
        if len(self.stray) > max(STRAY_BOXES, STRAY_SHARE * self.boxes):
            self.error(
                f"{len(self.stray)} of {self.boxes} boxes leave their pictures by more than a "
                f"pixel, the first in {self.stray[0]}: the annotations seem to belong to "
                "pictures of another size; pair them with the pictures they were made on"
            )

    def log_repairs(self) -> None:
        """Log one line for each kind of repair, and every one of them for the log's file."""
        for kind, places in self.notes.items():
            log.info("%s: %s: %d (%s)", self.what, kind, len(places), short_list(places, limit=1))
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


def tell_left_out(what: str, counts: Mapping[str, int]) -> None:
    """Log how many objects of which classes are left out on demand; nothing if there are none."""
    if counts:
        names = short_list(f"{printable(name)} ({count})" for name, count in counts.items())
        log.info("%s: left out as of other classes: %s", what, names)


def faults(what: str, errors: list[str]) -> str:
    """Return a message of one or more faults, the first 20 by name."""
    if len(errors) == 1:
        return f"{what}: 1 fault: {errors[0]}"
    lines = errors[:LINES_SHOWN]
    if len(errors) > len(lines):
        lines = [*lines, f"... and {len(errors) - len(lines)} more"]
    return f"{what}: {len(errors)} faults:\n" + "\n".join(lines)


def short_list(names: Iterable[str], *, limit: int = 10) -> str:
    """Join names for a message, and say how many are left out.

    Example:
        >>> short_list(["a", "b", "c"], limit=2)
        'a, b and 1 more'
    """
    names = list(names)
    text = ", ".join(names[:limit])
    return text + (f" and {len(names) - limit} more" if len(names) > limit else "")


def nearest(name: str, names: Iterable[str], *, alike: float = 0.6) -> str:
    """Return "; did you mean 'dog'?" where a known name is near, else nothing.

    Example:
        >>> nearest("dgo", ["cat", "dog"]), nearest("Cat", ["cat"]), nearest("x", ["cat"])
        ("; did you mean 'dog'?", "; did you mean 'cat'?", '')
    """
    by_folded = {known.casefold(): known for known in names}
    near = get_close_matches(name.casefold(), by_folded, 1, alike)
    return f"; did you mean {by_folded[near[0]]!r}?" if near else ""
