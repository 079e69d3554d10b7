"""What all tests share: the folder of reference data, a quiet TensorFlow, and commands."""

import logging
import os
import signal
from pathlib import Path

import pytest

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
# What tests of faults use, and is started by hand: no tests, no examples in docstrings.
collect_ignore = ["faults/full"]


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers(config):
    """Return how many processes share the tests: none for one file, else one a core, at most 4.

    Each may need 2 GB.
    """
    if len(config.args) == 1 and Path(config.args[0].partition("::")[0]).is_file():
        return 0
    return min(os.cpu_count() or 1, 4)


@pytest.fixture(scope="session")
def shared() -> Path:
    """Return the folder with pictures, weights and oracles, or skip where there is none.

    With REQUIRE_SHARED=1 in the environment, as in continuous integration, its absence is a
    failure instead.
    """
    root = Path(__file__).resolve().parents[1]
    folder = Path(os.environ.get("KERAS_FOCAL_SHARED", root.parent / "shared"))
    if not (folder / "oracles").is_dir():
        reason = "no reference data: set KERAS_FOCAL_SHARED to the folder that holds oracles/"
        if os.environ.get("REQUIRE_SHARED") == "1":
            pytest.fail(reason)
        pytest.skip(reason)
    return folder


@pytest.fixture(autouse=True)
def _log_and_signals_as_before():
    """Give back what a command makes its own: the package's log, SIGINT and SIGTERM."""
    log = logging.getLogger("yolo")
    before = log.handlers[:], log.level, log.propagate
    signals = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    log.handlers[:], log.level, log.propagate = before
    for number, handler in signals.items():
        signal.signal(number, handler)


@pytest.fixture
def unmeasured(monkeypatch):
    """Let child processes go without `make coverage`, which writes files and takes signals."""
    monkeypatch.delenv("COVERAGE_PROCESS_CONFIG", raising=False)


@pytest.fixture
def outcome(capsys):
    """Return a function that calls a command with arguments: (exit code, output, errors)."""

    def of(command, *arguments):
        capsys.readouterr()
        try:
            code = command([str(argument) for argument in arguments])
        except SystemExit as ended:  # as argparse does
            code = ended.code
        return code, *capsys.readouterr()

    return of
