"""What a run makes smaller; what the words mean stands at `LossSettings`."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from yolo.models.yolov4.settings import LOSS_SCALINGS, LossSettings
from yolo.settings.option import option

loss_option = partial(option, "loss")

# Settings that follow from the scaling of the loss where they are not given.
BY_SCALING = (
    "positive_iou", "location_weight", "confidence_weight", "class_weight",
    "confidence_normalizer",
)  # fmt: skip


def _by_scaling(name: str) -> str:
    """Return a default in words: the common value, then the scalings that differ."""
    usual = getattr(LossSettings(), name)
    others = [
        f"{scaling} {value[name]:.4g}" if isinstance(value[name], float) else
        f"{scaling} {value[name]}"
        for scaling, value in LOSS_SCALINGS.items()
        if name in value and scaling != "mining"
    ]  # fmt: skip
    return ", ".join([str(usual), *others])


@dataclass(frozen=True)
class LossOptions:
    """The loss by name, and the weights and normalisers of its parts."""

    loss: str | None = loss_option(
        None,
        "confidence loss of YOLOv4, class loss of RetinaNet",
        choices=("cross-entropy", "focal"),
        default_text="cross-entropy for YOLOv4, focal for RetinaNet",
    )
    focal_alpha: float = loss_option(
        0.25, "weight of objects in the focal loss; background has 1 - alpha", within=(0, 1)
    )
    focal_gamma: float = loss_option(
        2.0, "how much the focal loss turns down easy anchors; 0 is cross-entropy", within=(0, 20)
    )
    loss_scaling: str = loss_option(
        "auto",
        "weights and normalisers of the loss's parts; auto follows --loss",
        choices=("auto", "cross-entropy", "focal", "tutorial", "tutorial-focal"),
        only="yolov4",
    )
    iou: str = loss_option(
        "ciou",
        "location loss: 1 - this similarity",
        choices=("ciou", "siou", "diou", "giou", "iou"),
        only="yolov4",
    )
    positive_iou: float | None = loss_option(
        None,
        "anchors whose shape IoU exceeds this are positive besides the best; 1: the best only",
        default_text=_by_scaling("positive_iou"),
        within=(0, 1),
        only="yolov4",
    )
    location_weight: float | None = loss_option(
        None,
        "factor on the location loss",
        default_text=_by_scaling("location_weight"),
        within=(0, 1e6),
    )
    confidence_weight: float | None = loss_option(
        None,
        "factor on the confidence loss",
        default_text=_by_scaling("confidence_weight"),
        within=(0, 1e6),
        only="yolov4",
    )
    class_weight: float | None = loss_option(
        None, "factor on the class loss", default_text=_by_scaling("class_weight"), within=(0, 1e6)
    )
    confidence_normalizer: str | None = loss_option(
        None,
        "what the confidence loss is divided by: the positives, or all anchors that count",
        choices=("positives", "all"),
        default_text=_by_scaling("confidence_normalizer"),
        only="yolov4",
    )
    ignore_iou: float = loss_option(
        0.5,
        "background anchors overlapping an object more than this are left out",
        within=(0, 1),
        only="yolov4",
    )
    label_smoothing: float = loss_option(
        0.0, "smoothing of the class targets, 0 to 1", within=(0, 1), only="yolov4"
    )
