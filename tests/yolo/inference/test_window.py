"""Showing pictures: where there is no window, one sentence says why."""

import numpy as np
import pytest

from yolo.inference import window


def build(monkeypatch, gui, display):
    text = f"  GUI:                           {gui}\n    GTK+: YES\n"
    monkeypatch.setattr(window.cv2, "getBuildInformation", lambda: text)
    monkeypatch.setattr(window.sys, "platform", "linux")
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    if display:
        monkeypatch.setenv("DISPLAY", ":0")


@pytest.mark.parametrize(
    "gui, display, words",
    [
        ("NONE", True, "pip install opencv-python"),
        ("GTK3", False, "no display here"),
        ("GTK3", True, None),
    ],
)
def test_why_there_is_no_window(monkeypatch, gui, display, words):
    build(monkeypatch, gui, display)
    reason = window.obstacle()
    assert (reason is None) if words is None else (words in reason and "\n" not in reason)


@pytest.mark.parametrize(
    "keys, visible, wait, goes_on, ended",
    [
        ([-1, -1, ord("n")], 1, True, True, []),
        ([ord("q")], 1, True, False, []),
        ([27], 1, False, False, []),
        ([-1], 1, False, True, []),
        ([-1], 0, True, False, []),
        ([-1, -1, -1], 1, True, False, [False, False, True]),
    ],
)
def test_keys(monkeypatch, keys, visible, wait, goes_on, ended):
    shown, pressed, ends = [], iter(keys), iter(ended)
    fakes = {
        "namedWindow": lambda *_: None,
        "imshow": lambda _, image: shown.append(image[0, 0].tolist()),
        "waitKey": lambda _: next(pressed),
        "getWindowProperty": lambda *_: visible,
        "destroyAllWindows": lambda: None,
    }
    for name, fake in fakes.items():
        monkeypatch.setattr(window.cv2, name, fake)
    image = np.full((2, 2, 3), (1, 2, 3), np.uint8)
    assert window.show(image, wait=wait, ended=lambda: next(ends, False)) == goes_on
    assert shown == [[3, 2, 1]] and not list(pressed), "BGR, and every key is waited for"
