"""The row of a table of faults."""

from __future__ import annotations

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
