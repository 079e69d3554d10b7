"""The mark in what prediction draws: files that have it are written over, all others are not."""

from __future__ import annotations

import os

from yolo.errors import DatasetError
from yolo.system.reading import open_regular

MARK = b"drawn by keras-focal, which may write over it"
_NEAR = 4096  # bytes from the beginning within which a JPEG's comment stands


def is_drawn(path: str | os.PathLike) -> bool:
    """Tell whether a picture or video has the mark; False, too, for what cannot be read."""
    try:
        with open_regular(path, max_bytes=1 << 50) as file:
            if MARK in file.read(_NEAR):
                return True
            file.seek(max(0, file.seek(0, os.SEEK_END) - len(MARK)))
            return file.read() == MARK
    except (DatasetError, OSError):
        return False
