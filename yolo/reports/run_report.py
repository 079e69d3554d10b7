"""The page `report.html` of a run, and the page of a data set's check."""

from __future__ import annotations

import csv
import json
from dataclasses import fields
from pathlib import Path

from yolo.data.check import DataReport
from yolo.evaluation.text_table import number, without_objects
from yolo.models.thresholds import MATCH_IOU
from yolo.reports import check_report, html
from yolo.settings.toml import read_toml
from yolo.settings.train import TrainConfig, resolved
from yolo.system.writing import write_json, write_text

MOST_PLACES = 100
MOST_PAIRS = 20
_LEADING = ("model", "loss", "optimizer", "batch_size")
# Said beside the figures of a model that was tried on what it had learned from.
LEARNED = (
    "Measured on the pictures that it was trained on, for want of others with objects: this tells "
    "nothing of how well it does on others."
)


def write(
    folder: Path, test_name: str, report: DataReport, data_figures: dict[str, Path],
    *, score: float, learned: bool = False,
) -> Path:  # fmt: skip
    """Gather a finished run on one page, `report.html` in its folder, and return it.

    Args:
        folder: the run folder, with `config.toml`, `<test>_results.json` and `plots/`.
        test_name: the split that the best model was tried on.
        report: the check of the data.
        data_figures: caption to picture, of the data.
        score: from which on detections are shown.
        learned: whether that split is the one that it was trained on.
    """
    result = json.loads((folder / f"{test_name}_results.json").read_text(encoding="utf-8"))
    settings = TrainConfig(**read_toml(folder / "config.toml"))
    rows = _rows(folder / "results.csv")
    height, width = settings.image_size
    page = html.Page(
        f"Run {folder.name}",
        f"{settings.model}, {len(report.classes)} classes, {height}x{width}, "
        f"{settings.epochs} epochs of batches of {settings.batch_size}, {settings.precision}",
    )
    page.top.append(html.cards(_figures(result, test_name, rows)))
    if learned:
        page.top.append(html.paragraph(LEARNED, kind="bad"))
    figures = folder / "plots"
    page.add("How it was made", *_making(folder, settings))
    add_data(page, report, data_figures)
    page.add(
        "Training",
        html.figures({"losses, mAP50 and learning rate by epoch": figures / "training.png"}),
        _epochs_table(rows),
    )  # fmt: skip
    page.add(
        f"How well it finds, on {test_name}",
        _class_table(result),
        html.figures({
            "average precision of each class": figures / "average_precision.png",
            "precision against recall": figures / "precision_recall.png",
            "F1 against score: where to put the threshold": figures / "f1.png",
            f"what was taken for what, at score {score:g} and IoU {MATCH_IOU:g}; the last row is "
            "background taken for an object, the last column objects overlooked":
                figures / "confusion.png",
        }),
    )  # fmt: skip
    page.add(
        "The worst pictures",
        html.paragraph("On the left what is marked, on the right what was found at score "
                       f"{score:g}. Thick red: missed objects, and detections that are none. "
                       "Often enough it is the label that is wrong.", kind="soft"),
        html.figures(_pairs(figures, "worst"), in_rows=True),
    )  # fmt: skip
    page.add(
        "The best pictures, and the first ones",
        html.figures(_pairs(figures, "best"), in_rows=True),
        html.figures({"the first pictures": figures / "predictions.jpg"}, wide=True),
    )
    page.write(folder / "report.html")
    return folder / "report.html"


def write_check(folder: Path, report: DataReport, figures: dict[str, Path]) -> Path:
    """Write the check of a data set as text, JSON and a page with pictures; return the page."""
    write_findings(folder, report)
    page = html.Page(f"Data {report.source}", "what it holds, and what is wrong with it")
    add_data(page, report, figures)
    page.write(folder / "check.html")
    return folder / "check.html"


def write_findings(folder: Path, report: DataReport) -> None:
    """Write the check of a data set as check.txt and check.json."""
    write_text(folder / "check.txt", check_report.text(report) + "\n")
    write_json(folder / "check.json", check_report.to_json(report))


def add_data(page: html.Page, report: DataReport, figures: dict[str, Path]) -> None:
    """Add what is known of a data set to a page: counts, findings, pictures."""
    parts = [html.paragraph(check_report.headline(report), kind="soft")]
    if report.splits:
        header, *rows = check_report.table(report)
        parts.append(html.table(header, rows))
    parts += [html.paragraph(line) for line in check_report.size_lines(report)]
    if anchors := check_report.anchor_lines(report):
        parts += [html.paragraph(anchors[0]), html.items(anchors[1:])]
    page.add("The data", *parts)
    page.add("What the check of the data found", *_findings(report))
    page.add("The data in pictures", html.figures(figures, wide=True))


def _findings(report: DataReport) -> list[str]:
    parts = []
    for severity, title in check_report.TITLES.items():
        groups = check_report.groups(report, severity)
        if groups:
            parts.append(html.heading(title))
        for kind, places in groups.items():
            line = f"{kind}: {len(places)}"
            parts.append(html.paragraph(line, kind="bad" if severity == "error" else ""))
            shown = places[:MOST_PLACES]
            if len(places) > MOST_PLACES:
                shown.append(f"... and {len(places) - MOST_PLACES} more, in check.json")
            parts.append(html.items(shown, most=5))
    return parts or [html.paragraph("nothing")]


def changed_settings(settings: TrainConfig) -> list[tuple[str, str, str]]:
    """Return (name, value, default) of the settings that differ from the defaults.

    What only follows from model, loss, optimizer or batch size differs from nothing.
    """
    leading = {name: getattr(settings, name) for name in _LEADING}
    usual = vars(resolved(TrainConfig(**leading)))
    usual |= {name: vars(TrainConfig(model=settings.model))[name] for name in _LEADING}
    usual["model"] = TrainConfig().model
    found = vars(settings)
    return [
        (field.name, _shown(found[field.name]), _shown(usual[field.name]))
        for field in fields(TrainConfig)
        if found[field.name] != usual[field.name] and field.name not in ("precision", "name")
    ]


def _shown(value) -> str:
    return "-" if value is None else str(value)


def _figures(result: dict, test_name: str, rows: list[dict]) -> dict[str, str]:
    scores = [(float(row["mAP50"]), row["epoch"]) for row in rows if row.get("mAP50")]
    cards = {
        f"mAP50 on {test_name}, area under the curve": number(result["map_all_point"]),
        f"COCO AP on {test_name}": number(result["coco"]["AP"]),
        f"mAP50 on {test_name}, 11-point": number(result["map_11_point"]),
    }
    if scores:
        best, epoch = max(scores, key=lambda pair: pair[0])
        cards[f"best mAP50 while training, in epoch {epoch}"] = number(best)
    if rows:
        seconds = sum(float(row["seconds"] or 0) for row in rows)
        cards[f"minutes for {len(rows)} epochs"] = f"{seconds / 60:.1f}"
        cards["loss in the last epoch"] = f"{float(rows[-1]['loss']):.4g}"
    return cards


def _making(folder: Path, settings: TrainConfig) -> list[str]:
    parts = []
    if (folder / "command.txt").is_file():
        parts.append(html.code((folder / "command.txt").read_text(encoding="utf-8").strip()))
    changed = changed_settings(settings)
    if changed:
        parts += [
            html.heading("Settings that differ from the defaults"),
            html.table(("setting", "here", "default"), changed, words=True),
        ]
    every = (folder / "config.toml").read_text(encoding="utf-8").strip()
    return [*parts, html.folded("all settings", html.code(every))]


def _pairs(figures: Path, kind: str) -> dict[str, Path]:
    """Return the pictures that `showing` drew one by one, in their order."""
    return {f"{kind} {i}": figures / f"{kind}_{i}.jpg" for i in range(1, MOST_PAIRS + 1)}


def _epochs_table(rows: list[dict]) -> str:
    if not rows:
        return ""
    header = [name for name in rows[0] if any(row[name] for row in rows)]
    lines = [[_short(row[name]) for name in header] for row in rows]
    return html.folded("every epoch's figures", html.table(header, lines))


def _short(cell: str) -> str:
    """Return a number of a CSV file with five digits."""
    try:
        return f"{float(cell):.5g}"
    except ValueError:
        return cell


def _class_table(result: dict) -> str:
    header = ["class", "objects", "AP", "AP 11-point", "precision", "recall"]
    rows = [
        [entry["class"], str(entry["objects"]),
         *(number(entry[key]) for key in ("ap_all_point", "ap_11_point", "precision", "recall"))]
        for entry in sorted(result["classes"], key=lambda e: e["ap_all_point"] or 0)
        if entry["objects"]
    ]  # fmt: skip
    rows.append(["mean", "", number(result["map_all_point"]), number(result["map_11_point"]),
                 "", ""])  # fmt: skip
    note = (
        f"IoU {result['iou_threshold']:g}; precision and recall at score "
        f"{result['score_threshold']:g}; the worst class first"
    )
    without = without_objects([one["class"] for one in result["classes"] if not one["objects"]])
    notes = [html.paragraph(line, kind="soft") for line in (note, without) if line]
    return html.table(header, rows) + "".join(notes)


def _rows(path: Path) -> list[dict]:
    if not path.exists():
        return []
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))
