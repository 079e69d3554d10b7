"""Show pictures in a window, where there is one to open."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable

import numpy as np

from yolo.pictures.files import cv2

_TITLE = "yolo"
_END_KEYS = (27, ord("q"))  # Esc, q


def obstacle() -> str | None:
    """Return why no window can be opened here, as one sentence with its mend, or None."""
    found = re.search(r"^ *GUI: *(\S+)", cv2.getBuildInformation(), re.MULTILINE)
    if found is not None and found[1] == "NONE":
        return (
            "--show: this OpenCV is built without windows (opencv-python-headless); with "
            "pip uninstall opencv-python-headless && pip install opencv-python it has them"
        )
    if sys.platform.startswith("linux") and not (
        os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    ):
        return (
            "--show: there is no display here (neither DISPLAY nor WAYLAND_DISPLAY is set); the "
            "drawn pictures are in the output folder"
        )
    return None


def show(image: np.ndarray, *, wait: bool, ended: Callable[[], bool]) -> bool:
    """Show a picture, (H, W, 3) uint8 RGB, and tell whether to go on.

    That is until a key is pressed, or with `wait` False, for the frames of a video, at once.
    Meanwhile `ended` is asked ten times a second. It says no where q or Esc was pressed, the
    window was closed or `ended` said so.
    """
    cv2.namedWindow(_TITLE, cv2.WINDOW_NORMAL | cv2.WINDOW_KEEPRATIO)
    cv2.imshow(_TITLE, cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
    while True:
        key = cv2.waitKey(100 if wait else 1)
        closed = cv2.getWindowProperty(_TITLE, cv2.WND_PROP_VISIBLE) < 1
        if closed or key in _END_KEYS or ended():
            cv2.destroyAllWindows()
            return False
        if key >= 0 or not wait:
            return True
