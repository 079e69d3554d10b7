"""From files on disk to batches of pictures and boxes."""

import importlib

_MODULES = ("augment", "check", "dataset", "demo", "folder", "formats", "pipeline", "sample")

__all__ = list(_MODULES)


def __getattr__(name: str):
    if name in _MODULES:
        return importlib.import_module(f"yolo.data.{name}")
    raise AttributeError(f"module 'yolo.data' has no attribute {name!r}")
