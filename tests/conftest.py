"""What all tests share: the folder of reference data, a quiet TensorFlow, and commands."""

import logging
import os
import signal
import sys
import tempfile
from pathlib import Path

import pytest

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
# Several processes share the processor already, and threads that wait for each other take of it.
os.environ.setdefault("TF_NUM_INTRAOP_THREADS", "1")
# Nothing is fetched, and what this machine has fetched before changes no test.
os.environ["KERAS_FOCAL_OFFLINE"] = "1"
_CACHE = tempfile.TemporaryDirectory(prefix="keras-focal-tests-")
os.environ["KERAS_FOCAL_CACHE"] = _CACHE.name
# To compile all modules, and to rewrite the assertions of all tests, anew in every process is a
# third of what collecting them costs.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False
# Of small networks JAX compiles more than it computes: half the time, and the same numbers.
if os.environ.get("KERAS_BACKEND") == "jax":
    os.environ.setdefault("XLA_FLAGS", "--xla_backend_optimization_level=0")
# What tests of faults use, and is started by hand: no tests, no examples in docstrings.
collect_ignore = ["faults/full"]
# Files of more than ten seconds of processor time with `--long`, longest first.
LONGEST = (
    "faults/test_training.py",
    "yolo/models/retinanet/test_retinanet_training.py",
    "yolo/test_detector.py",
    "yolo/training/test_phases.py",
    "backends/test_detectors.py",
    "backends/test_data_parallel.py",
    "yolo/training/test_processes.py",
    "yolo/ray/test_ray.py",
    "yolo/training/test_devices.py",
    "test_package.py",
    "scripts/test_script_train.py",
    "yolo/data/test_pipeline.py",
    "yolo/export/test_exporter.py",
    "yolo/export/test_retinanet_export.py",
    "yolo/models/retinanet/test_retinanet_network.py",
    "scripts/test_script_predict.py",
    "faults/test_fuzz.py",
    "yolo/training/test_guard.py",
    "test_examples.py",
    "yolo/training/test_memory.py",
    "docs/test_page_commands.py",
    "yolo/weights/test_earlier_files.py",
    "yolo/weights/test_tutorial.py",
    "yolo/weights/test_darknet.py",
    "benchmarks/test_paper.py",
    "yolo/data/formats/test_tfrecords.py",
    "yolo/weights/test_torchvision.py",
    "docs/test_page_code.py",
    "scripts/test_script_help.py",
)


def pytest_addoption(parser):
    parser.addoption("--long", action="store_true", help="run the tests marked long, too")


def _names_files(config):
    """Say whether the tests that were asked for are files, or tests in them, not folders."""
    return all(Path(argument.partition("::")[0]).is_file() for argument in config.args)


def _leaves_out(config):
    return not (config.getoption("--long") or config.option.markexpr or _names_files(config))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers(config):
    """Return how many processes share the tests: none for one file, else one more than cores.

    Much of their time they wait for commands that they have started. Each may need 2 GB.
    """
    if len(config.args) == 1 and _names_files(config):
        return 0
    cores, memory = os.cpu_count() or 1, 2**32
    if hasattr(os, "sysconf"):
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return max(1, min(cores + 1, memory // 2**31))


def pytest_collection_modifyitems(config, items):
    """Leave out long tests unless they are asked for, and let the longest files begin first.

    Begun last, one would keep all other processes idle.
    """
    if _leaves_out(config):
        long = [item for item in items if item.get_closest_marker("long")]
        config.hook.pytest_deselected(items=long)
        items[:] = [item for item in items if not item.get_closest_marker("long")]
    places = {Path(__file__).parent / name: n for n, name in enumerate(LONGEST)}
    items.sort(key=lambda item: places.get(item.path, len(places)))


def pytest_terminal_summary(terminalreporter, config):
    """Say that tests were left out."""
    if _leaves_out(config):
        terminalreporter.write_line("long tests were left out: pytest --long has them, too")


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
