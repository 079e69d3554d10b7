"""The result of a data set's check as text for people, a few lines for a log, and JSON."""

from __future__ import annotations

from collections import defaultdict

import numpy as np

from yolo.data.anchor_fit import Recall, box_sizes
from yolo.data.check import SEVERITIES, DataReport
from yolo.evaluation.text_table import text_table
from yolo.system.reading import printable
from yolo.system.terminal import counted

ERRORS_SHOWN, PLACES_SHOWN = 20, 5
TITLES = {
    "error": "errors, which stop a run",
    "repair": "repairs, made in memory; your files stay as they are",
    "warning": "warnings",
    "note": "good to know",
}


def text(report: DataReport) -> str:
    """Return the whole report as lines of plain text, without a newline at the end."""
    lines = [f"{report.source}: {headline(report)}", ""]
    if report.splits:
        header, *rows = table(report)
        lines.append(text_table(header, rows))
        if sizes := size_lines(report):
            lines += ["", *sizes]
        lines += [("  " if i else "") + line for i, line in enumerate(anchor_lines(report))]
    for severity in SEVERITIES:
        most = ERRORS_SHOWN if severity == "error" else PLACES_SHOWN
        lines += ["", f"{TITLES[severity]}:"] if report.of(severity) else []
        for kind, places in groups(report, severity).items():
            lines += [f"  {kind}: {len(places)}", *(f"    {place}" for place in places[:most])]
            if len(places) > most:
                lines.append(f"    and {len(places) - most} more, in check.json")
    return "\n".join(lines).rstrip()


def brief(report: DataReport) -> list[str]:
    """Return the few lines that the start of a run shows."""
    lines = []
    for name, split in report.splits.items():
        counts = sorted(split.per_class.items(), key=lambda item: -item[1])
        shown = ", ".join(f"{c} {n}" for c, n in counts[:6])
        more = f", {len(counts) - 6} more classes" if len(counts) > 6 else ""
        more += f", difficult {split.difficult}" if split.difficult else ""
        empty = f", {split.empty} without objects" if split.empty else ""
        lines.append(
            f"{name}: {split.pictures} pictures{empty}, {split.objects} objects ({shown}{more})"
        )
    lines += [*size_lines(report), *anchor_lines(report)[:1]]
    for severity in ("warning", "note"):
        for kind, places in groups(report, severity).items():
            more = f" and {len(places) - 1} more" if len(places) > 1 else ""
            lines.append(f"{severity}: {kind}: {places[0]}{more}")
    return lines


def headline(report: DataReport) -> str:
    """Return how many pictures, classes, errors, repairs, warnings there are, in a line."""
    pictures = sum(split.pictures for split in report.splits.values())
    counts = [
        f"{len(report.of(severity))} {severity}{'' if len(report.of(severity)) == 1 else 's'}"
        for severity in SEVERITIES[:3]
    ]
    how = f"all {report.decoded} decoded" if report.decoded else "headers and annotations read"
    if not report.splits:
        return ", ".join(counts)
    classes = "class" if len(report.classes) == 1 else "classes"
    return f"{pictures} pictures ({how}), {len(report.classes)} {classes}; " + ", ".join(counts)


def table(report: DataReport) -> list[list[str]]:
    """Return a table of counts per split and class, and of sizes, the header first."""
    sizes = box_sizes(report.boxes_xyxy)
    rows = [["class", *report.splits, "median width x height"]]
    for class_id, name in enumerate(report.classes):
        mine = sizes[report.class_ids == class_id]
        median = "{:.0f} x {:.0f}".format(*np.median(mine, axis=0)) if len(mine) else "-"
        counts = [str(split.per_class[name]) for split in report.splits.values()]
        rows.append([printable(name), *counts, median])
    for title, key in (("objects", "objects"), ("of them difficult", "difficult"),
                       ("pictures", "pictures"), ("without objects", "empty")):  # fmt: skip
        rows.append([title, *(str(getattr(s, key)) for s in report.splits.values()), ""])
    return rows


def size_lines(report: DataReport) -> list[str]:
    """Return a line of how large the objects are on the network's picture; none without any."""
    if not len(report.class_ids):
        return []
    sides = np.sqrt(np.maximum(box_sizes(report.boxes_xyxy), 0).prod(axis=1))
    low, middle, high = np.percentile(sides, [5, 50, 95])
    height, width = report.image_size
    return [
        f"box sizes on the network's {height}x{width}: 5 % below {low:.0f}, half below "
        f"{middle:.0f}, 5 % above {high:.0f} pixels (root of the area)"
    ]


def anchor_lines(report: DataReport) -> list[str]:
    """Return what the anchors reach, in a line, and one for each class, the worst first."""
    recall = report.anchors
    if recall is None or not recall.per_class:
        return []
    looked = f", {recall.sampled} of them looked at" if recall.sampled else ""
    worst = sorted(recall.per_class.items(), key=lambda item: item[1][1])
    return [
        f"anchors: best possible recall {recall.recall:.1%} of the objects in "
        f"{next(iter(report.splits))} at IoU {recall.iou:g}, mean IoU {recall.mean_iou:.3f}{looked}"
    ] + [
        f"{printable(name)}: recall {share:.1%}, mean IoU {mean:.3f} ({counted(count, 'object')})"
        for name, (count, share, mean) in worst
    ]


def to_json(report: DataReport) -> dict:
    """Return the report as plain values, every finding with its place."""
    sides = box_sizes(report.boxes_xyxy)
    sizes = None
    if len(sides):
        quantiles = np.percentile(sides, [0, 5, 25, 50, 75, 95, 100], axis=0)
        sizes = {
            "percent": [0, 5, 25, 50, 75, 95, 100],
            "width": [round(float(n), 2) for n in quantiles[:, 0]],
            "height": [round(float(n), 2) for n in quantiles[:, 1]],
        }
    return {
        "source": report.source,
        "classes": list(report.classes),
        "image_size": list(report.image_size),
        "resize": report.resize,
        "decoded": report.decoded,
        "splits": {name: dict(vars(split)) for name, split in report.splits.items()},
        "box_sizes_on_the_networks_picture": sizes,
        "anchors": None if report.anchors is None else _recall_json(report.anchors),
        "counts": {severity: len(report.of(severity)) for severity in SEVERITIES},
        "findings": [dict(vars(problem)) for problem in report.problems],
    }


def _recall_json(recall: Recall) -> dict:
    known = bool(recall.per_class)
    return {
        "iou": recall.iou,
        "best_possible_recall": recall.recall if known else None,
        "mean_iou": recall.mean_iou if known else None,
        "sampled": recall.sampled,
        "per_class": {
            name: {"objects": count, "recall": share, "mean_iou": mean}
            for name, (count, share, mean) in recall.per_class.items()
        },
    }


def groups(report: DataReport, severity: str) -> dict[str, list[str]]:
    """Return the places of one severity by kind, in the order found."""
    places = defaultdict(list)
    for problem in report.of(severity):
        places[problem.kind].append(problem.place)
    return places
