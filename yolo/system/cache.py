"""Where files lie that can be made or fetched again: downloaded weights, unpacked archives."""

from __future__ import annotations

import os
from pathlib import Path


def cache_folder() -> Path:
    """Return the folder: $KERAS_FOCAL_CACHE or ~/.cache/keras-focal."""
    return Path(os.environ.get("KERAS_FOCAL_CACHE") or Path.home() / ".cache" / "keras-focal")
