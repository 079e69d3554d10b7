"""Workers that are started, watched and started again; these ones only pretend to train."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from yolo import options
from yolo.cli import launch
from yolo.errors import ConfigError, YoloError
from yolo.signals import Stop
from yolo.terminal import Screen

pytestmark = pytest.mark.skipif(os.name == "nt", reason="processes of Unix")
ROOT = Path(__file__).resolve().parents[3]
# Notes who it is, does what its start is told to do, and else waits until it is ended.
WORKER = """
import json, os, signal, sys, time
from pathlib import Path
from yolo.training import workers

folder, acts = Path(sys.argv[1]), json.loads(sys.argv[2])
cluster = workers.read_cluster()
start = len(list(folder.glob(f"{cluster.index}-*")))
note = {"pid": os.getpid(), "addresses": cluster.addresses, "arguments": sys.argv[3:],
        "gpus": os.environ.get("CUDA_VISIBLE_DEVICES")}
workers.show_signs_of_life()
signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
act = acts[min(start, len(acts) - 1)].get(str(cluster.index), "wait")
if act == "save and die":
    (folder / "logs" / "run" / "checkpoints" / f"step-{start + 1:08d}").mkdir(parents=True)
(folder / f"part-{cluster.index}").write_text(json.dumps(note), encoding="utf-8")
(folder / f"part-{cluster.index}").rename(folder / f"{cluster.index}-{start}")
if act in ("die", "save and die"):
    while len(list(folder.glob(f"*-{start}"))) < cluster.workers:
        time.sleep(0.01)
    os.kill(os.getpid(), signal.SIGKILL)
if act == "freeze":
    os.kill(os.getpid(), signal.SIGSTOP)
if act == "data":
    print("a.xml: no such class", file=sys.stderr)
    sys.exit(3)
if act == "miss":
    sys.exit(75)
if act == "end":
    sys.exit(0)
time.sleep(600)
"""
ENDS = {"0": "end", "1": "end"}


@pytest.fixture
def start(tmp_path, monkeypatch):
    """Return a function that launches pretenders in the test's process: code, lines, notes."""
    monkeypatch.setattr(launch, "SETTLING", 0.2)

    def run(acts, *given, workers=2):
        program = [sys.executable, "-c", WORKER, str(tmp_path), json.dumps(acts)]
        args = options.launch_parser().parse_args(
            ["--workers", str(workers), *given, "--", "train", "--batch-size", "6",
             "--save-dir", str(tmp_path / "logs"), "--name", "run"]
        )  # fmt: skip
        lines = []
        screen = Screen()
        screen.write = lambda text, end="\n": lines.append(text)
        return launch.launch(args, screen, stop=Stop(), program=program), lines

    return run


def notes(folder):
    return {path.name: json.loads(path.read_text(encoding="utf-8")) for path in folder.glob("?-*")}


def assert_gone(*pids, within=10.0):
    until = time.monotonic() + within
    while True:
        alive = [pid for pid in pids if _alive(pid)]
        if not alive or time.monotonic() > until:
            break
        time.sleep(0.05)
    assert not alive


def _alive(pid):
    try:
        state = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"


def test_each_worker_learns_who_it_is(start, tmp_path, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3,5,6,7")
    assert start([ENDS]) == (0, [])
    zero, one = notes(tmp_path)["0-0"], notes(tmp_path)["1-0"]
    assert zero["addresses"] == one["addresses"] and len(set(one["addresses"])) == 2
    assert (zero["gpus"], one["gpus"]) == ("3,5", "6,7")
    assert zero["arguments"][-3:] == ["--name", "run", "--continue"]
    with pytest.raises(ConfigError, match="4 GPUs do not divide among 3 workers"):
        start([ENDS], workers=3)


def test_all_start_again_when_one_is_killed_with_fewer_that_divide_the_batch(start, tmp_path):
    acts = [{"1": "die"}, {"2": "save and die"}, ENDS]
    code, lines = start(acts, "--min-workers", "1", workers=4)
    seen = notes(tmp_path)
    assert code == 0
    assert [line.partition("(process")[0] for line in lines] == [
        "worker 1 ", "starting 3 workers again, from the beginning",
        "worker 2 ", "starting 2 workers again, from step 2",
    ]  # fmt: skip
    assert "was ended by SIGKILL" in lines[0]
    assert [len(seen[f"0-{n}"]["addresses"]) for n in range(3)] == [4, 3, 2]
    assert_gone(*(note["pid"] for note in seen.values()))


def test_it_gives_up_without_new_checkpoints_only(start, tmp_path):
    with pytest.raises(YoloError, match="2 workers in a row were lost without a new checkpoint"):
        start([{"0": "die"}], "--restarts", "1")
    assert len(notes(tmp_path)) == 4
    for path in tmp_path.glob("?-*"):
        path.unlink()
    saves = {"0": "save and die"}
    assert start([saves, saves, saves, ENDS], "--restarts", "1")[0] == 0


def test_an_error_of_its_own_ends_all_and_is_shown(start, tmp_path):
    code, lines = start([{"1": "data"}])
    assert (code, lines) == (3, ["worker 1: a.xml: no such class"])
    assert_gone(*(note["pid"] for note in notes(tmp_path).values()))


def test_a_worker_that_freezes_is_named_and_replaced(start, tmp_path):
    code, lines = start([{"1": "freeze"}, ENDS], "--silence", "5")
    pid = notes(tmp_path)["1-0"]["pid"]
    assert code == 0
    assert lines[0] == f"worker 1 (process {pid}) has given no sign of life for 5 seconds"
    assert_gone(*(note["pid"] for note in notes(tmp_path).values()))


def test_a_worker_that_another_misses_is_named(start, tmp_path):
    code, lines = start([{"0": "miss"}, ENDS])
    pid = notes(tmp_path)["1-0"]["pid"]
    assert code == 0
    assert lines[0] == f"worker 1 (process {pid}) no longer answers the others"


@pytest.fixture
def started(tmp_path):
    """Return a launcher in a process of its own whose two workers wait, and their pids."""
    code = "import sys\nfrom yolo.cli import launch, launch_main\n" \
           "launch.TRAIN = tuple(sys.argv[1:6])\nsys.exit(launch_main(sys.argv[6:]))"  # fmt: skip
    process = subprocess.Popen(
        [sys.executable, "-c", code, sys.executable, "-c", WORKER, str(tmp_path), "[{}]",
         "--workers", "2", "--", "train", "--name", "run"],
        cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(ROOT)}, encoding="utf-8",
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    while len(notes(tmp_path)) < 2:
        assert process.poll() is None
        time.sleep(0.05)
    yield process, [note["pid"] for note in notes(tmp_path).values()]
    process.kill()
    process.communicate()


@pytest.mark.parametrize("saved", [False, True])
def test_a_signal_reaches_the_workers_and_their_code_comes_back(started, tmp_path, saved):
    process, pids = started
    if saved:
        (tmp_path / "logs" / "run" / "checkpoints" / "step-00000007").mkdir(parents=True)
    process.send_signal(signal.SIGTERM)
    said, _ = process.communicate(timeout=30)
    assert process.returncode == 143
    again = "python -m yolo launch --workers 2 -- train --resume logs/run"
    assert said.splitlines() == [f"or, on 2 workers: {again}"] * saved
    assert_gone(*pids, within=0.5)


def test_no_worker_outlives_a_launcher_that_is_killed(started):
    process, pids = started
    process.kill()
    assert_gone(*pids, within=30)


@pytest.mark.parametrize(
    "given, words",
    [
        (["--workers", "2", "--", "predict"], "expected a training behind --"),
        (["--workers", "2"], "expected a training behind --"),
        (["--workers", "2", "--min-workers", "3", "--", "train"], "3 is more than --workers 2"),
    ],
)
def test_what_is_refused(given, words):
    with pytest.raises(ConfigError, match=words):
        launch.launch(options.launch_parser().parse_args(given), Screen(), stop=Stop())
