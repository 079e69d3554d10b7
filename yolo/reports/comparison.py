"""The page of a comparison: means, spread, a paired test, curves, and one sentence."""

from __future__ import annotations

import statistics
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from yolo.evaluation.plots import new_axes
from yolo.reports import html

_EXPLAINED = (
    "Every loss was trained with the same settings, epochs and seeds, in turn, and its best model "
    "on the validation pictures was tried on the test pictures. The spread is the standard "
    "deviation over the seeds: how much chance alone does. Runs of one seed share their order of "
    "pictures, and their division where the data have no lists; so they are compared in pairs.",
    "The interval holds the mean gain in 95 of 100 comparisons (Student's t of the paired gains); "
    "if 0 lies in it, the gain may be chance. Of many losses one may seem better by chance alone. "
    "p is the share of all choices of the gains' signs that give a mean as large; with three seeds "
    "it is never less than 0.25, with six 0.03.",
)


def write(
    out: Path, found: Mapping[str, Any], gains: Mapping[str, Any], said: str, about: str
) -> Path:
    """Write compare.html and its curves into a folder, and return the page.

    `found` is what `training.compare.run_all` returned, `gains` are label to its `Difference` in
    COCO AP against the first arm, `said` is the sentence, `about` model, data and the like.
    """
    page = html.Page("Losses compared", about)
    page.top.append(html.paragraph(said))
    rows = []
    for label, one in found["arms"].items():
        row = [label]
        for name in ("COCO_AP", "mAP50"):
            row.append(_mean(one[name]))
        row += [" ".join(f"{value:.4f}" for value in one["COCO_AP"]), _mean(one["minutes"], 1)]
        rows.append(row)
    header = ("loss", "COCO AP, mean and spread", "mAP50", "COCO AP of each seed", "minutes")
    page.add("What each reached on the test pictures", html.table(header, rows))
    kinds = ("against the first", "mean gain in COCO AP", "95 % interval", "p")
    rows = []
    for label, gain in gains.items():
        low, high = gain.mean - gain.half_width, gain.mean + gain.half_width
        interval = f"{low:+.4f} to {high:+.4f}" if len(gain.gains) > 1 else "-"
        rows.append([label, f"{gain.mean:+.4f}", interval, f"{gain.p:.3f}"])
    page.add("Is the difference more than chance?", html.table(kinds, rows))
    _draw(found, out / "curves.png")
    page.add(
        "While training",
        html.figures({"COCO AP of the validation pictures by epoch; each line is a seed":
                      out / "curves.png"}),
    )  # fmt: skip
    page.add("How to read this", *(html.paragraph(line) for line in _EXPLAINED))
    page.write(out / "compare.html")
    return out / "compare.html"


def _mean(values: list[float], digits: int = 4) -> str:
    """Return a mean and the standard deviation over the seeds, if there are several."""
    text = f"{statistics.fmean(values):.{digits}f}"
    return f"{text} ± {statistics.stdev(values):.{digits}f}" if len(values) > 1 else text


def _draw(found: Mapping[str, Any], png: Path) -> None:
    with new_axes(png, (7, 4)) as (axes,):
        for number, (label, one) in enumerate(found["arms"].items()):
            for seed, curve in enumerate(one["curves"]):
                epochs, scores = zip(*curve, strict=True) if curve else ((), ())
                axes.plot(
                    epochs, scores, color=f"C{number}", alpha=0.7, marker=".",
                    label=None if seed else label,
                )  # fmt: skip
        axes.set_xlabel("epoch")
        axes.set_ylabel("COCO AP")
        axes.legend()
