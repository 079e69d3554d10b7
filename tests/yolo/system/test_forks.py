"""A detector in a forked process: one line at once, and none where no detector is used."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
PROGRAM = """
import os, sys
from yolo.system import forks

def child(work):
    pid = os.fork()
    if pid == 0:
        try:
            work()
        except Exception as error:
            print(type(error).__name__, str(error)[:40], flush=True)
        else:
            print("silent", flush=True)
        os._exit(0)
    os.waitpid(pid, 0)

"""
FORKED = "YoloError this process was forked after a detector"
needs_fork = pytest.mark.skipif(not hasattr(__import__("os"), "fork"), reason="Windows has no fork")


def lines(program):
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM + program], cwd=ROOT, capture_output=True,
        encoding="utf-8", timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout.splitlines()


@needs_fork
def test_only_a_child_of_a_process_that_used_a_detector_is_refused():
    assert lines(
        "child(forks.used)\n"
        "forks.used()\n"
        "child(lambda: None)\n"
        "child(forks.refuse)\n"
        "child(forks.used)\n"
        "child(lambda: child(forks.refuse))\n"
        "forks.used()\n"
    ) == ["silent", "silent", FORKED, FORKED, FORKED, "silent"]


@needs_fork
def test_a_detector_says_so_at_once_wherever_it_is_used():
    """Six seconds, as a process of its own loads TensorFlow; a child that hung would take 120."""
    assert lines(
        "import numpy as np, yolo\n"
        "def make(): return yolo.build('yolov4-tiny', classes=['a'], image_size=64)\n"
        "image = np.zeros((64, 64, 3), 'uint8')\n"
        "truth = {'boxes': np.float32([[[8, 8, 40, 40]]]), 'classes': np.int32([[0]])}\n"
        "model = make(); model.compile('sgd', loss='focal'); model.detect(image)\n"
        "child(lambda: len(model.classes))\n"
        "child(lambda: model.detect(image))\n"
        "child(lambda: model.fit(image[None], truth))\n"
        "child(lambda: model.evaluate(image[None], truth))\n"
        "child(make)\n"
    ) == ["silent", FORKED, FORKED, FORKED, FORKED]
