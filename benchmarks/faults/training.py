"""Faults of training, T1 to T13."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

from benchmarks.faults import conduct, damage, kills
from benchmarks.faults.table import Row

CASES = (
    kills.frozen, kills.signals, kills.best_over_resumes, damage.full_disk, damage.damaged,
    damage.not_finite, damage.first_score_nan, kills.finished, damage.changed, conduct.order,
    conduct.two_runs, conduct.no_place, conduct.long_run,
)  # fmt: skip


def rows_of(case, toy, quick: bool) -> list[Row]:
    """Run a case, which gives one row or several."""
    found = case(toy, quick)
    return [found] if isinstance(found, Row) else list(found)


def run(quick: bool) -> Iterator[Row]:
    """Bring every fault about and yield what was seen.

    Args:
        quick: a few trials of each instead of the full count.
    """
    from benchmarks.faults.toy import Toy

    with tempfile.TemporaryDirectory() as work:
        toy = Toy(Path(work))
        for case in CASES:
            yield from rows_of(case, toy, quick)
