"""One-stage detectors for Keras 3 whose confidence or classification loss is pluggable.

`import yolo` is light: Keras and TensorFlow are imported when a name that needs them is used. It
sets TF_ENABLE_ONEDNN_OPTS where TensorFlow's own choice is slow, see `yolo.system.processor`.
"""

from __future__ import annotations

import importlib
import sys

from yolo.system import processor

_HOMES = {
    "build": "yolo.zoo",
    "ZOO": "yolo.models.names",
    "Detector": "yolo.detector",
    "Detections": "yolo.boxes.detections",
    "load": "yolo.inference.opening",
    "train": "yolo.training.job",
}
_MODULES = (
    "boxes", "classes", "data", "detector", "errors", "evaluation", "export", "inference", "models",
    "pictures", "ray", "reports", "settings", "system", "training", "weights", "zoo",
)  # fmt: skip

__all__ = [*_HOMES, *_MODULES]


def __getattr__(name: str):
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    if name in _MODULES:
        return importlib.import_module(f"yolo.{name}")
    raise AttributeError(f"module 'yolo' has no attribute {name!r}")


def __dir__():
    return sorted([*globals(), *__all__])


processor.choose_onednn()
if sys.modules.get("keras") is not None:
    # Whoever has Keras loaded already loses no time, and `keras.models.load_model` then knows
    # the detector. Without Keras, `yolo.load` does.
    importlib.import_module("yolo.detector")
