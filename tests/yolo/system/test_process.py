"""The end of a script's process."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.yolo.system.test_signals import ROOT

WORK = """
import atexit, sys, threading, types
from yolo.system import process
atexit.register(print, "taken down")
{loaded}
threading.Thread(target=threading.Event().wait, daemon=False).start() if {thread} else None
print("the last line", end="")
process.end(4)
"""


@pytest.mark.parametrize(
    "loaded, thread, out",
    [
        ("", False, "the last linetaken down\n"),
        ("sys.modules['tensorflow'] = types", True, "the last line"),
    ],
)
def test_with_tensorflow_loaded_no_thread_is_waited_for(loaded, thread, out):
    """A thread that never ends stands for those of a pipeline that an error has ended."""
    done = subprocess.run(
        [sys.executable, "-c", WORK.format(loaded=loaded, thread=thread)], cwd=ROOT,
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert (done.returncode, done.stdout, done.stderr) == (4, out, "")


def test_what_cannot_be_written_is_no_success():
    work = "import sys, types; sys.modules['tensorflow'] = types; from yolo.system import process\n"
    buffered = {**os.environ, "PYTHONUNBUFFERED": ""}
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-c", f"{work}print('lost')\nprocess.end(0)"], cwd=ROOT, env=buffered,
            stdout=full, stderr=subprocess.PIPE, timeout=60,
        )  # fmt: skip
    assert (done.returncode, done.stderr) == (1, b"standard output: No space left on device\n")


CHILD = "from yolo.system import process; process.end_with_parent(); print('up', flush=True); "
PARENT = """
import subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", sys.argv[1] + "import time; time.sleep(60)"],
                         stdout=subprocess.PIPE)
child.stdout.readline()
print(child.pid, flush=True)
time.sleep(60)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="there alone")
def test_a_child_ends_with_a_parent_that_is_killed():
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT, CHILD], stdout=subprocess.PIPE, encoding="utf-8", cwd=ROOT
    )
    place = Path("/proc", parent.stdout.readline().strip(), "stat")
    assert place.exists()
    parent.kill()
    parent.communicate()
    until = time.monotonic() + 20
    while place.exists() and place.read_text().split()[2] != "Z":  # or nobody collects it
        assert time.monotonic() < until, "it goes on alone"
        time.sleep(0.02)
