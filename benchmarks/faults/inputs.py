"""Hostile inputs at full count: mutants of annotations, pictures and weights.

`run` is what `python -m benchmarks.faults` calls for its table. A mutant survives if it is read,
or refused in lines that name the file, within two seconds of processor time (annotations: one),
and if the process lives; a refused weights file must leave the model as it was.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

from benchmarks.faults.mutants import Report, fuzz
from benchmarks.faults.table import Row
from benchmarks.faults.targets import FORMATS

SEED = 2024
# kind: what the table calls it, mutants in full, mutants in the quick form, seconds allowed
KINDS = {
    "xml": ("VOC annotations, damaged", 10_000, 300, 1.0),
    "coco": ("COCO annotations, damaged", 10_000, 200, 1.0),
    **{kind: (f"{kind.upper()} pictures, damaged", 10_000, 150, 2.0) for kind in FORMATS},
    "training": ("JPEG pictures, damaged, read by training", 10_000, 60, 2.0),
    "darknet": ("Darknet weights, damaged", 10_000, 60, 2.0),
    "keras": (".keras files, damaged", 10_000, 80, 2.0),
}


def run(quick: bool) -> Iterator[Row]:
    """Yield a row for each kind of file.

    Args:
        quick: some hundred mutants instead of 10,000.
    """
    for kind, (fault, many, few, _) in KINDS.items():
        found = measure(kind, few if quick else many)
        yield Row(fault, found.tried, found.survived, found.worst_seconds, found.worst_megabytes)


def measure(kind: str, count: int, *, seed: int = SEED) -> Report:
    """Read `count` mutants of a kind of file and report what became of them."""
    with tempfile.TemporaryDirectory(prefix="faults-") as folder:
        return fuzz(kind, count, seed=seed, folder=Path(folder), limit=KINDS[kind][3])
