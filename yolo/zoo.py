"""The models by name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from yolo.models.names import settings_of

if TYPE_CHECKING:
    from yolo.detector import Detector


def build(
    name: str,
    *,
    classes: Sequence[str],
    image_size: tuple[int, int] | int = (416, 416),
    resize: str = "letterbox",
    **options: Any,
) -> Detector:
    """Build a detector with fresh weights.

    Args:
        name: a key of `ZOO`.
        classes: names, in the order of their ids.
        image_size: (height, width) of the network's picture, multiples of 32, or both in one
            number; for "shorter" the shorter side and the most that the longer one may have, e.g.
            (800, 1333).
        resize: "letterbox", "stretch" or "shorter".
        **options: fields of the model's settings to change. YOLOv4: e.g. `anchors`, `masks` (for
            yolov4-tiny also "custom" or "coco"), `attention`, `prior`. RetinaNet: `profile`
            ("paper", "torchvision-v1", "torchvision-v2", "detectron2", "fizyr") and the fields
            of `RetinaNetConfig`, e.g. `backbone`, `frozen_norm`, `frozen_stages`.

    Returns:
        A `Detector`, not compiled.

    Raises:
        ConfigError: no such model or option.
        ValueError: `classes` are no names, or no such size or resize mode.

    Example:
        >>> model = build("yolov4-tiny", classes=["RBC", "WBC"], image_size=(64, 64))
        >>> model.count_params()
        5882634
    """
    settings = settings_of(name, **options)
    # Here and not above: looking up settings, as the check of a data set does, needs no Keras.
    from yolo.detector import Detector

    return Detector(settings, classes=classes, image_size=image_size, resize=resize)
