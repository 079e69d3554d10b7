"""What a training step costs on any machine: traces of its graph, numbers fetched from it."""

import keras
import numpy as np
import pytest
from tensorflow.python.framework import ops as tf_ops

from tests.faults.full import small
from yolo.data import folder as dataset
from yolo.detector import Detector
from yolo.models.yolov4 import network
from yolo.settings.train import TrainConfig
from yolo.training import run_folder, trainer

EPOCHS = 2
# Whether the iterator had a batch, the loss, and whether the optimizer refused the step.
COPIES_A_STEP = 3


class Counts(keras.callbacks.Callback):
    """Counts traces and copies to the host at the end of every batch."""

    def __init__(self, patch):
        super().__init__()
        self.traces = self.copies = 0
        self.inside = []
        self.seen = []  # (epoch, traces, copies) after each batch
        base = tf_ops._EagerTensorBase
        for name in ("__float__", "__int__", "__bool__", "__array__", "numpy"):
            patch.setattr(base, name, self._counted(getattr(base, name), "copies"))
        patch.setattr(Detector, "train_step", self._counted(Detector.train_step, "traces"))
        convert = keras.ops.convert_to_numpy
        patch.setattr(keras.ops, "convert_to_numpy", self._counted(convert, "copies"))

    def _counted(self, function, what):
        def counting(*args, **kwargs):
            if what not in self.inside:  # float() asks numpy(), numpy() asks ...: one copy
                setattr(self, what, getattr(self, what) + 1)
            self.inside.append(what)
            try:
                return function(*args, **kwargs)
            finally:
                self.inside.pop()

        return counting

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch

    def on_train_batch_end(self, batch, logs=None):
        self.seen.append((self.epoch, self.traces, self.copies))


@pytest.fixture(scope="module")
def counts(shapes, tmp_path_factory):
    """Return the counts of two epochs of four steps, measured on validation pictures between."""
    folder = tmp_path_factory.mktemp("counts")
    config = TrainConfig(
        data=str(shapes), image_size=(64, 64), epochs=EPOCHS, batch_size=2, precision="float32",
        epochs_between_evaluations=1, save_dir=str(folder), name="run",
    )  # fmt: skip
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(network, "build_network", small.build_network)
        counter = Counts(patch)
        trainer.train(
            config, dataset.open_data(config), run_folder.create(config), callbacks=[counter]
        )
    return np.array(counter.seen)


def test_the_graph_is_traced_in_the_first_step_only(counts):
    assert len(counts) == 4 * EPOCHS
    assert counts[0, 1] >= 1  # else nothing was counted
    assert len(set(counts[:, 1])) == 1


def test_few_numbers_come_back_from_the_device_in_a_step(counts):
    for epoch in range(EPOCHS):
        copies = counts[counts[:, 0] == epoch, 2]
        steps = np.diff(copies)
        assert (steps >= 1).all()  # else nothing was counted
        assert (steps <= COPIES_A_STEP).all(), steps
