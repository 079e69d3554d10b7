"""T26 and T27 in their quick form: a worker is killed, one goes on, and ends as one alone would.

T25 is `tests/yolo/training/test_devices.py`; T28 to T30, with workers that only pretend to train,
`tests/yolo/cli/test_launch.py`. That a real worker hears of T29's signal is here.
"""

import json
import os
import subprocess
import sys

import pytest

from benchmarks.faults import workers
from yolo.cli.launch import _free_addresses

pytestmark = pytest.mark.skipif(os.name == "nt", reason="signals and /proc of Unix")


def test_a_killed_worker_costs_nothing(tmp_path, capfd):
    row = workers.killed(workers.Cluster(tmp_path), quick=True)
    assert row.survived == row.tried > 0, capfd.readouterr().err


WORKER = """
import os, signal, sys
from pathlib import Path
from yolo.signals import Stop, Stopped
from yolo.training import trainer
from yolo.training.settings import TrainConfig

def first_after_the_workers_have_met(config):
    os.kill(os.getpid(), signal.SIGTERM)
    print("the signal was lost", file=sys.stderr)
    os._exit(1)

trainer.make_repeatable = first_after_the_workers_have_met
try:
    with Stop() as stop:
        trainer.train(TrainConfig(batch_size=2), None, Path(sys.argv[1]), stop=stop)
except Stopped as stopped:
    os._exit(stopped.exit_code)
"""


def test_a_worker_hears_of_sigterm_though_tensorflow_takes_it(tmp_path):
    cluster = {"worker": _free_addresses(2)}
    started = [
        subprocess.Popen(
            [sys.executable, "-c", WORKER, str(tmp_path)], stderr=subprocess.PIPE, text=True,
            env={**os.environ, "PYTHONPATH": str(workers.ROOT), "TF_CONFIG": json.dumps(
                {"cluster": cluster, "task": {"type": "worker", "index": number}}
            )},
        )
        for number in range(2)
    ]  # fmt: skip
    for process in started:
        _, said = process.communicate(timeout=300)
        assert process.returncode == 143, said[-1000:]
