"""Processes that another launcher started with TF_CONFIG: two of them train as one does."""

import csv
import json
import os
import signal
import socket
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import yolo
from tests import children
from tests.faults.full import small
from yolo.data import demo
from yolo.data.folder import open_folder
from yolo.data.pipeline import evaluation_dataset
from yolo.errors import ConfigError
from yolo.evaluation.voc import evaluate_voc
from yolo.inference.predictor import detect_samples
from yolo.models.yolov4 import network
from yolo.settings.toml import read_toml
from yolo.training import checkpoint
from yolo.training.devices import read_tf_config
from yolo.training.run_folder import checkpoint_steps

ROOT = Path(__file__).resolve().parents[3]


def config_of(cluster, kind="worker", index=0):
    return json.dumps({"cluster": cluster, "task": {"type": kind, "index": index}})


TWO = {"worker": ["a:1", "b:2"]}
CHIEF = {"chief": ["c:0"], "worker": ["a:1", "b:2"]}


@pytest.mark.parametrize(
    "text, expected",
    [
        ("", (0, 1)),
        (config_of(TWO, index=1), (1, 2)),
        (config_of(CHIEF, "chief"), (0, 3)),
        (config_of(CHIEF, "worker", 1), (2, 3)),
    ],
)
def test_tf_config_is_read(monkeypatch, text, expected):
    monkeypatch.setenv("TF_CONFIG", text)
    assert read_tf_config() == expected


@pytest.mark.parametrize(
    "text, words",
    [
        ("{", "names no cluster"),
        ("[]", "names no cluster"),
        ('{"cluster": {"worker": ["a:1"]}}', "'task'"),
        (config_of(TWO, index=2), "there is no worker 2"),
        (config_of(TWO, "chief"), "'chief'"),
        (config_of({**TWO, "ps": ["p:1"]}), "only a chief and workers"),
        (config_of(TWO, "evaluator"), "only a chief and workers"),
    ],
)
def test_a_tf_config_that_makes_no_sense(monkeypatch, text, words):
    monkeypatch.setenv("TF_CONFIG", text)
    with pytest.raises(ConfigError, match=words) as caught:
        read_tf_config()
    assert "\n" not in str(caught.value)


# Seven pictures: the last of an epoch's batches leaves the second process without any. The norm of
# the gradient is cut, and two batches make an update.
OPTIONS = {
    "--image-size": "64", "--batch-size": "6", "--epochs": "4", "--precision": "float32",
    "--epochs-between-evaluations": "2", "--accumulate": "2", "--clip-norm": "1",
    "--learning-rate": "0.001", "--weights": "none",
}  # fmt: skip


def start(work, data, index, addresses, logs):
    """Start one of two processes of a training, whatever a launcher would do besides."""
    options = [word for pair in OPTIONS.items() for word in pair]
    words = [sys.executable, "-m", "tests.faults.full.small", "--data", data, "--name", "run",
             "--continue", "--save-dir", logs, *options]  # fmt: skip
    env = {**os.environ, "PYTHONPATH": str(ROOT), "SMALL_DROPOUT": "0",
           "TF_CONFIG": config_of({"worker": addresses}, index=index)}  # fmt: skip
    return children.Child(words, cwd=work, env=env)


def free_addresses():
    sockets = [socket.socket() for _ in range(2)]
    for each in sockets:
        each.bind(("127.0.0.1", 0))
    addresses = [f"127.0.0.1:{each.getsockname()[1]}" for each in sockets]
    for each in sockets:
        each.close()
    return addresses


def ended(processes):
    """Return the exit code of each, and what the processes said."""
    done = [process.wait(300) for process in processes]
    return [one.returncode for one in done], [one.stdout + one.stderr for one in done]


def result(folder):
    with (folder / "results.csv").open(encoding="utf-8", newline="") as file:
        rows = [{key: float(row[key] or 0) for key in row} for row in csv.DictReader(file)]
    return rows, checkpoint.newest(folder)[1]


def measured(path, data):
    """Return loss and mAP50 of saved weights on the validation pictures, and their epoch."""
    opened, model = open_folder(data), yolo.load(path)
    val = opened.read("val", classes=opened.classes)
    model.compile("sgd")
    loss = model.evaluate(evaluation_dataset(val, image_size=(64, 64), batch_size=6), verbose=0)
    found = evaluate_voc(detect_samples(model, val), val, opened.classes)
    return loss[0], found.map_all_point, model.notes["epoch"]


@pytest.mark.long
@pytest.mark.skipif(os.name == "nt", reason="signals of Unix")
def test_two_processes_stopped_and_resumed_train_as_one(small_run, tmp_path, monkeypatch):
    data = demo.write_shapes(tmp_path / "shapes", train=7, val=3, test=2)
    places = [tmp_path / "first", tmp_path / "second"]
    for place in places:
        place.mkdir()
    logs, addresses = places[0] / "logs", free_addresses()
    folder = logs / "run"
    processes = [start(place, data, i, addresses, logs) for i, place in enumerate(places)]
    until = time.monotonic() + 300
    while not checkpoint_steps(folder) and time.monotonic() < until:
        assert all(process.poll() is None for process in processes), ended(processes)
        time.sleep(0.02)
    for process in processes:
        process.send_signal(signal.SIGTERM)  # which TensorFlow has taken for itself by then
    codes, said = ended(processes)
    assert codes == [143, 143], said
    assert list(places[1].rglob("*")) == [], "the first process alone writes"

    addresses = free_addresses()
    codes, said = ended([start(places[0], data, i, addresses, logs) for i in range(2)])
    assert codes == [0, 0], said
    assert "2 devices" in said[0] and "epoch 1/4" not in said[0] and "mAP50" in said[1]

    monkeypatch.setenv("SMALL_DROPOUT", "0")
    settings = read_toml(folder / "config.toml")
    changes = {key: settings[key] for key in settings if key not in ("save_dir", "name")}
    (rows, arrays), (found, others) = (
        result(each) for each in (small_run(tmp_path, **changes)[0], folder)
    )
    assert len(rows) == len(found) == 4
    for mine, theirs in zip(rows, found, strict=True):
        for key in set(mine) - {"seconds"}:
            assert theirs[key] == pytest.approx(mine[key], rel=1e-5), key
    weights = [key for key in arrays if not key.startswith("metric")]
    assert max(float(np.abs(arrays[key] - others[key]).max()) for key in weights) < 1e-5

    # A row is of the averaged weights, which best.keras has, and not of the training's own.
    monkeypatch.setattr(network, "build_network", small.build_network)
    loss, score, epoch = measured(folder / "best.keras", data)
    assert loss == pytest.approx(found[epoch - 1]["val_loss"], rel=1e-5)
    assert score == pytest.approx(found[epoch - 1]["mAP50"])
    other, _, epoch = measured(folder / "last.keras", data)
    assert other != pytest.approx(found[epoch - 1]["val_loss"], rel=1e-4)
