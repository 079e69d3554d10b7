"""A handful of drawn pictures, and short runs of the smallest network on them."""

import signal

import keras
import pytest

from tests.faults.full import small
from yolo.data import folder as dataset
from yolo.models.yolov4 import network
from yolo.settings.train import TrainConfig
from yolo.system.signals import Stop
from yolo.training import run_folder, trainer


class StopsAfter(Stop):
    """Behaves as if Ctrl-C were pressed during a batch, counted from 1."""

    def __init__(self, batches):
        super().__init__()
        self.left = batches

    def defer(self):
        super().defer()
        self.left -= 1
        if self.left == 0:
            self.number = signal.SIGINT


@pytest.fixture(scope="session")
def small_run(shapes):
    """Return a function that runs or resumes a training of a few steps, eagerly.

    `interrupt_in` kills it before an epoch's end is saved; `stop_after` is a signal in a batch.
    The network is `small`, with dropout. Tracing a graph takes longer than these few steps do.
    """

    def run(save_dir, *, resume=False, interrupt_in=None, stop_after=0, **changes):
        config = TrainConfig(**{
            "data": str(shapes), "image_size": (64, 64), "epochs": 4, "batch_size": 4,
            "precision": "float32", "eager": True, "save_dir": str(save_dir), "name": "run",
            "epochs_between_evaluations": 2, **changes,
        })  # fmt: skip
        data = dataset.open_data(config)
        folder = save_dir / "run" if resume else run_folder.create(config)
        lines = []

        def write(text, end="\n"):
            if interrupt_in and text.startswith(f"epoch {interrupt_in}/"):
                raise KeyboardInterrupt
            lines.append(text)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(network, "build_network", small.build_network)
            try:
                trainer.train(
                    config, data, folder, resume=resume, write=write, stop=StopsAfter(stop_after)
                )
            except KeyboardInterrupt:
                lines.append("interrupted")
        return folder, lines

    return run


@pytest.fixture(autouse=True)
def _same_precision_afterwards():
    before = keras.config.dtype_policy()
    yield
    keras.config.set_dtype_policy(before)
