"""A handful of drawn pictures, and short runs of the smallest network on them."""

import keras
import pytest

from yolo.data import demo
from yolo.training import dataset, run_folder, trainer
from yolo.training.settings import TrainConfig


@pytest.fixture(scope="session")
def shapes(tmp_path_factory):
    """Return the folder of a VOC data set of 8 + 4 + 4 pictures."""
    return demo.write_shapes(tmp_path_factory.mktemp("data") / "shapes", train=8, val=4, test=4)


@pytest.fixture(scope="session")
def small_run(shapes):
    """Return a function that runs or resumes a training of a few steps, eagerly.

    Tracing the network's graph takes longer than these few steps do; the scripts' tests train
    with the graph.
    """

    def run(save_dir, *, resume=False, interrupt_in=None, **changes):
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

        try:
            trainer.train(config, data, folder, resume=resume, write=write)
        except KeyboardInterrupt:
            lines.append("interrupted")
        return folder, lines

    return run


@pytest.fixture(autouse=True)
def _same_precision_afterwards():
    before = keras.config.dtype_policy()
    yield
    keras.config.set_dtype_policy(before)
