"""The paper's figures 1, 4 and 5, drawn from `keras_focal.analysis` into docs/figures."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import numpy as np

from keras_focal import analysis
from yolo.system.writing import replacing, write_text

FOLDER = Path(__file__).resolve().parents[2] / "docs" / "figures"
# Shares of the samples at which a curve of figure 4 is kept; its end is steep.
FRACTIONS = np.concatenate([np.arange(0, 0.96, 0.02), np.arange(0.96, 0.9995, 0.002), [0.9995, 1]])
SIDES = ("positives", "negatives")


def anchor_probabilities(detector, samples):
    """Return what a RetinaNet gives to every class of every anchor that is not ignored.

    Args:
        detector: the RetinaNet.
        samples: labelled pictures.

    Returns:
        Probabilities and labels (1: the class of the anchor's object, 0: all others), both (n,),
        n about pictures x anchors x classes.
    """
    from keras import ops

    from yolo.data.pipeline import evaluation_dataset
    from yolo.models.retinanet.targets import IGNORED, assign

    classes, size = len(detector.classes), detector.image_size
    anchors = ops.convert_to_tensor(detector.anchors(size))
    found, labels = [], []
    for images, truth in evaluation_dataset(samples, image_size=size, batch_size=4):
        logits = ops.cast(detector.network(images)["class_logits"], "float32")
        targets = assign(
            detector.architecture, detector.loss_settings, size, anchors, truth["boxes"],
            truth["classes"],
        )  # fmt: skip
        matched = ops.convert_to_numpy(targets.matched)  # (batch, anchors)
        ids = ops.convert_to_numpy(targets.class_ids)
        of_anchor = np.take_along_axis(ids, np.maximum(matched, 0), axis=1)
        true = (matched >= 0)[..., None] & (of_anchor[..., None] == np.arange(classes))
        found.append(ops.convert_to_numpy(ops.sigmoid(logits))[matched != IGNORED].ravel())
        labels.append(true[matched != IGNORED].ravel())
    return np.concatenate(found), np.concatenate(labels).astype(np.int8)


def keep_curves(detector, samples, path: Path, *, steps: int) -> None:
    """Write figure 4's curves for a trained detector, so that it can be drawn without it.

    Those of a detector that was trained for longer stay.

    Args:
        detector: a RetinaNet, trained with the focal loss.
        samples: pictures that it did not learn from.
        path: a CSV file of training steps, side, number of samples, gamma, fraction of the
            samples and share of the loss.
        steps: that it was trained for.
    """
    if path.exists() and read_curves(path)[0] > steps:
        return
    p, labels = anchor_probabilities(detector, samples)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("steps", "side", "samples", "gamma", "fraction", "share"))
    for side, curves in analysis.cumulative_loss(p, labels).items():
        for gamma, (samples_below, share) in curves.items():
            for fraction, value in zip(
                FRACTIONS, np.interp(FRACTIONS, samples_below, share), strict=True
            ):
                kept = f"{gamma:g}", f"{fraction:.4f}", f"{value:.6f}"
                writer.writerow((steps, side, len(share) - 1, *kept))
    write_text(path, text.getvalue())


def read_curves(path: Path):
    """Return the steps and {side: (samples, {gamma: (fractions, shares)})} of such a file."""
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    curves = {}
    for side in SIDES:
        own = [row for row in rows if row["side"] == side]
        by_gamma = {
            gamma: tuple(
                np.array([float(row[column]) for row in own if float(row["gamma"]) == gamma])
                for column in ("fraction", "share")
            )
            for gamma in sorted({float(row["gamma"]) for row in own})
        }
        curves[side] = (int(own[0]["samples"]), by_gamma)
    return int(rows[0]["steps"]), curves


def curve_files(folder: Path) -> dict[str, Path]:
    """Return the data sets whose figure 4 can be drawn, and their files."""
    return {
        path.stem.removeprefix("figure4_"): path for path in sorted(folder.glob("figure4_*.csv"))
    }


def draw(results_folder: Path, folder: Path = FOLDER) -> list[Path]:
    """Draw all figures that there are numbers for.

    Args:
        results_folder: where `keep_curves` wrote.
        folder: where the PNG files go.

    Returns:
        The files.
    """
    figure, axes = _figure(1)
    analysis.plot_loss_against_probability(axes[0])
    paths = [_save(figure, folder / "figure1.png")]
    figure, axes = _figure(1)
    analysis.plot_loss_against_logit(axes[0])
    axes[0].set_ylim(0, 6)
    paths.append(_save(figure, folder / "figure5.png"))
    for name, path in curve_files(results_folder).items():
        figure, axes = _figure(2)
        for side, ax in zip(SIDES, axes, strict=True):
            count, curves = read_curves(path)[1][side]
            analysis.plot_cumulative_loss(curves, ax, side=f"{side} ({count:,})")
        figure.suptitle(name)
        paths.append(_save(figure, folder / f"figure4_{name}.png"))
    return paths


def _figure(columns: int):
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4.6 * columns, 3.4), layout="constrained")
    return figure, figure.subplots(1, columns, squeeze=False)[0]


def _save(figure, path: Path) -> Path:
    with replacing(path) as temporary:
        figure.savefig(temporary, dpi=90)
    return path
