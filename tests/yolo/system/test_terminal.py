"""What the terminal shows: colours, progress, live lines, the log, TensorFlow's start."""

import functools
import io
import logging
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from yolo.errors import ConfigError
from yolo.system import terminal

ROOT = Path(__file__).resolve().parents[3]


class Terminal(io.StringIO):
    def isatty(self):
        return True


# --------------------------------------------------------------------------------- colours


@pytest.mark.parametrize(
    "variables, is_colored",
    [({}, True), ({"NO_COLOR": "1"}, False), ({"NO_COLOR": ""}, True), ({"TERM": "dumb"}, False)],
)
def test_colours_can_be_refused(monkeypatch, variables, is_colored):
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    text = terminal.colored("error:", "red", Terminal())
    assert text == ("\x1b[31merror:\x1b[0m" if is_colored else "error:")
    assert terminal.colored("error:", "red", io.StringIO()) == "error:", "a file has no colours"


# -------------------------------------------------------------------------------- progress


class Clock:
    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


def steps(stream, total, taken):
    clock = Clock()
    progress = terminal.Progress(terminal.Screen(stream), total, "pictures", clock=clock)
    for done, seconds in taken:
        clock.now += seconds
        progress.step(done)
    return stream.getvalue()


def test_progress_knows_how_long_it_takes_still():
    # The first picture takes nine seconds of compiling, the next ones half a second each.
    text = steps(Terminal(), 100, [(1, 9), (2, 0.5), (11, 4.5)])
    assert text.endswith("11/100 pictures, 2 a second, 0:44 left")
    assert "1/100 pictures\r" in text


def test_progress_of_slow_and_of_endless_work():
    assert "3000/4000 pictures, 1500 a second" in steps(Terminal(), 4000, [(0, 1), (3000, 2)])
    assert "3/5 pictures, 4 s each, 0:08 left" in steps(Terminal(), 5, [(1, 1), (3, 8)])
    assert steps(Terminal(), None, [(1, 1), (9, 2)]).endswith("9 pictures, 4 a second")


def test_progress_may_learn_late_how_much_there_is():
    stream, clock = Terminal(), Clock()
    progress = terminal.Progress(terminal.Screen(stream), None, "pictures", clock=clock)
    for done in (0, 2, 4):
        clock.now += 2
        progress.step(done, 4)
    assert f"[{'#' * 12}{'.' * 12}] 2/4 pictures, 1 a second, 0:02 left\r" in stream.getvalue()
    assert stream.getvalue().endswith("4/4 pictures, 1 a second, 0:00 left")


def test_progress_does_not_flood():
    assert steps(Terminal(), 1000, [(i, 0.01) for i in range(1, 41)]).count("\r") < 8
    assert steps(io.StringIO(), 1000, [(i, 1) for i in range(1, 71)]).count("\n") == 2
    assert steps(io.StringIO(), 3, [(i, 1) for i in range(1, 4)]) == "", "a log needs no end mark"


# --------------------------------------------------------------------------------- screen


def test_a_live_line_is_replaced_by_the_next():
    screen = terminal.Screen(Terminal())
    screen.write("one", end="\r")
    screen.write("two", end="\r")
    screen.write("three")
    screen.finish()
    assert screen.stream.getvalue() == "one\r   \rtwo\r   \rthree\n"


def test_a_live_line_is_ended_once():
    screen = terminal.Screen(Terminal())
    screen.write("one", end="\r")
    screen.finish()
    screen.finish()
    screen.write("two")
    assert screen.stream.getvalue() == "one\ntwo\n"


def test_a_live_line_stays_within_the_terminal(monkeypatch):
    monkeypatch.setenv("COLUMNS", "10")
    screen = terminal.Screen(Terminal())
    screen.write("0123456789abc", end="\r")
    assert screen.stream.getvalue() == "012345678"


def test_a_name_that_the_terminal_cannot_show_does_not_end_the_program():
    stream = io.TextIOWrapper(io.BytesIO(), encoding="ascii", newline="\n")
    screen = terminal.Screen(stream)
    screen.write("猫.jpg: 1 cat")
    assert stream.buffer.getvalue() == b"\\u732b.jpg: 1 cat\n" and not screen.live


GONE = """
import sys
from yolo import cli
from yolo.cli import models
from yolo.system.signals import Stop

def work(args, screen, stop):
    {outlive}
    screen.write("ready")
    sys.stdin.read()
    for _ in range(3):
        screen.write("still at work")
    return 5

sys.exit(cli._run(models.parser(), [], work, Stop()))
"""


@pytest.mark.parametrize("outlive, code", [("screen.outlive()", 5), ("pass", 1)])
def test_a_reader_that_went_away_ends_only_what_is_for_it(outlive, code):
    """As the end of `| tee` does; a training goes on, a listing ends."""
    process = subprocess.Popen(
        [sys.executable, "-c", GONE.format(outlive=outlive)], cwd=ROOT, encoding="utf-8",
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout.readline() == "ready\n"
    process.stdout.close()
    process.stdin.close()
    assert (process.stderr.read(), process.wait(60)) == ("", code)
    process.stderr.close()


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such terminals")
def test_a_terminal_that_hangs_up_leaves_the_work_its_end(tmp_path):
    """Every line to it fails from then on; the work still ends where it wants to."""
    code = (
        "import sys, time\n"
        "from pathlib import Path\n"
        "from yolo import cli\nfrom yolo.cli import models\n"
        "from yolo.system.signals import Stop\n"
        "stop = Stop()\n"
        "def work(args, screen, stop):\n"
        "    stop.defer()\n"
        "    screen.outlive()\n"
        "    screen.write('ready')\n"
        "    while not stop.requested:\n"
        "        time.sleep(0.02)\n"
        "    screen.write('saved', end='\\r')\n"
        "    Path('saved').touch()\n"
        "    stop.last_line = lambda: 'stopped; go on with --resume'\n"
        "    stop.allow()\n"
        "sys.exit(cli._run(models.parser(), [], work, stop))\n"
    )
    ours, its = os.openpty()
    process = subprocess.Popen(
        [sys.executable, "-c", code], cwd=tmp_path, env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdin=its, stdout=its, stderr=its, start_new_session=True,
        preexec_fn=functools.partial(signal.signal, signal.SIGHUP, signal.SIG_DFL),
    )  # fmt: skip
    os.close(its)
    said = b""
    while b"ready" not in said:
        said += os.read(ours, 100)
    os.close(ours)
    process.send_signal(signal.SIGHUP)
    assert process.wait(60) == 129 and (tmp_path / "saved").exists()


def test_the_last_line_is_shown_in_whatever_encoding(monkeypatch, tmp_path):
    from yolo import cli
    from yolo.cli import models
    from yolo.system.signals import Stop, Stopped

    stop = Stop()
    stop.last_line = lambda: "stopped; go on with: train.py --resume logs/实验"

    def work(args, screen, stop):
        raise Stopped(signal.SIGINT)

    stream = io.TextIOWrapper(io.BytesIO(), encoding="ascii", newline="\n")
    monkeypatch.setattr("sys.stdout", stream)
    assert cli._run(models.parser(), [], work, stop) == 130
    assert stream.buffer.getvalue() == (
        b"stopped; go on with: train.py --resume logs/\\u5b9e\\u9a8c\n"
    )


def test_the_log_marks_warnings():
    screen = terminal.Screen(io.StringIO())
    log = logging.Logger("x")
    log.addHandler(terminal.ScreenHandler(screen))
    log.info("%d pictures", 3)
    log.warning("a box was cut")
    assert screen.stream.getvalue() == "3 pictures\nwarning: a box was cut\n"


def test_tensorflow_starts_quietly_and_what_is_to_be_done_before_is_done(capfd):
    called = []
    terminal.import_tensorflow_quietly(verbose=False, prepare=lambda: called.append(1))
    assert called == [1] and capfd.readouterr() == ("", "")

    def fail():
        raise ConfigError("gpus names GPUs 0..1")

    with pytest.raises(ConfigError):
        terminal.import_tensorflow_quietly(verbose=False, prepare=fail)
    assert capfd.readouterr() == ("", "")


def test_a_failing_start_shows_what_tensorflow_said(capfd):
    def fail():
        os.write(2, b"libcudart not found\n")
        raise RuntimeError("no start")

    with pytest.raises(RuntimeError):
        terminal.import_tensorflow_quietly(verbose=False, prepare=fail)
    assert capfd.readouterr().err == "libcudart not found\n"


def test_what_is_set_aside_can_be_given_back_for_a_last_word(capfd):
    """A thread that ends the process does so in the middle of the quiet stretch."""
    terminal.let_errors_through()  # nothing is set aside: nothing to do
    with terminal.quiet_errors(verbose=False):
        os.write(2, b"chatter\n")
        terminal.let_errors_through()
        os.write(2, b"interrupted\n")
    assert capfd.readouterr().err == "interrupted\n"
    with terminal.quiet_errors(verbose=False):
        os.write(2, b"chatter\n")
    assert capfd.readouterr().err == ""
