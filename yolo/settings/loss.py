"""What a run makes smaller: the loss by name, and what the families' losses offer."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

from yolo.models.loss_names import SCALING_OF
from yolo.models.option import option, taken
from yolo.models.retinanet.settings import RetinaNetConfig
from yolo.models.yolov4.settings import LOSS_SCALINGS, YOLOv4Config, YOLOv4Loss

_option = partial(option, group="loss")
_part = partial(taken, YOLOv4Loss, group="loss")


def _of_scaling(name: str, **about: Any) -> Any:
    """Return a field of the loss that scaling and cfg decide where the user does not say."""
    usual = getattr(YOLOv4Loss(), name)
    others = [
        f"{scaling} {value[name]:.4g}" if isinstance(value[name], float) else
        f"{scaling} {value[name]}"
        for scaling, value in LOSS_SCALINGS.items()
        if name in value and scaling != "mining"
    ]  # fmt: skip
    text = ", ".join([str(usual), *others])
    return _part(name, default=None, default_text=text, **about)


@dataclass(frozen=True)
class LossOptions:
    """The loss by name, and the weights and normalisers of its parts."""

    loss: str | None = _option(
        None,
        "confidence loss of YOLOv4, class loss of RetinaNet: keras_focal's, or Keras's by its name",
        choices=tuple(SCALING_OF),
        default_text=f"{YOLOv4Config.usual_loss} for YOLOv4, "
        f"{RetinaNetConfig.usual_loss} for RetinaNet",
    )
    loss_options: str | None = _option(
        None,
        "the loss's parameters: gamma=1.5 alpha=0.25",
        metavar="NAME=VALUE",
        default_text="its class's own",
    )
    loss_scaling: str = _option(
        "auto",
        "weights and normalisers of the loss's parts; auto follows --loss",
        choices=("auto", *LOSS_SCALINGS),
        only="yolov4",
    )
    iou: str | None = _of_scaling("iou", only="yolov4")
    positive_iou: float | None = _of_scaling("positive_iou", only="yolov4")
    location_weight: float | None = _of_scaling("location_weight")
    confidence_weight: float | None = _of_scaling("confidence_weight", only="yolov4")
    class_weight: float | None = _of_scaling("class_weight")
    confidence_normalizer: str | None = _of_scaling("confidence_normalizer", only="yolov4")
    ignore_iou: float | None = _of_scaling("ignore_iou", only="yolov4")
    label_smoothing: float | None = _of_scaling("label_smoothing", only="yolov4")
