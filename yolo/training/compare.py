"""Losses compared on one data set: equal runs, several seeds, and what they differ by."""

from __future__ import annotations

import json
import math
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from yolo.errors import ConfigError
from yolo.models.loss_names import SCALING_OF
from yolo.system.writing import write_json
from yolo.training import job, run_folder

# Student's t that 2.5 % lie above, for 1, 2, ... degrees of freedom; more have that of the normal
_T = (
    12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160,
    2.145, 2.131, 2.120, 2.110, 2.101, 2.093, 2.086, 2.080, 2.074, 2.069, 2.064, 2.060, 2.056,
    2.052, 2.048, 2.045, 2.042,
)  # fmt: skip
_SPARE = 1.2  # measuring, drawing and saving, beside the epochs' own time


@dataclass(frozen=True)
class Arm:
    """A loss to compare.

    Args:
        label: as it was typed, "focal:gamma=1.5".
        loss: its name.
        options: its parameters, as `--loss-options` takes them.
    """

    label: str
    loss: str
    options: str | None

    def folder(self, out: Path, seed: int) -> Path:
        """Return the folder of its run with a seed."""
        return out / self.run_name(seed)

    def run_name(self, seed: int) -> str:
        """Return the name of its run with a seed."""
        return f"{self.label.replace(':', '_')}-seed{seed}"


@dataclass(frozen=True)
class Difference:
    """What an arm gains over the first one, seed by seed.

    Args:
        gains: for each seed.
        mean: of these.
        half_width: half of the 95 % interval of the mean, infinite for one seed.
        p: exact chance of so large a mean if the sign of each gain were chance.
    """

    gains: tuple[float, ...]
    mean: float
    half_width: float
    p: float

    @property
    def told(self) -> bool:
        """Whether the difference is larger than the spread of seeds."""
        return abs(self.mean) > self.half_width


def arms_from(text: str) -> list[Arm]:
    """Return the arms of "cross-entropy,focal:gamma=1.5:alpha=0.5".

    Raises:
        ConfigError: fewer than two, one twice, or no such loss.
    """
    arms = []
    for word in (word.strip() for word in text.split(",")):
        loss, *options = word.split(":")
        if loss not in SCALING_OF:
            raise ConfigError(f"--losses: there is no {loss!r}; there are {', '.join(SCALING_OF)}")
        arms.append(Arm(word, loss, " ".join(options) or None))
    if len({arm.label for arm in arms}) < max(len(arms), 2):
        raise ConfigError(f"--losses names two or more different ones; received {text!r}")
    return arms


def difference(first: Sequence[float], other: Sequence[float]) -> Difference:
    """Compare a figure of two arms that had the same seeds.

    Example:
        >>> found = difference([0.40, 0.42, 0.41], [0.45, 0.46, 0.46])
        >>> round(found.mean, 3), round(found.half_width, 3), found.p, found.told
        (0.047, 0.014, 0.25, True)
    """
    gains = tuple(b - a for a, b in zip(first, other, strict=True))
    mean, count = statistics.fmean(gains), len(gains)
    half = math.inf
    if count > 1:
        quantile = _T[count - 2] if count - 2 < len(_T) else 1.96
        half = quantile * statistics.stdev(gains) / math.sqrt(count)
    return Difference(gains, mean, half, _sign_chance(gains))


def _sign_chance(gains: Sequence[float]) -> float:
    """Return the share of all choices of signs with a mean as large; of 12 gains at most."""
    gains = gains[:12]
    seen = abs(sum(gains)) - 1e-12
    sums = [0.0]
    for gain in gains:
        sums = [one + sign * gain for one in sums for sign in (-1, 1)]
    return sum(abs(one) >= seen for one in sums) / len(sums)


def sentence(arms: Sequence[Arm], scores: dict[str, list[float]]) -> str:
    """Return what the comparison says, in one honest sentence.

    The others are compared with the first arm; `scores` are label to a figure of each seed.
    """
    first, *others = [arm.label for arm in arms]
    seeds = len(scores[first])
    if seeds < 2:
        return "One seed says nothing of chance: give --seeds 3 or more."
    told = {}
    for label in others:
        found = difference(scores[first], scores[label])
        if found.told:
            told[label] = found.mean
    if not told:
        return f"No difference larger than the spread of {seeds} seeds."
    parts = [f"{label} {'gains' if g > 0 else 'loses'} {abs(g):.3f}" for label, g in told.items()]
    rest = "" if len(told) == len(others) else "; no other difference is larger than their spread"
    return f"{' and '.join(parts)} COCO AP against {first}, over {seeds} seeds{rest}."


def run_all(
    given: dict[str, Any], arms: Sequence[Arm], seeds: Sequence[int], out: Path,
    *, minutes: float | None = None, write: Callable = print, **how: Any,
) -> dict[str, Any]:  # fmt: skip
    """Train every arm with every seed, in turn, each with the same epochs, and gather the figures.

    What is finished already is taken as it is, what was interrupted goes on.

    Args:
        given: settings of all runs, as fields of `TrainConfig`.
        arms: the losses.
        seeds: of the runs.
        out: the folder that their folders lie in.
        minutes: for all together, in the place of `epochs`; None: as many epochs as `given` says.
        write: called with lines to show.
        how: `live`, `stop` and the like, for `yolo.train`.

    Returns:
        "arms": label to "COCO_AP", "mAP50" and "minutes", lists with one number for each seed, and
        "curves", for each seed the (epoch, COCO AP) measured while training; "seeds"; "epochs".
    """
    given = {**given, "save_dir": str(out)}
    if minutes is not None:
        share = 60 * minutes / (len(arms) * len(seeds))
        given["epochs"] = _epochs_within(share, given, arms[0], out, write=write, **how)
    found: dict[str, dict] = {arm.label: {"curves": []} for arm in arms}
    for number, seed in enumerate(seeds, 1):
        for arm in arms:  # in turn: whatever slows the machine down meets all of them
            write(f"\n{arm.label}, seed {number} of {len(seeds)}")
            settings = {**given, "loss": arm.loss, "loss_options": arm.options, "seed": seed}
            settings = {key: value for key, value in settings.items() if value is not None}
            done = job.train(
                **settings, name=arm.run_name(seed), resume=True, write=write, **how
            )  # fmt: skip
            for name, value in figures_of(done.folder).items():
                found[arm.label].setdefault(name, []).append(value)
            found[arm.label]["curves"].append(
                [(row["epoch"], row["COCO_AP"]) for row in done.figures if "COCO_AP" in row]
            )
    epochs = len(run_folder.read_results(arms[0].folder(out, seeds[0]) / "results.csv"))
    result = {"arms": found, "seeds": list(seeds), "epochs": epochs}
    write_json(out / "compare.json", result)
    return result


def figures_of(folder: Path) -> dict[str, float]:
    """Return COCO AP and mAP50 of a finished run on its test split, and its minutes."""
    (path,) = folder.glob("*_results.json")
    result = json.loads(path.read_text(encoding="utf-8"))
    rows = run_folder.read_results(folder / "results.csv")
    seconds = sum(float(row["seconds"] or 0) for row in rows)
    figures = {"COCO_AP": result["coco"]["AP"], "mAP50": result["map_all_point"]}
    return {**figures, "minutes": seconds / 60}


def _epochs_within(seconds: float, given: dict, arm: Arm, out: Path, *, write, **how: Any) -> int:
    """Return how many epochs a run has in so many seconds; the first time two are tried.

    Going on must not change the number: it is kept in `plan.json`.
    """
    plan = out / "plan.json"
    if plan.is_file():
        return int(json.loads(plan.read_text(encoding="utf-8"))["epochs"])
    write("two epochs to see how long one takes")
    trial = {**given, "epochs": 2, "epochs_between_evaluations": 0, "loss": arm.loss}
    done = job.train(**trial, name="trial", resume=True, write=write, **how)
    takes = done.figures[-1]["seconds"]
    epochs = max(1, int(seconds / (_SPARE * max(takes, 1e-3))))
    write(f"an epoch takes {takes:.1f} s: {epochs} for each run")
    write_json(plan, {"epochs": epochs})
    return epochs
