"""The row of a table of faults."""

from __future__ import annotations

from typing import NamedTuple


class Row(NamedTuple):
    """What was seen of one fault.

    Args:
        fault: its name.
        tried: how often it was brought about.
        survived: how often what was promised held.
        worst_seconds: of one trial.
        worst_megabytes: the highest memory above what the process held before.
    """

    fault: str
    tried: int
    survived: int
    worst_seconds: float
    worst_megabytes: float
