"""How tests run the three commands: as subprocesses, as people do, in a folder of their own."""

import os
import re
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np

from tests import children

ROOT = Path(__file__).resolve().parents[2]
SCRIPTS = ("train", "predict", "evaluate")
CHATTER = re.compile(r"oneDNN|cuda|absl|Traceback|Warning|XLA|cpu_feature|TF_", re.IGNORECASE)
# The boxes of the detector below in a 320 x 240 picture, in the picture's own pixels.
CORNERS = [[60, 20, 100, 60], [60, 180, 100, 220], [220, 20, 260, 60], [220, 180, 260, 220]]


def command(script, *arguments):
    return [sys.executable, str(ROOT / f"{script}.py"), *map(str, arguments)]


def surroundings():
    """Return an environment as a user has it: no path to the package, no TensorFlow settings."""
    return {
        name: value
        for name, value in os.environ.items()
        if name not in ("PYTHONPATH", "TF_CPP_MIN_LOG_LEVEL", "KERAS_BACKEND")
    } | {"PYTHONIOENCODING": "utf-8"}


def run(folder, script, *arguments, timeout=240):
    done = subprocess.run(
        command(script, *arguments), cwd=folder, env=surroundings(), capture_output=True,
        encoding="utf-8", timeout=timeout,
    )  # fmt: skip
    assert not CHATTER.search(done.stderr), done.stderr
    return done


def run_loaded(folder, script, *arguments):
    """Run a command in a process that has TensorFlow loaded already, which takes a third as long.

    What comes out of TensorFlow while it loads is seen in the tests that call `run`.
    """
    done = children.run(command(script, *arguments), cwd=folder, env=surroundings())
    assert not CHATTER.search(done.stderr), done.stderr
    return done


def work_of_children() -> float:
    """Return the seconds of processor time that child processes took: other work hardly counts."""
    if os.name == "nt":  # which does not tell
        return time.monotonic()
    times = os.times()
    return times.children_user + times.children_system


def refused(folder, code, script, *arguments, by=run):
    """Run a command that must end with one line and this exit code; return the line."""
    done = by(folder, script, *arguments)
    assert done.returncode == code, done.stderr
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"{script}.py: error: ")
    return line


def picture(path, size=(240, 320)):
    image = np.random.default_rng(0).integers(0, 255, (*size, 3), np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(cv2.imencode(path.suffix, image)[1].tobytes())
