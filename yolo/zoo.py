"""The models by name."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from yolo.classes import as_names
from yolo.models.darknet_cfg import cfg as darknet_cfg
from yolo.models.darknet_cfg.cfg import Cfg
from yolo.models.names import settings_of
from yolo.models.retinanet.settings import RetinaNetConfig
from yolo.models.yolov4.from_cfg import config_of, is_cfg
from yolo.models.yolov4.settings import YOLOv4Config

if TYPE_CHECKING:
    from yolo.detector import Detector


def build(
    name: str | Path | Cfg,
    *,
    classes: Sequence[str],
    image_size: tuple[int, int] | int | None = None,
    resize: str | None = None,
    **options: Any,
) -> Detector:
    """Build a detector with fresh weights.

    Args:
        name: a key of `ZOO`, or a Darknet .cfg file; its layers before each [yolo] are made for
            `classes`, whatever it says.
        classes: names, in the order of their ids.
        image_size: (height, width) of the network's picture, multiples of 32, or both in one
            number; None: 416, or what the cfg says. For "shorter" the shorter side and the most
            that the longer one may have, e.g. (800, 1333).
        resize: "letterbox", "stretch" or "shorter"; None: "letterbox", or "stretch" for a cfg
            without letter_box=1, as Darknet does.
        **options: fields of the model's settings to change. YOLOv4: e.g. `anchors`, `masks` (for
            yolov4-tiny also "custom" or "coco"), `attention`, `prior`. RetinaNet: `profile`
            ("paper", "torchvision-v1", "torchvision-v2") and the fields of
            `RetinaNetConfig`, e.g. `backbone`, `frozen_norm`, `frozen_stages`.

    Returns:
        A `Detector`, not compiled.

    Raises:
        ConfigError: no such model or option, or a cfg that cannot be built, with its line.
        ValueError: `classes` are no names, or no such size or resize mode.

    Example:
        >>> model = build("yolov4-tiny", classes=["RBC", "WBC"], image_size=(64, 64))
        >>> model.count_params()
        5882634
    """
    settings: YOLOv4Config | RetinaNetConfig
    if isinstance(name, Cfg) or is_cfg(name):
        cfg = name if isinstance(name, Cfg) else darknet_cfg.read(name)
        classes = as_names(classes)
        settings = config_of(cfg, num_classes=len(classes), **options)
        image_size, resize = image_size or cfg.image_size, resize or cfg.resize
    else:
        settings = settings_of(str(name), **options)
    # Here and not above: looking up settings, as the check of a data set does, needs no Keras.
    from yolo.detector import Detector

    return Detector(
        settings, classes=classes, image_size=image_size or (416, 416), resize=resize or "letterbox"
    )
