"""Train a small network on one device and on two, stop and resume it; print what differs.

Run by test_devices.py in a process of its own: TensorFlow divides a processor once only.
"""

import json
import os
import sys
from pathlib import Path

import numpy as np

from tests.faults.full import small
from tests.faults.full.toy import StopAfter
from yolo.data import demo
from yolo.data import folder as dataset
from yolo.detector import Detector
from yolo.errors import YoloError
from yolo.models.yolov4 import network
from yolo.settings.train import TrainConfig
from yolo.system.signals import Stopped
from yolo.training import checkpoint, run_folder, trainer

# Seven pictures: the last of an epoch's batches leaves the second device without any. The norm of
# the gradient is cut at every step, and four batches make an update, the last two of six another.
COMMON = {
    "image_size": (64, 64), "epochs": 3, "batch_size": 6, "precision": "float32",
    "epochs_between_evaluations": 2, "accumulate": 4, "clip_norm": 0.05, "learning_rate": 0.05,
    "sync_norm": True, "eager": True,
}  # fmt: skip


def main(work: Path) -> dict:
    """Return what was seen of each kind of run."""
    data = demo.write_shapes(work / "shapes", train=7, val=3, test=2)

    def run(name, stop=None, resume=False, **changes):
        config = TrainConfig(**{**COMMON, "data": str(data), "save_dir": str(work), **changes})
        folder = work / name
        folder.mkdir(exist_ok=True)
        trainer.train(config, dataset.open_data(config), folder, stop=stop, resume=resume)
        return folder

    def state(folder):
        place, arrays = checkpoint.newest(folder)
        rows = run_folder.read_results(folder / "results.csv")
        losses = [[float(row[k]) for k in row if k.endswith("loss") and row[k]] for row in rows]
        return {**vars(place), "seconds": 0, "origin": 0}, arrays, losses

    def stopped(name, after, **changes):
        try:
            run(name, stop=StopAfter(after), **changes)
        except Stopped:
            return
        raise AssertionError(f"{name}: nothing stopped it")

    # Two devices first: TensorFlow takes its devices before it computes. All runs are eager: to
    # trace a graph takes longer than their steps, and train_on_replicas.py compares graphs.
    network.build_network = small.build_network
    run("two", devices="2")
    stopped("resumed", 3, devices="2")
    run("resumed", devices="2", resume=True)
    expected, found = state(work / "two"), state(work / "resumed")
    seen = {
        "same place": expected[0] == found[0],
        "arrays that differ": [k for k in expected[1] if (expected[1][k] != found[1][k]).any()],
    }
    os.environ["SMALL_DROPOUT"] = "0"  # chance is not the same on one device and on two
    one, two = state(run("one")), state(run("on two", devices="2"))
    seen["furthest"] = max(
        float(np.abs(two[1][k] - one[1][k]).max())
        for k in one[1] if not k.startswith("metric")
    )  # fmt: skip
    seen["losses"] = [one[2], two[2]]
    Detector.compute_loss = second_device_fails_in_third_step(Detector.compute_loss)
    for name, changes in (("spoiled", {}), ("uneven", {"batch_size": 5})):
        try:
            run(name, devices="2", **changes)
        except YoloError as error:
            seen[name] = str(error)
    seen["saved"] = sorted(path.name for path in (work / "spoiled").iterdir())
    seen["refused from"] = checkpoint.newest(work / "spoiled")[0].step
    return seen


def second_device_fails_in_third_step(honest):
    """Return a `compute_loss` that spoils the second device's outputs in the third step."""
    import tensorflow as tf

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        second = tf.distribute.get_replica_context().replica_id_in_sync_group == 1
        if training and second and int(self.optimizer._iterations.numpy()) == 2:  # batches
            y_pred = {stride: raw + np.nan for stride, raw in y_pred.items()}
        return honest(self, x, y, y_pred, sample_weight, training)

    return compute_loss


if __name__ == "__main__":
    print(json.dumps(main(Path(sys.argv[1]))))
