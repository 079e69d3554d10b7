"""JSON files with arrays and a checksum: the index of a data set in shards."""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import math
import os
from typing import Any

import numpy as np

from yolo.errors import DatasetError
from yolo.system.reading import printable, read_regular

MAX_BYTES = 1 << 31


def seal(document: dict) -> str:
    """Return a document, its arrays from `pack`, as a file's text with the content's SHA-256."""
    return json.dumps({**document, "sha256": _digest(document)}, indent=1) + "\n"


def read_sealed(path: str | os.PathLike, *, format: str, mend: str) -> dict[str, Any]:
    """Read what `seal` wrote, of the "format" given; `mend` is what to do about any other file.

    Raises:
        DatasetError: the file cannot be read, is none of ours, of another version, or damaged.
    """
    data = read_regular(path, max_bytes=MAX_BYTES)
    try:
        document = json.loads(data.decode("utf-8"))
        sealed = document.pop("sha256", None) if isinstance(document, dict) else None
        digest = _digest(document)
    except (ValueError, RecursionError):
        document = None
    if not isinstance(document, dict):
        raise DatasetError(f"{printable(path)}: damaged (no JSON object in UTF-8): {mend}")
    if document.get("format") != format:
        raise DatasetError(
            f"{printable(path)}: not a file of the format {format!r}, or of another version: {mend}"
        )
    if sealed != digest:
        raise DatasetError(f"{printable(path)}: damaged (its checksum differs): {mend}")
    return document


def pack(array: np.ndarray) -> str:
    """Return an array's bytes, little-endian, as text; the reader knows type and shape.

    Example:
        >>> unpack(pack(np.array([1.5, -2.0], np.float32)), np.float32, (2,)).tolist()
        [1.5, -2.0]
    """
    array = np.asarray(array)
    return base64.b64encode(array.astype(array.dtype.newbyteorder("<")).tobytes()).decode("ascii")


def unpack(text: Any, dtype, shape: tuple[int, ...]) -> np.ndarray:
    """Return the array that `pack` made text of.

    Raises:
        ValueError: the text holds no such array.
    """
    try:
        data = base64.b64decode(text, validate=True)
    except (TypeError, ValueError, binascii.Error):
        raise ValueError("no array") from None
    kind = np.dtype(dtype).newbyteorder("<")
    if len(data) != math.prod(shape) * kind.itemsize:
        raise ValueError(f"{len(data)} bytes; expected an array of {shape}")
    return np.frombuffer(data, kind).reshape(shape).astype(dtype)


def _digest(document: dict) -> str:
    text = json.dumps(document, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode("ascii")).hexdigest()
