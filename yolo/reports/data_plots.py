"""Pictures of a data set: how many of each class, how large, where, and sixteen examples."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from yolo.data.anchor_fit import box_sizes
from yolo.data.check import DataReport
from yolo.data.sample import Sample, draw_ground_truth
from yolo.evaluation.plots import new_axes
from yolo.pictures.files import read_image, write_image
from yolo.pictures.sheet import grid, shrunk

MOST_CLASSES, MOST_COLOURS, MOST_POINTS = 40, 8, 5000
EXAMPLES, CELL = 16, 320
CELLS = 48  # of the heat map, along the longer side


def write_all(
    report: DataReport, samples: Sequence[Sample], anchors: np.ndarray | None, folder: Path
) -> dict[str, Path]:
    """Draw the four pictures of a data set; return caption to file.

    Anchors are (K, 2) widths and heights, to lay over the boxes; None for none.
    """
    files = {
        "objects of each class": folder / "data_labels.png",
        "widths and heights of the boxes on the network's picture, with the anchors":
            folder / "data_boxes.png",
        "where the centres of the boxes lie": folder / "data_centres.png",
        "examples with their boxes": folder / "data_pictures.jpg",
    }  # fmt: skip
    labels, boxes, centres, pictures = files.values()
    plot_labels(report, labels)
    plot_boxes(report, anchors, boxes)
    plot_centres(report, centres)
    write_image(pictures, _examples(samples, report.classes))
    return files


def plot_labels(report: DataReport, png: Path) -> None:
    """Draw how many objects of each class each split holds, the most frequent class on top."""
    totals = {
        name: sum(split.per_class[name] for split in report.splits.values())
        for name in report.classes
    }
    names = sorted(totals, key=totals.__getitem__)[-MOST_CLASSES:]
    with new_axes(png, (7, 1.6 + 0.28 * len(names))) as (axis,):
        start = np.zeros(len(names))
        for split, counts in report.splits.items():
            values = [counts.per_class[name] for name in names]
            axis.barh(names, values, left=start, label=split)
            start += values
        if axis.containers:  # at the ends of the last split's bars
            axis.bar_label(axis.containers[-1], [f"{totals[name]:,}" for name in names], padding=3)
            axis.set_xlim(0, max(1, start.max()) * 1.15)
            axis.set_ylim(-0.6, len(names) - 0.4)
        left_out = len(report.classes) - len(names)
        more = f" ({left_out} rarer classes not shown)" if left_out else ""
        axis.set(xlabel=f"objects{more}")
        axis.legend(fontsize="small", loc="lower right")


def plot_boxes(report: DataReport, anchors: np.ndarray | None, png: Path) -> None:
    """Draw width against height of the boxes on the network's picture, with the anchors."""
    from matplotlib.ticker import LogLocator

    sizes, ids = box_sizes(report.boxes_xyxy), report.class_ids
    if len(sizes) > MOST_POINTS:
        chosen = np.random.default_rng(0).choice(len(sizes), MOST_POINTS, replace=False)
        sizes, ids = sizes[chosen], ids[chosen]
    sizes = np.maximum(sizes, 0.5)
    frequent = np.argsort(-np.bincount(ids, minlength=len(report.classes)), kind="stable")
    with new_axes(png, (7, 6.5)) as (axis,):
        named = [int(c) for c in frequent[:MOST_COLOURS] if (ids == c).any()]
        rest = ~np.isin(ids, named)
        look = {"s": 9, "alpha": 0.45, "linewidths": 0}
        if rest.any():
            axis.scatter(*sizes[rest].T, color="grey", label="other classes", **look)
        for class_id in named:
            axis.scatter(*sizes[ids == class_id].T, label=report.classes[class_id], **look)
        if anchors is not None:
            axis.scatter(*np.asarray(anchors).T, marker="P", s=90, color="black",
                         edgecolors="white", label="anchors", zorder=3)  # fmt: skip
        everything = sizes if anchors is None else np.concatenate([sizes, anchors])
        low, high = (everything.min(), everything.max()) if len(sizes) else (1, 100)
        axis.set(xscale="log", yscale="log", xlim=(low / 1.3, high * 1.3), aspect="equal",
                 ylim=(low / 1.3, high * 1.3), xlabel="width in pixels",
                 ylabel="height in pixels")  # fmt: skip
        for one in (axis.xaxis, axis.yaxis):
            one.set_major_locator(LogLocator(base=2, numticks=12))
            one.set_major_formatter("{x:g}")
            one.set_minor_formatter("")
        axis.grid(alpha=0.3)
        if axis.get_legend_handles_labels()[0]:
            for handle in axis.legend(fontsize="small", loc="upper left").legend_handles:
                handle.set_alpha(1)


def plot_centres(report: DataReport, png: Path) -> None:
    """Draw a heat map of the boxes' centres on the network's picture."""
    height, width = report.image_size
    if report.resize == "shorter":  # upright and lying pictures alike
        height = width = max(report.image_size)
    centres = (report.boxes_xyxy[:, :2] + report.boxes_xyxy[:, 2:]) / 2
    cell = max(height, width) / CELLS
    shape = max(1, round(height / cell)), max(1, round(width / cell))
    heat, _, _ = np.histogram2d(
        centres[:, 1], centres[:, 0], bins=shape, range=((0, height), (0, width))
    )
    with new_axes(png, (6.5, 6.5 * height / width * 0.85 + 0.6)) as (axis,):
        image = axis.imshow(heat, extent=(0, width, height, 0), cmap="magma", aspect="equal")
        axis.set(xlabel="pixels", ylabel="pixels")
        axis.figure.colorbar(image, ax=axis, label="objects", shrink=0.85)


def _examples(samples: Sequence[Sample], classes) -> np.ndarray:
    """Draw pictures, spread over the data set, on one sheet; empty ones for want of others."""
    marked = [sample for sample in samples if len(sample.class_ids)] or list(samples)
    places = np.unique(np.linspace(0, len(marked) - 1, min(EXAMPLES, len(marked))).astype(int))
    pictures = []
    for i in places:
        image, scale = shrunk(read_image(marked[i].path), CELL)
        sample = replace(marked[i], boxes_xyxy=np.asarray(marked[i].boxes_xyxy) * scale)
        pictures.append(draw_ground_truth(image, sample, classes))
    return grid(pictures, 4, cell=CELL)
