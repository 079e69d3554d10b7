"""The model that a run's settings ask for, known before it is built; its anchors, and better ones.

Nothing here needs TensorFlow, but for the anchors of a RetinaNet.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from yolo.data import anchor_fit
from yolo.data.anchor_fit import Recall
from yolo.data.sample import Sample
from yolo.models.retinanet.settings import RetinaNetConfig
from yolo.models.yolov4.settings import YOLOv4Config
from yolo.settings.detector import canvas, model_settings
from yolo.settings.model import AUTO
from yolo.settings.train import TrainConfig
from yolo.system.writing import write_text


@dataclasses.dataclass(frozen=True)
class AnchorFit:
    """Anchors fitted to a data set, beside those that the model would have.

    Args:
        old: (K, 2) widths and heights.
        new: (K, 2), the same as `old` where nothing was fitted.
        before: what the old ones reach.
        after: what the new ones reach.
        better: whether the new ones are worth taking.
    """

    old: np.ndarray
    new: np.ndarray
    before: Recall
    after: Recall
    better: bool

    @property
    def chosen(self) -> np.ndarray:
        """The new anchors if they are better, else the old ones."""
        return self.new if self.better else self.old


def anchor_recall(config: TrainConfig, samples: Sequence[Sample], classes) -> Recall:
    """Return what the chosen model's anchors reach of the objects, at the chosen size.

    YOLOv4 has its anchors in every cell, so their shapes decide; of RetinaNet's an object needs
    one that overlaps it where both lie.
    """
    boxes, ids = _learned_boxes(config, samples)
    return _recall(config, model_settings(config), boxes, ids, classes)


def _learned_boxes(config: TrainConfig, samples: Sequence[Sample]):
    """Return boxes and classes of the objects to learn, in pixels of the network's picture."""
    learned = [sample.learned() for sample in samples]
    return anchor_fit.network_boxes(learned, config.image_size, config.resize)


def _recall(
    config: TrainConfig, settings: YOLOv4Config | RetinaNetConfig, boxes, ids, classes
) -> Recall:
    """Return what the anchors of a model's settings reach of boxes (N, 4) on its picture."""
    if settings.family == "retinanet":
        from yolo.models.families import FAMILIES  # brings Keras

        make_anchors = FAMILIES[settings.family].decode.make_anchors
        every = np.asarray(make_anchors(settings, canvas(config)))
        return anchor_fit.box_recall(boxes, ids, every, classes)
    anchors, groups = settings.anchor_shapes()
    shapes = np.array(anchors, np.float64)[sorted({i for group in groups for i in group})]
    return anchor_fit.shape_recall(anchor_fit.box_sizes(boxes), ids, shapes, classes)


def anchor_shapes(config: TrainConfig) -> tuple[np.ndarray, tuple[tuple[int, ...], ...]]:
    """Return the chosen model's anchors (K, 2) and, for each stride, the indices of its own."""
    shapes, groups = model_settings(config).anchor_shapes()
    return np.array(shapes, np.float64), groups


def fit_anchors(
    config: TrainConfig, samples: Sequence[Sample], classes, write: Callable = lambda line: None
) -> AnchorFit:
    """Fit the model's anchors to the objects of a data set, and show what that brings.

    A YOLOv4's heads move with its anchors, see `yolo.weights.heads`, so better ones cost nothing.
    A RetinaNet has one head for all its levels, whose outputs mean one set of shapes: it leaves
    them only where they overlook a class.
    """
    boxes, ids = _learned_boxes(config, samples)
    settings = model_settings(config)
    old, groups = anchor_shapes(config)
    new = anchor_fit.fit_shapes(anchor_fit.box_sizes(boxes), old, groups, seed=config.seed)
    fitted = dataclasses.replace(settings, anchors=new.tolist())
    before, after = (_recall(config, s, boxes, ids, classes) for s in (settings, fitted))
    better = anchor_fit.is_better(after, before)
    if settings.family == "retinanet":
        better = better and anchor_fit.overlooks(before)
    fit = AnchorFit(old, new, before, after, better)
    for line in describe_fit(fit, groups):
        write(line)
    return fit


def settle_anchors(
    config: TrainConfig, samples: Sequence[Sample], classes, folder: Path, write: Callable
) -> tuple[TrainConfig, AnchorFit | None]:
    """Replace `--anchors auto` by a file of the anchors to take, and show why.

    Returns the settings, with `anchors.txt` in `folder`, and the fit if there was one.
    """
    if config.anchors != AUTO:
        return config, None
    fit = fit_anchors(config, samples, classes, write)
    write_text(folder / "anchors.txt", anchors_text(fit.chosen))
    return dataclasses.replace(config, anchors=str(folder / "anchors.txt")), fit


def describe_fit(fit: AnchorFit, groups: Sequence[Sequence[int]]) -> list[str]:
    """Return lines that show recall before and after, and what was decided.

    Of strides that keep their anchors, for want of objects, the anchors are not shown.
    """
    moved = [g for g in groups if not np.allclose(fit.old[list(g)], fit.new[list(g)])]
    lines = []
    for name, shapes, recall in (("now", fit.old, fit.before), ("fitted", fit.new, fit.after)):
        strides = "  |  ".join(
            "  ".join("{:.0f}x{:.0f}".format(*shapes[i]) for i in group) for group in moved
        )
        reached = f"best possible recall {recall.recall:.1%} at IoU {recall.iou:g}"
        shown = f": {strides}" if strides else ""
        lines.append(f"anchors {name}: {reached}, mean IoU {recall.mean_iou:.3f}{shown}")
    for name, (count, share, _) in fit.before.per_class.items():
        lines.append(f"  {name}: {share:.1%} -> {fit.after.per_class[name][1]:.1%} of {count}")
    if len(moved) < len(groups):
        lines.append(f"  {len(groups) - len(moved)} of {len(groups)} strides keep theirs")
    if fit.better:
        lines.append("the fitted anchors are taken")
    elif anchor_fit.is_better(fit.after, fit.before):
        reach = f"{anchor_fit.FEWEST_REACHED:.0%} of every class"
        lines.append(
            f"the present ones reach {reach} and stay, for the model's one head knows them"
        )
    else:
        lines.append("the fitted anchors are not clearly better; the present ones stay")
    return lines


def anchors_text(shapes: np.ndarray) -> str:
    """Return anchors as the text of a file that `--anchors` takes."""
    return ",  ".join(f"{w:g},{h:g}" for w, h in shapes) + "\n"
