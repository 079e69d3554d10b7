"""Write a detector in the formats of other runtimes, and prove each file before it is kept."""

import importlib

__all__ = ["FORMATS", "export"]


def __getattr__(name: str):
    # The parts need TensorFlow; naming the package does not load it.
    if name in __all__:
        return getattr(importlib.import_module("yolo.export.exporter"), name)
    raise AttributeError(f"module 'yolo.export' has no attribute {name!r}")
