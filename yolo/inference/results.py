"""What was found in one picture or frame, and files that grow while results come."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

import numpy as np

from yolo.boxes.detections import Detections
from yolo.system.reading import printable
from yolo.system.writing import replacing


@dataclass(frozen=True, eq=False)
class Result:
    """What was found in one picture or one frame.

    Args:
        source: what was looked at, as it is written down.
        stem: a name for its files that no other result of the run has.
        image: (H, W, 3) uint8 RGB.
        found: in pixels of `image`; what is shown.
        ranked: what is scored, where that is more.
        path: the picture file; None for a frame.
        frame: the number of the frame in its video, from 0; None for a picture.
        drawn: where it was drawn, or None.
    """

    source: str
    stem: str
    image: np.ndarray
    found: Detections
    path: Path | None = None
    frame: int | None = None
    drawn: Path | None = None
    ranked: Detections | None = None

    def to_json(self) -> dict:
        """Return `file`, `width`, `height`, `objects`; `frame` and `drawn` where there are such."""
        height, width = self.image.shape[:2]
        entry = {"file": self.source, "width": int(width), "height": int(height)}
        if self.frame is not None:
            entry["frame"] = self.frame
        entry["objects"] = self.found.to_json()
        if self.drawn is not None:
            entry["drawn"] = printable(self.drawn)
        return entry


class GrowingFile:
    """A text file that grows under another name, and takes its place when it is closed.

    Args:
        path: the file.
        start: what it begins with.
    """

    def __init__(self, path: Path, start: str):
        self.path, self._start = path, start
        self._file: TextIO | None = None
        self._place = contextlib.ExitStack()

    def write(self, text: str) -> None:
        """Add text; an error ends the file, and what has its name stays as it was."""
        with self._place as place:
            if self._file is None:
                temporary = place.enter_context(replacing(self.path))
                self._file = place.enter_context(
                    temporary.open("w", encoding="utf-8", errors="backslashreplace", newline="")
                )
                self._file.write(self._start)
            self._file.write(text)
            self._place = place.pop_all()

    def close(self, end: str = "") -> bool:
        """End the file with `end`, and tell whether it stands: not after an error in between."""
        if self._file is not None and self._file.closed:
            return False
        self.write(end)
        self._place.close()
        return True
