"""T25: trainings on several devices end with the weights of one."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np

from tests.faults.full.table import Row
from tests.faults.full.toy import ROOT, Meter

PATIENCE = 3600  # seconds for one training; a machine with other work takes its time


def replicas(precision: str, most: float, quick: bool) -> Iterator[Row]:
    """Train on one, two and four devices, every other batch holding a single picture.

    Args:
        precision: "float64" or "float32".
        most: how far weights may be apart at the end.
        quick: the small network on one and two devices alone.
    """
    models = ["small"] if quick else ["small", "yolov4-tiny", "retinanet-csp-tiny"]
    meter, worst, ways = Meter(f"T25 weights on 1, 2, 4 devices in {precision}"), 0.0, []
    with tempfile.TemporaryDirectory() as work:
        for model in models:
            files = {}
            for devices in (1, 2) if quick else (1, 2, 4):
                files[devices] = Path(work) / f"{model}-{devices}.npz"
                done = subprocess.run(
                    [sys.executable, "-m", "tests.faults.full.replicas", model, str(devices),
                     str(files[devices]), precision, *(["14"] if quick else [])],
                    cwd=work, capture_output=True, encoding="utf-8", timeout=PATIENCE,
                    env={**os.environ, "PYTHONPATH": str(ROOT), "SMALL_DROPOUT": "0"},
                )  # fmt: skip
                assert done.returncode == 0, done.stderr[-1000:]
                if devices == 1:
                    continue
                with meter.trial(f"{model} on {devices}"):
                    with np.load(files[1]) as one, np.load(files[devices]) as more:
                        apart = max(float(np.abs(one[k] - more[k]).max()) for k in one.files[:-1])
                        ways.append(float(one["way"]))
                    worst = max(worst, apart)
                    assert 0 < apart <= min(most, 0.01 * ways[-1]), (
                        f"weights {apart:.1e} apart after a way of {ways[-1]:.1e}"
                    )
    row = meter.row()
    yield row._replace(
        fault=f"{row.fault} (at most {worst:.1e} apart after a way of {min(ways):.1e} or more)"
    )


FAULTS = {
    "T25-float64": partial(replicas, "float64", 1e-9),
    "T25-float32": partial(replicas, "float32", 1e-5),
}
