"""Hostile inputs: mutants of annotations (T14), pictures (T15) and weights (T16).

A mutant survives if it is read, or refused in lines that name the file, within two seconds of
processor time (annotations: one), and if the process lives; a refused weights file must leave the
model as it was.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from tests.faults.full.mutants import Report, fuzz
from tests.faults.full.table import Row
from tests.faults.full.targets import FORMATS

SEED = 2024
MANY = 10_000
# kind: what the table calls it, mutants in the quick form (0: under another kind), seconds of
# processor time allowed
KINDS = {
    "xml": ("T14 VOC annotations, damaged", 300, 1.0),
    "coco": ("T14 COCO annotations, damaged", 200, 1.0),
    "labels": ("T14 labels in text, YAML and tables, damaged", 300, 1.0),
    "archives": ("T14 archives of labelled pictures, damaged", 200, 1.0),
    **{kind: (f"T15 {kind.upper()} pictures, damaged", 150, 2.0) for kind in FORMATS},
    "training": ("T15 JPEG pictures, damaged, read by training", 30, 2.0),
    "darknet": ("T16 Darknet weights, damaged", 40, 2.0),
    "keras": ("T16 .keras files, damaged", 40, 2.0),
    "h5": ("T16 .h5 weights of the tutorials, damaged", 0, 2.0),
    "npz": ("T16 .npz weights, damaged", 0, 2.0),
    "safetensors": ("T16 .safetensors weights, damaged", 0, 2.0),
    "others": ("T16 .h5, .npz, .safetensors in turn", 120, 2.0),
}


def measure(kind: str, count: int, *, seed: int = SEED) -> Report:
    """Read `count` mutants of a kind of file and report what became of them."""
    with tempfile.TemporaryDirectory(prefix="faults-") as folder:
        return fuzz(kind, count, seed=seed, folder=Path(folder), limit=KINDS[kind][2])


def _row(kind: str, quick: bool) -> Iterator[Row]:
    fault, few, _ = KINDS[kind]
    count = few if quick else 0 if kind == "others" else MANY
    if not count:
        return
    found = measure(kind, count)
    for number, harm in found.harm:
        print(f"{fault}: mutant {number} of seed {SEED} {harm}", file=sys.stderr)
    yield Row(fault, found.tried, found.survived, found.worst_seconds, found.worst_megabytes)


FAULTS = {f"{KINDS[kind][0].split()[0]}-{kind}": partial(_row, kind) for kind in KINDS}
