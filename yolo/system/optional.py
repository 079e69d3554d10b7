"""Packages that are not installed with the rest."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Sequence
from types import ModuleType

from yolo.errors import ConfigError, YoloError


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


def require(modules: Sequence[str], purpose: str, extra: str) -> None:
    """Look for packages before any work begins that needs them at its end; none is imported.

    Args:
        modules: top-level names.
        purpose: the beginning of the sentence that names those that are missing.
        extra: of this package, which installs them.

    Raises:
        ConfigError: one is missing, with the command that installs them all.
    """
    missing = [name for name in modules if importlib.util.find_spec(name) is None]
    if missing:
        raise ConfigError(f'{purpose} needs {", ".join(missing)}: pip install -e ".[{extra}]"')
