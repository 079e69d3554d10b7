"""Packages that are not installed with the rest."""

from __future__ import annotations

import importlib
from types import ModuleType

from yolo.errors import YoloError


def import_optional(module: str, package: str, purpose: str) -> ModuleType:
    """Import a package that is not installed with the rest.

    Raises:
        YoloError: what for, the beginning of its sentence, and the command that installs it.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise YoloError(
            f"{purpose} needs the package {package} ({error}); run: pip install {package}"
        ) from error
