"""Pictures of numbers, as PNG files: how training went, and how well each class is found.

matplotlib is imported where it is used, and draws without a screen.
"""

from __future__ import annotations

import contextlib
import csv
import io
import math
import warnings
from pathlib import Path

import numpy as np

from yolo.errors import DatasetError
from yolo.evaluation.voc import SCORES, ClassResult, VocResult
from yolo.system.writing import write_bytes

# Fonts with Chinese characters that systems have; class names may need them.
_FONTS = (
    "Microsoft YaHei",
    "SimHei",
    "PingFang SC",
    "Heiti SC",
    "Noto Sans CJK SC",
    "Noto Sans SC",
    "WenQuanYi Zen Hei",
    "WenQuanYi Micro Hei",
    "Droid Sans Fallback",
)
_PANELS = {"mAP50": "mean average precision", "learning_rate": "learning rate"}
_MOST_CURVES = 10
_MOST_CLASSES = 30


def plot_training(results_csv: Path, png: Path) -> None:
    """Draw the losses, the mean average precision and the learning rate over the epochs of a run.

    The table has one row per epoch. Empty cells are left out: mAP is measured only every few.

    Raises:
        DatasetError: the file has no row to draw.
    """
    table = _read_columns(results_csv)
    epochs = table.pop("epoch", None)
    if not epochs:
        raise DatasetError(
            f"{results_csv}: no epoch to draw. Expected a header and a row for each."
        )
    losses = {name: values for name, values in table.items() if name.endswith("loss")}
    panels = {"loss": losses} if losses else {}
    panels |= {title: {name: table[name]} for name, title in _PANELS.items() if name in table}
    count = max(len(panels), 1)
    with new_axes(png, (8, 3 * count), count) as axes:
        for axis, (title, curves) in zip(axes, panels.items(), strict=False):
            for name, values in curves.items():
                points = [(x, y) for x, y in zip(epochs, values, strict=True) if math.isfinite(y)]
                marker = "o" if len(points) <= 30 else None
                axis.plot(*zip(*points, strict=True), label=name, marker=marker, markersize=3)
            axis.set_ylabel(title)
            axis.grid(alpha=0.3)
            axis.legend(fontsize="small")
            if title == "mean average precision":
                axis.set_ylim(0, 1.02)
            if title == "loss" and _spread(curves) > 100:
                axis.set_yscale("log")
        axes[-1].set_xlabel("epoch")
        axes[-1].xaxis.get_major_locator().set_params(integer=True)


def plot_average_precision(result: VocResult, png: Path) -> None:
    """Draw the all-point average precision of each class as a bar, the best on top."""
    entries = _worst_first(result)
    with new_axes(png, (7, 1.2 + 0.28 * len(entries))) as (axis,):
        bars = axis.barh([e.name for e in entries], [e.ap_all_point for e in entries])
        axis.bar_label(bars, [f"{e.ap_all_point:.3f}" for e in entries], padding=3)
        label = f"average precision at IoU {result.iou_threshold:g}"
        axis.set(xlim=(0, 1.12), xlabel=label, title=f"mean {result.map_all_point:.4f}")


def plot_f1(result: VocResult, png: Path) -> None:
    """Draw F1 against the score from which on detections count: where to put the threshold.

    F1 is 2 P R / (P + R). The thick line is the mean over the classes that have objects; of many
    classes, the worst ten are drawn beside it.
    """
    entries = _worst_first(result)
    curves = [entry.f1_curve() for entry in entries]
    with new_axes(png, (7, 5.5)) as (axis,):
        for entry, curve in list(zip(entries, curves, strict=True))[:_MOST_CURVES]:
            axis.plot(SCORES, curve, label=entry.name, alpha=0.8)
        title = f"IoU {result.iou_threshold:g}"
        if curves:
            mean = np.mean(curves, axis=0)
            best = result.best_score
            axis.plot(SCORES, mean, color="black", linewidth=2.5, label="mean")
            axis.axvline(best, color="black", linestyle=":", linewidth=1)
            title += f", best mean F1 {mean.max():.3f} at score {best:.2f}"
            axis.legend(fontsize="small")
        axis.set(xlim=(0, 1), ylim=(0, 1.02), xlabel="score", ylabel="F1", title=title)
        axis.grid(alpha=0.3)


def plot_confusion(matrix: np.ndarray, classes, png: Path) -> None:
    """Draw what `confusion_matrix` counted, each row as shares of what is there."""
    matrix = np.asarray(matrix)
    share = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    chosen = _worst_confused(matrix)
    names = [[*classes, "background"][i] for i in chosen]
    matrix, share = matrix[np.ix_(chosen, chosen)], share[np.ix_(chosen, chosen)]
    count = len(names)
    side = min(14, 3 + 0.55 * count)
    with new_axes(png, (side + 1, side)) as (axis,):
        image = axis.imshow(share, cmap="Blues", vmin=0, vmax=1)
        axis.set_xticks(range(count), names, rotation=45, ha="right")
        axis.set_yticks(range(count), names)
        axis.set(xlabel="said", ylabel="there")
        size = max(5, 10 - count // 6)
        for i, j in zip(*np.nonzero(matrix), strict=True):
            ink = "white" if share[i, j] > 0.55 else "black"
            text = f"{matrix[i, j]}" if count > 12 else f"{matrix[i, j]}\n{share[i, j]:.0%}"
            axis.text(j, i, text, ha="center", va="center", color=ink, fontsize=size)
        axis.figure.colorbar(image, ax=axis, label="share of the row", shrink=0.8)


def plot_precision_recall(result: VocResult, png: Path) -> None:
    """Draw precision against recall, a curve per class; of many classes, the worst ten."""
    entries = _worst_first(result)
    shown = entries[:_MOST_CURVES]
    with new_axes(png, (7, 5.5)) as (axis,):
        for entry in shown:
            axis.plot(
                [0, *entry.recall_curve],
                [*entry.precision_curve[:1], *entry.precision_curve] or [0],
                label=f"{entry.name} {entry.ap_all_point:.3f}",
            )
        title = f"IoU {result.iou_threshold:g}"
        if len(shown) < len(entries):
            title += f", worst {len(shown)} of {len(entries)} classes"
        axis.set(xlim=(0, 1.02), ylim=(0, 1.02), xlabel="recall", ylabel="precision", title=title)
        axis.grid(alpha=0.3)
        if shown:
            axis.legend(fontsize="small")


def _worst_first(result: VocResult) -> list[ClassResult]:
    """Return the classes that have objects, by their average precision."""
    found = [entry for entry in result.classes if entry.objects]
    return sorted(found, key=lambda entry: entry.ap_all_point)


def _worst_confused(matrix: np.ndarray) -> np.ndarray:
    """Return the classes to draw: of many those with the most mistakes, and background."""
    if len(matrix) <= _MOST_CLASSES:
        return np.arange(len(matrix))
    wrong = matrix.sum(axis=0) + matrix.sum(axis=1) - 2 * np.diag(matrix)
    wrong[-1] = wrong.max() + 1
    return np.sort(np.argsort(-wrong, kind="stable")[:_MOST_CLASSES])


def _spread(curves) -> float:
    values = [v for column in curves.values() for v in column if math.isfinite(v) and v > 0]
    return max(values) / min(values) if values else 1.0


def _read_columns(path: Path) -> dict[str, list[float]]:
    """Return the numeric columns of a CSV file; what is no number is nan."""
    try:
        with Path(path).open(encoding="utf-8-sig", newline="") as file:
            rows = list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DatasetError(f"{path}: cannot be read as a CSV table ({error}).") from None
    columns = {}
    for name in rows[0] if rows else ():
        values = [_to_float(row[name]) for row in rows]
        if name and any(map(math.isfinite, values)):
            columns[name] = values
    return columns


def _to_float(text) -> float:
    try:
        return float(text)
    except (TypeError, ValueError):
        return math.nan


@contextlib.contextmanager
def new_axes(png: Path, size: tuple[float, float], rows: int = 1):
    """Give axes below each other to draw on, and write the figure at the end."""
    import matplotlib
    from matplotlib import font_manager
    from matplotlib.figure import Figure  # without pyplot: no window and no global state

    installed = set(font_manager.get_font_names())
    fonts = ["DejaVu Sans", *(name for name in _FONTS if name in installed)]
    with (
        matplotlib.rc_context({"font.family": fonts, "axes.unicode_minus": False}),
        warnings.catch_warnings(),
    ):
        warnings.filterwarnings("ignore", message="Glyph .* missing")
        figure = Figure(figsize=size, layout="constrained")
        yield figure.subplots(rows, squeeze=False, sharex=True)[:, 0]
        data = io.BytesIO()
        figure.savefig(data, format="png", dpi=120)
    write_bytes(png, data.getvalue())
