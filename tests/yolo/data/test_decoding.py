"""Pictures decoded in child processes: what is bad is named, and a crash is one bad file."""

import sys

import numpy as np
import pytest

from yolo.data import decoding
from yolo.errors import YoloError

# A child whose decoder dies or sleeps over pictures of certain names.
FAULTY = """
import os, sys, time; sys.path[:] = sys.argv[2:]
from yolo.data import decoding
honest = decoding.read_image
def faulty(path):
    name = os.path.basename(path)
    if name.startswith("crash"): os._exit(9)
    if name.startswith("hang"): time.sleep(60)
    return honest(path)
decoding.read_image = faulty
decoding.serve("100")
"""


def as_child(monkeypatch, code):
    def command(module, *arguments):
        return [sys.executable, "-c", code, *arguments, *sys.path]

    monkeypatch.setattr(decoding.child, "command", command)


def test_bad_pictures_are_named_and_good_ones_are_not(voc_folder):
    good = [voc_folder.picture(f"图 {i}", suffix=s) for i, s in enumerate((".jpg", ".png"))]
    cut = voc_folder.root / "JPEGImages" / "cut.png"
    noise = np.random.default_rng(0).integers(0, 255, (60, 80, 3), np.uint8)
    data = voc_folder.picture("cut", suffix=".png", image=noise).read_bytes()
    cut.write_bytes(data[: len(data) // 2])
    gone = cut.with_name("gone.jpg")
    steps = []
    found = decoding.decode_all(
        [*good, cut, gone], workers=2, on_progress=lambda *numbers: steps.append(numbers)
    )
    assert list(found) == [cut, gone]
    assert found[cut].startswith(f"{cut}: ") and "cannot be opened" in found[gone]
    assert steps[-1] == (4, 4)


def test_a_decoder_that_crashes_or_hangs_costs_one_picture(voc_folder, monkeypatch):
    as_child(monkeypatch, FAULTY)
    names = ("a", "crash 1", "b", "crash 2", "hang", "c")
    paths = [voc_folder.picture(name) for name in names]
    found = decoding.decode_all(paths, seconds=1.0)
    assert [path.stem for path in found] == ["crash 1", "crash 2", "hang"]
    assert "the decoder crashed (code 9)" in found[paths[1]]
    assert "the decoder took longer than 1 s" in found[paths[4]]


def test_no_pictures_need_no_child(monkeypatch):
    as_child(monkeypatch, "raise SystemExit(1)")
    assert decoding.decode_all([]) == {}


def test_a_child_that_cannot_start_is_no_fault_of_the_pictures(voc_folder, monkeypatch):
    as_child(monkeypatch, "raise SystemExit(1)")
    with pytest.raises(YoloError, match="no child process to decode pictures in"):
        decoding.decode_all([voc_folder.picture("a")])


def test_who_stops_waiting_leaves_no_child_behind(voc_folder, monkeypatch):
    as_child(monkeypatch, FAULTY)
    children = []
    honest = decoding.subprocess.Popen
    monkeypatch.setattr(
        decoding.subprocess,
        "Popen",
        lambda *a, **k: children.append(honest(*a, **k)) or children[-1],
    )

    def interrupt(done, total):
        if children:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        decoding.decode_all([voc_folder.picture("hang")], on_progress=interrupt)
    assert children[0].poll() is not None
