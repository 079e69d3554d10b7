"""How long, on what and how often: a list of runs, and the time that it will take."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median

from benchmarks.paper.arms import ARMS, arms_of

# Guesses in seconds of one processor: for training on one picture of 256 x 256 once, for scoring
# one, and for starting a process and compiling. Runs that are in the results replace them.
STEP = {"retinanet-csp-tiny": 0.075, "yolov4-tiny": 0.05}
SCORED = {"retinanet-csp-tiny": 0.06, "yolov4-tiny": 0.03}
START = {"retinanet-csp-tiny": 30.0, "yolov4-tiny": 20.0}
TEST_PICTURES = {"shapes": 100, "bccd": 72, "raccoon": 31}


@dataclass(frozen=True)
class Settings:
    """What all arms have in common.

    Args:
        steps: training steps of an arm.
        image_size: side of the network's square picture, a multiple of 32.
        batch_size: pictures a step.
        weights: file that the backbone starts from, or None for a fresh one.
        precision: as `train.py --precision`.
        eager: run step by step, for tests.
    """

    steps: int = 200
    image_size: int = 256
    batch_size: int = 4
    weights: str | None = None
    precision: str = "auto"
    eager: bool = False


@dataclass(frozen=True)
class Run:
    """One arm on one data set from one seed."""

    data_set: str
    arm: str
    seed: int

    def __str__(self) -> str:
        return f"{self.data_set}, {self.arm}, seed {self.seed}"


def plan(data_sets, tables, seeds: int, *, quick: bool = False) -> list[Run]:
    """Return the runs: a whole pass with the first seed, then one with the next.

    So an interrupted night leaves complete tables of fewer seeds.

    Args:
        data_sets: names.
        tables: keys of `TABLES`.
        seeds: how many, from 1.
        quick: only the arms of the quick pass.
    """
    return [
        Run(data_set, arm.name, seed)
        for seed in range(1, seeds + 1)
        for data_set in data_sets
        for arm in arms_of(tables, quick=quick)
    ]


def seconds(run: Run, settings: Settings, rows) -> float:
    """Return a run's processor time, from like runs in `rows` or, without any, from `STEP`.

    Args:
        run: what is to be run.
        settings: how.
        rows: of the results file, with the same settings.
    """
    model = ARMS[run.arm].model
    like = [
        float(row["processor_seconds"])
        for row in rows
        if ARMS[row["arm"]].model == model and row["data_set"] == run.data_set
    ]
    if like:
        return median(like)
    pictures = settings.steps * settings.batch_size
    area = (settings.image_size / 256) ** 2
    scored = SCORED[model] * TEST_PICTURES[run.data_set]
    return START[model] + area * (STEP[model] * pictures + scored)
