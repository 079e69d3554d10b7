"""Readers and writers of other programs' weights files, and where to get them."""

import importlib

__all__ = ["catalog", "darknet", "download", "torchvision", "tutorial"]


def __getattr__(name: str):
    if name in __all__:
        return importlib.import_module(f"yolo.weights.{name}")
    raise AttributeError(f"module 'yolo.weights' has no attribute {name!r}")
