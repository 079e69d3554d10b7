"""The models by name."""

from __future__ import annotations

import dataclasses

from yolo.anchors import TINY_MASKS, YOLOV4_ANCHORS, YOLOV4_MASKS, YOLOV4_TINY_ANCHORS
from yolo.config import YOLOv4Config
from yolo.detector import Detector
from yolo.errors import ConfigError

ZOO = {
    "yolov4": YOLOv4Config("yolov4", YOLOV4_ANCHORS, YOLOV4_MASKS),
    "yolov4-tiny": YOLOv4Config("yolov4-tiny", YOLOV4_TINY_ANCHORS, TINY_MASKS["custom"]),
}


def build(name: str, *, classes, image_size=(416, 416), resize="letterbox", **options) -> Detector:
    """Build a detector with fresh weights.

    Args:
        name: a key of `ZOO`: "yolov4" or "yolov4-tiny".
        classes: names, in the order of their ids.
        image_size: (height, width) of the network's picture, multiples of 32.
        resize: "letterbox" or "stretch".
        **options: fields of the model's settings to change, e.g. `anchors`, `masks` (for
            yolov4-tiny also "custom" or "coco"), `attention`, `prior`.

    Returns:
        A `Detector`, not compiled.

    Raises:
        ConfigError: no such model or option.

    Example:
        >>> model = build("yolov4-tiny", classes=["RBC", "WBC"], image_size=(64, 64))
        >>> model.count_params()
        5882634
    """
    if name not in ZOO:
        raise ConfigError(f"no model is called {name!r}; there are {', '.join(sorted(ZOO))}")
    settings = ZOO[name]
    known = {field.name for field in dataclasses.fields(settings)} - {"variant"}
    unknown = set(options) - known
    if unknown:
        raise ConfigError(
            f"{name} has no option {', '.join(sorted(unknown))}; it has {', '.join(sorted(known))}"
        )
    if isinstance(options.get("masks"), str):
        if name != "yolov4-tiny" or options["masks"] not in TINY_MASKS:
            raise ConfigError(
                f"masks by name are {', '.join(sorted(TINY_MASKS))}, for yolov4-tiny; "
                f"received {options['masks']!r} for {name}"
            )
        options["masks"] = TINY_MASKS[options["masks"]]
    settings = dataclasses.replace(settings, **options)
    return Detector(settings, classes=classes, image_size=image_size, resize=resize)
