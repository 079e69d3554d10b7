"""SIGINT, SIGTERM and SIGHUP: raised, deferred, turned back, and never lost."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from yolo.errors import ConfigError
from yolo.system import process
from yolo.system.signals import Stop, Stopped

ROOT = Path(__file__).resolve().parents[3]


CODES = {"SIGINT": 130, "SIGTERM": 143, "SIGHUP": 129}  # Windows has no SIGHUP
CODES = {getattr(signal, name): code for name, code in CODES.items() if hasattr(signal, name)}


@pytest.fixture(autouse=True)
def _a_hangup_ends(monkeypatch):
    """Have SIGHUP as it usually is: whoever starts the tests may have it ignored, with nohup."""
    if not hasattr(signal, "SIGHUP"):
        yield
        return
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


@pytest.mark.parametrize("number, code", CODES.items())
def test_a_signal_raises_and_has_its_exit_code(number, code):
    before = signal.getsignal(number)  # whoever starts the tests may have it ignored
    with pytest.raises(Stopped) as caught, Stop():
        assert signal.getsignal(number) is not before
        signal.raise_signal(number)
    assert caught.value.exit_code == code
    assert signal.getsignal(number) is before


@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="Windows has no SIGHUP")
def test_nohup_is_respected():
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    assert process.ending_signals() == [signal.SIGINT, signal.SIGTERM]
    with Stop() as stop:
        signal.raise_signal(signal.SIGHUP)
        assert not stop.requested and signal.getsignal(signal.SIGHUP) == signal.SIG_IGN


def test_a_deferred_signal_waits_to_be_allowed():
    with pytest.raises(Stopped), Stop() as stop:
        stop.defer()
        assert not stop.requested
        signal.raise_signal(signal.SIGINT)
        assert stop.requested
        stop.allow()
        pytest.fail("the signal was lost")


def test_whatever_error_a_signal_becomes_it_is_told_apart_from_faults():
    with pytest.raises(Stopped), Stop():
        try:
            signal.raise_signal(signal.SIGINT)
        except KeyboardInterrupt:  # as compiled code may do
            raise SystemError("returned a result with an exception set") from None
    with pytest.raises(ZeroDivisionError), Stop():
        raise ZeroDivisionError
    # What is wrong is said even if somebody also pressed Ctrl-C.
    with pytest.raises(ConfigError), Stop() as stop:
        stop.defer()
        signal.raise_signal(signal.SIGINT)
        raise ConfigError("the disk is full")


def test_a_stretch_that_nothing_ends_leaves_nothing_behind():
    before = signal.getsignal(signal.SIGTERM)
    with Stop() as stop:
        assert signal.getsignal(signal.SIGTERM) != before
    assert not stop.requested
    assert signal.getsignal(signal.SIGTERM) == before


def run(work, *numbers, before="pass", between=1.0):
    """Send signals to a process at work; return its exit code, output and seconds to its end."""
    code = (
        "import time\nfrom yolo.system.signals import Stop\n"
        "with Stop(grace=0.5) as stop:\n"
        "    stop.farewell = lambda: print('farewell', flush=True)\n"
        f"    {before}\n"
        "    print('ready', flush=True)\n"
        f"    {work}\n"
        "print('end')\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        text=True,
    )  # fmt: skip
    assert process.stdout.readline() == "ready\n"
    time.sleep(0.5)  # until it is at work
    started = time.monotonic()
    for number in numbers:
        process.send_signal(number)
        time.sleep(between)
    out, err = process.communicate(timeout=60)
    assert "Exception ignored" not in err
    return process.returncode, out, time.monotonic() - started


SWALLOWS = """
    while True:
        try:
            time.sleep(1)
        except KeyboardInterrupt:
            pass  # as compiled code may do
"""


def test_where_the_exception_is_lost_the_process_is_ended_after_a_grace():
    code, out, seconds = run(SWALLOWS.strip(), signal.SIGINT)
    assert (code, out) == (130, "farewell\n") and 0.5 <= seconds < 20


FINALIZES = """
    class Slow:
        def __del__(self):
            time.sleep(2)
    Slow()
    time.sleep(30)
"""


def test_an_exception_that_is_lost_in_a_finalizer_is_not_talked_about():
    code, out, seconds = run(FINALIZES.strip(), signal.SIGINT)
    assert (code, out) == (130, "farewell\n") and 0.5 <= seconds < 20


def test_other_errors_in_a_finalizer_are_told_as_before(monkeypatch):
    told = []
    monkeypatch.setattr(sys, "unraisablehook", lambda lost: told.append(str(lost.exc_value)))

    class Broken:
        def __del__(self):
            raise ValueError("broken")

    for hook in (Stop(), Stop()):
        with hook:
            Broken()
        Broken()
    assert told == ["broken"] * 4


def test_signals_that_a_library_has_taken_are_taken_back():
    with pytest.raises(Stopped), Stop() as stop:
        signal.signal(signal.SIGTERM, lambda *_: None)  # as TensorFlow does in compiled code
        signal.raise_signal(signal.SIGTERM)
        assert not stop.requested
        stop.take_back()
        signal.raise_signal(signal.SIGTERM)
    Stop().take_back()  # where it has none, it takes none
    assert signal.getsignal(signal.SIGTERM) != stop._note


def test_a_second_signal_ends_at_once_what_only_notes_the_first():
    work = "time.sleep(30); time.sleep(30)"
    code, out, seconds = run(work, signal.SIGINT, signal.SIGTERM, before="stop.defer()")
    assert (code, out) == (143, "farewell\n") and seconds < 20


def test_two_signals_of_one_sender_are_one():
    work = "time.sleep(2); print(stop.requested)"
    numbers = (signal.SIGINT, signal.SIGINT)
    code, out, _ = run(work, *numbers, before="stop.defer()", between=0.0)
    assert (code, out) == (0, "True\nend\n")


@pytest.mark.parametrize("number, code", CODES.items())
def test_a_signal_before_a_script_has_loaded_ends_it_in_a_line(number, code):
    """`yolo.system.process` alone, as the first lines of a script have it."""
    work = (
        "from yolo.system import process; process.end_on_signals(); "
        "print('ready', flush=True); input()"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", work], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout.readline() == "ready\n"
    process.send_signal(number)
    assert (*process.communicate(timeout=60), process.returncode) == ("", "interrupted\n", code)
