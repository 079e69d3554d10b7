"""T26: a training on a Ray cluster loses a worker, a node, its command; a prediction an actor.

Each is killed with signal 9 in the middle of an epoch or of the pictures, and each run has to end
with what an undisturbed one has. Needs the extra [ray].
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

from tests.faults.full.table import Row
from tests.faults.full.toy import ROOT, Meter, weights_of
from tests.yolo.ray.test_ray import CFG

EPOCHS = 12
TRAIN = [
    "train.py", "--data", "shapes", "--model", "tiny.cfg", "--image-size", "64", "--batch-size",
    "2", "--epochs", str(EPOCHS), "--precision", "float32", "--epochs-between-evaluations", "0",
    "--engine", "ray", "--workers", "2", "--continue", "--weights",
    "none",
]  # fmt: skip
PATIENCE = 900  # seconds for one command; a machine with other work takes its time


class Work:
    """Commands in a folder of their own, and the processes that Ray starts for them."""

    def __init__(self, folder: Path):
        from yolo.data import demo

        self.folder, self.mark = folder, uuid.uuid4().hex
        (folder / "tiny.cfg").write_text(CFG, encoding="utf-8")
        demo.write_shapes(folder / "shapes", train=40, val=3, test=24)

    def start(self, *words: str, **more: str) -> subprocess.Popen:
        """Start a command, whose processes bear the mark."""
        script, *options = words
        return subprocess.Popen(
            [sys.executable, str(ROOT / script), *options], cwd=self.folder,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, encoding="utf-8",
            env={**os.environ, "PYTHONPATH": str(ROOT), "FAULT_MARK": self.mark, **more},
        )  # fmt: skip

    def ends(self, process: subprocess.Popen) -> str:
        """Wait for a command, which must end well, and return what it said."""
        said = process.communicate(timeout=PATIENCE)[0]
        assert process.returncode == 0, f"exit code {process.returncode}: {said[-500:]}"
        return said

    def processes(self, title: str) -> list[int]:
        """Return the numbers of Ray's processes of this title that bear the mark."""
        found = []
        for place in Path("/proc").glob("[0-9]*"):
            try:
                words, around = (place / "cmdline").read_bytes(), (place / "environ").read_bytes()
            except OSError:  # it has ended
                continue
            if title.encode() in words and f"FAULT_MARK={self.mark}".encode() in around:
                found.append(int(place.name))
        return found

    def when(self, process: subprocess.Popen, ready: Callable[[], bool]) -> None:
        """Wait until something is so, while a command goes on."""
        until = time.monotonic() + PATIENCE
        while not ready():
            assert process.poll() is None, f"ended before: {process.communicate()[0][-500:]}"
            assert time.monotonic() < until, "nothing to disturb came"
            time.sleep(0.05)

    def saved(self, name: str) -> bool:
        """Tell whether two epochs of a run are saved, so that another is under way."""
        from yolo.training.run_folder import checkpoint_steps

        return (checkpoint_steps(self.folder / "logs" / name) or [0])[-1] >= 40


def _worker(work: Work) -> None:
    process = work.start(*TRAIN, "--name", "worker")
    work.when(process, lambda: work.saved("worker"))
    os.kill(work.processes("TrainWorker")[-1], signal.SIGKILL)
    work.ends(process)


def _driver(work: Work) -> None:
    process = work.start(*TRAIN, "--name", "driver")
    work.when(process, lambda: work.saved("driver"))
    process.kill()
    process.communicate()
    until = time.monotonic() + 5
    while work.processes("TrainWorker") and time.monotonic() < until:
        time.sleep(0.1)
    assert not work.processes("TrainWorker"), "the workers outlive their command"
    work.ends(work.start(*TRAIN, "--name", "driver"))


def _node(work: Work) -> None:
    from ray.cluster_utils import Cluster

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0})
    try:
        nodes = [cluster.add_node(num_cpus=1) for _ in range(2)]
        process = work.start(*TRAIN, "--name", "node", "--ray-address", cluster.address)
        work.when(process, lambda: work.saved("node"))
        cluster.remove_node(nodes[1], allow_graceful=False)
        cluster.add_node(num_cpus=1)
        work.ends(process)
    finally:
        cluster.shutdown()


DISTURBED = {"worker": _worker, "driver": _driver, "node": _node}


def training(quick: bool) -> Iterator[Row]:
    """Kill a worker, the command and a node in the middle of an epoch."""
    with tempfile.TemporaryDirectory() as folder:
        work = Work(Path(folder))
        work.ends(work.start(*TRAIN, "--name", "undisturbed"))
        reference = weights_of(work.folder / "logs" / "undisturbed")
        for name, disturb in DISTURBED.items():
            meter = Meter(f"T26 a {name} of a Ray cluster is killed")
            with meter.trial():
                disturb(work)
                assert weights_of(work.folder / "logs" / name) == reference, "other weights"
            yield meter.row()._replace(worst_megabytes=None)


def prediction(quick: bool) -> Iterator[Row]:
    """Kill an actor that detects, and the command; both runs end with what one process finds."""
    with tempfile.TemporaryDirectory() as folder:
        work = Work(Path(folder))
        work.ends(work.start(*TRAIN, "--name", "run"))
        words = ["predict.py", "shapes/VOCdevkit/VOC2007/JPEGImages", "--weights",
                 "logs/run/best.keras", "--score", "0.0001", "--batch-size", "1", "--no-draw",
                 "--save", "csv,coco-results"]  # fmt: skip
        work.ends(work.start(*words, "--out", "one"))
        words += ["--out", "two", "--engine", "ray", "--workers", "2"]
        kept, out = work.folder / "two" / "predictions.ray", work.folder / "two"
        for name in ("an actor", "the command"):
            meter = Meter(f"T26 {name} that detects on a Ray cluster is killed")
            with meter.trial():
                process = work.start(*words)
                work.when(process, lambda: kept.exists() and kept.read_bytes().count(b"\n") > 2)
                if name == "an actor":
                    os.kill(work.processes("MapWorker")[0], signal.SIGKILL)
                else:
                    process.kill()
                    process.communicate()
                    process = work.start(*words)
                work.ends(process)
                for file in (work.folder / "one").iterdir():
                    assert file.read_bytes() == (out / file.name).read_bytes(), file.name
            yield meter.row()._replace(worst_megabytes=None)


FAULTS = {"T26-training": training, "T26-prediction": prediction}
