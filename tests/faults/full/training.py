"""Faults of training, T1 to T13."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from tests.faults.full import conduct, damage, kills
from tests.faults.full.table import Row

CASES = {
    "T1": kills.frozen,
    "T2": kills.signals,
    "T3": kills.best_over_resumes,
    "T4": damage.full_disk,
    "T5": damage.damaged,
    "T6": damage.not_finite,
    "T7": damage.first_score_nan,
    "T8": kills.finished,
    "T9": damage.changed,
    "T10": conduct.order,
    "T11": conduct.two_runs,
    "T12": conduct.no_place,
    "T13": conduct.long_run,
}


def rows_of(case, toy, quick: bool) -> list[Row]:
    """Run a case, which gives one row or several."""
    found = case(toy, quick)
    return [found] if isinstance(found, Row) else list(found)


def _alone(case, quick: bool) -> Iterator[Row]:
    """Bring a fault about in a folder of its own and yield what was seen.

    Args:
        case: one of `CASES`.
        quick: a few trials instead of the full count.
    """
    from tests.faults.full.toy import Toy

    with tempfile.TemporaryDirectory() as work:
        yield from rows_of(case, Toy(Path(work)), quick)


FAULTS = {name: partial(_alone, case) for name, case in CASES.items()}
