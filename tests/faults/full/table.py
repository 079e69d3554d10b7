"""The row of a table of faults, and its place on a page."""

from __future__ import annotations

import re
from typing import NamedTuple


class Row(NamedTuple):
    """What was seen of one fault.

    Args:
        fault: its name.
        tried: how often it was brought about.
        survived: how often what was promised held.
        worst_seconds: of one trial; None where it is not measured.
        worst_megabytes: the highest memory above what the process held before; None likewise.
    """

    fault: str
    tried: int
    survived: int
    worst_seconds: float | None = None
    worst_megabytes: float | None = None

    def __str__(self) -> str:
        seconds = "" if self.worst_seconds is None else f"{self.worst_seconds:.2f}"
        megabytes = "" if self.worst_megabytes is None else f"{self.worst_megabytes:.0f}"
        return f"| {self.fault} | {self.tried:,} | {self.survived:,} | {seconds} | {megabytes} |"


def put_into(page: str, row: Row) -> str:
    """Return a page with a row in place of the older one of the same fault, or after its kin.

    Args:
        page: Markdown with tables of such rows; a star behind a fault's name, and what stands in
            brackets there, does not count.
        row: the new one.

    Raises:
        LookupError: the page has no row of a fault of this number.
    """
    lines, kin = page.splitlines(keepends=True), None
    for place, line in enumerate(lines):
        fault = re.match(r"\| (T\d+ .+?)( \*| \([^|]*)? \|", line)
        if fault and fault[1] == row.fault.partition(" (")[0]:
            lines[place] = f"{row}\n"
            return "".join(lines)
        if fault and fault[1].split()[0] == row.fault.split()[0]:
            kin = place
    if kin is None:
        raise LookupError(f"no row of {row.fault}")
    lines.insert(kin + 1, f"{row}\n")
    return "".join(lines)
