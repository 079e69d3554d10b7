"""Weights files of any program: opened, read, written, and where to get them."""

import importlib

__all__ = ["catalog", "darknet", "download", "loading", "torchvision", "tutorial"]


def __getattr__(name: str):
    if name in __all__:
        return importlib.import_module(f"yolo.weights.{name}")
    raise AttributeError(f"module 'yolo.weights' has no attribute {name!r}")
