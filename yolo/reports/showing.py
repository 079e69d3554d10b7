"""What a finished run shows: figures, curves, drawn pictures, and the report that holds them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from yolo.boxes import draw
from yolo.boxes.detections import Detections
from yolo.data.check import DataReport
from yolo.data.sample import Sample
from yolo.evaluation import plots, voc
from yolo.evaluation.matching import confusion_matrix, picture_results
from yolo.evaluation.voc import VocResult
from yolo.pictures.files import read_image, write_image
from yolo.pictures.sheet import grid
from yolo.reports import data_plots, gallery, run_report
from yolo.system.writing import write_json

EXAMPLES_SHOWN = 8


@dataclass(frozen=True)
class Test:
    """A split that a finished model was tried on.

    Args:
        name: the split.
        samples: its pictures.
        found: what the model found in them, one entry per sample.
        classes: class names.
        result: the average precision.
        coco: COCO's figures.
        score: the model's own threshold; what scores less is not shown.
        most: objects a picture that are shown, the model's own, too.
    """

    name: str
    samples: Sequence[Sample]
    found: list[Detections]
    classes: tuple[str, ...]
    result: VocResult
    coco: dict
    score: float
    most: int

    @property
    def shown(self) -> list[Detections]:
        """What prediction would show of what was found."""
        return [one.where(score=self.score)[: self.most] for one in self.found]


def show(folder: Path, test: Test, report: DataReport, train: Sequence[Sample], anchors) -> Path:
    """Write all that a finished run has to show into its folder; return the report's page.

    Pictures of `train` serve as examples; anchors are (K, 2) widths and heights, or None.

    Raises:
        YoloError: the disk refuses.
    """
    figures = folder / "plots"
    write_json(
        folder / f"{test.name}_results.json", {**voc.to_json(test.result), "coco": test.coco}
    )
    _draw_examples(folder, test)
    if (folder / "results.csv").exists():
        plots.plot_training(folder / "results.csv", figures / "training.png")
    plots.plot_precision_recall(test.result, figures / "precision_recall.png")
    plots.plot_average_precision(test.result, figures / "average_precision.png")
    plots.plot_f1(test.result, figures / "f1.png")
    matrix = confusion_matrix(test.shown, test.samples, test.classes, score_threshold=test.score)
    plots.plot_confusion(matrix, test.classes, figures / "confusion.png")
    ranked = picture_results(test.shown, test.samples, test.classes, score_threshold=test.score)
    for name, chosen in zip(("worst", "best"), gallery.worst_and_best(ranked), strict=True):
        for old in figures.glob(f"{name}_*.jpg"):  # of an earlier showing
            old.unlink()
        pairs = [gallery.side_by_side(one, test.samples[one.index], test.classes) for one in chosen]
        for i, pair in enumerate(pairs, 1):
            write_image(figures / f"{name}_{i}.jpg", pair)
        write_image(figures / f"{name}.jpg", gallery.sheet(pairs))
    of_data = data_plots.write_all(report, train, anchors, figures)
    return run_report.write(
        folder, test.name, report, of_data, score=test.score, learned=test.samples is train
    )


def _draw_examples(folder: Path, test: Test) -> None:
    """Draw the first pictures with what was found, each by itself and all on one sheet."""
    pictures, names = [], set()
    for sample, found in list(zip(test.samples, test.shown, strict=True))[:EXAMPLES_SHOWN]:
        picture = draw.draw_detections(read_image(sample.path), found)
        name = f"{sample.path.stem}.jpg"
        while name.lower() in names:
            name = f"{Path(name).stem}_2.jpg"
        names.add(name.lower())
        write_image(folder / "predictions" / name, picture)
        pictures.append(picture)
    write_image(folder / "plots" / "predictions.jpg", grid(pictures, 4))
