"""Real signals while the commands load: one line and an exit code, never a traceback."""

import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.scripts.commands import ROOT, command, surroundings

needs_proc = pytest.mark.skipif(
    not Path("/proc/self/status").exists(), reason="no /proc to see from when on it listens"
)


def listens(process):
    """Tell from /proc whether a process has a handler of its own for SIGTERM."""
    status = (process / "status").read_text(encoding="ascii")
    return int(re.search(r"SigCgt:\s*(\w+)", status)[1], 16) >> (signal.SIGTERM - 1) & 1


def loads(process):
    """Tell from /proc whether it has got the sockets by which its work hears of signals."""
    try:
        return any(
            str(file.readlink()).startswith("socket:") for file in (process / "fd").iterdir()
        )
    except FileNotFoundError:  # it closed one meanwhile
        return False


def end(folder, words, number, since, delay=0.0):
    """Start a command, send a signal so long after its state is reached; return how it ended."""
    process = subprocess.Popen(
        words, cwd=folder, env=surroundings() | {"PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, encoding="utf-8",
    )  # fmt: skip
    while not since(Path(f"/proc/{process.pid}")):
        assert process.poll() is None, process.communicate()
        time.sleep(0.002)
    time.sleep(delay)
    process.send_signal(number)
    out, err = process.communicate(timeout=120)
    return process.returncode, out, err


SIGNALS = pytest.mark.parametrize("number, code", [(signal.SIGINT, 130), (signal.SIGTERM, 143)])


@needs_proc
@SIGNALS
def test_a_signal_while_it_loads_ends_it_with_one_line(tmp_path, number, code):
    words = command("train", "--data", "VOC2007", "--name", "a")
    found, out, err = end(tmp_path, words, number, loads)
    assert found == code, err
    assert len((out + err).splitlines()) <= 2 and "Traceback" not in err
    assert not (tmp_path / "logs").exists(), "what saved nothing stands in nobody's way"


@pytest.mark.usefixtures("unmeasured")
@needs_proc
@SIGNALS
@pytest.mark.parametrize(
    "words, delay",
    [
        (command("train"), 0.0),
        (command("predict", "a.jpg"), 0.02),
        (command("evaluate"), 0.05),
        ([sys.executable, "-m", "yolo", "train"], 0.07),
    ],
    ids=["train", "predict", "evaluate", "yolo"],
)
def test_a_signal_before_it_has_loaded_does_so_too(tmp_path, words, delay, number, code):
    """From the first lines of a script on, in the middle of whatever Python imports."""
    assert end(tmp_path, words, number, listens, delay) == (code, "", "interrupted\n")
    assert not list(tmp_path.iterdir())


@needs_proc
def test_a_signal_in_compiled_code_that_is_kept_quiet_ends_with_its_line(tmp_path):
    """As in the converters of an export: nothing of Python's runs there, and 2 is set aside."""
    code = (
        "import hashlib, sys\n"
        "from yolo import cli\nfrom yolo.cli import models\nfrom yolo.system import terminal\n"
        "from yolo.system.signals import Stop\n"
        "def work(args, screen, stop):\n"
        "    with terminal.quiet_errors(verbose=False):\n"
        "        hashlib.pbkdf2_hmac('sha256', b'', b'', 2_000_000_000)\n"
        "sys.exit(cli._run(models.parser(), [], work, Stop(grace=0.3)))\n"
    )
    found = end(tmp_path, [sys.executable, "-c", code], signal.SIGTERM, loads, delay=0.2)
    assert found == (143, "", "interrupted\n")
