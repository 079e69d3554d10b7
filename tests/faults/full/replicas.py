"""Train a network for some steps on some devices, parts of this processor; save its weights.

    python -m tests.faults.full.replicas yolov4-tiny 2 weights.npz float64 56

"small" is the network of `tests.faults.full.small`. Nine pictures in batches of eight: every other
batch holds one, so that all devices but the first have none.

In float64 the learning rate is the usual one. In float32 it is small: there a rounding now and
then lifts a number over a kink (leaky ReLU at 0, two edges in the box loss), which changes a step
by up to a hundredth, and training on from there does the rest. In float64 there are as many kinks,
and roundings too small to meet one.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import numpy as np

PICTURES, BATCH, STEPS = 9, 8, 56
LEARNING_RATES = {"float64": None, "float32": 5e-5}


def compute_in_float64() -> None:
    """Let this process compute in float64 what the package computes in float32.

    Only the pictures are read and augmented as ever. What escaped would show: `train` looks at the
    type of every weight, and TensorFlow adds no float32 to float64.
    """
    import keras
    import tensorflow as tf
    from keras.src.backend.common.dtypes import PYTHON_DTYPES_MAP

    from yolo.training import phases

    read, convert, single = phases.training_batches, keras.ops.convert_to_tensor, tf.float32

    def wide_constants(x, *args, **kwargs):
        if isinstance(x, np.ndarray) and x.dtype == np.float32:
            x = x.astype(np.float64)
        return convert(x, *args, **kwargs)

    def narrow():
        tf.float32 = single
        PYTHON_DTYPES_MAP.pop("float32", None)

    def widen():
        tf.float32 = tf.float64
        PYTHON_DTYPES_MAP["float32"] = "float64"

    def widened(pictures, truth):
        return pictures, {**truth, "boxes": tf.cast(truth["boxes"], tf.float64)}

    def batches(*args):
        narrow()
        try:
            return read(*args).map(widened)
        finally:
            widen()

    keras.config.set_floatx("float64")
    keras.ops.convert_to_tensor = wide_constants
    # Keras's own asks for the sign of a zero, by the bits of what tf.float32 is.
    keras.ops.argmax = lambda x, axis: tf.argmax(x, axis, tf.int32)
    phases.training_batches = batches
    widen()


def train(model: str, devices: str, precision: str, steps: int) -> tuple[list[np.ndarray], float]:
    """Return the weights and what the optimizer keeps after so many steps, and how far they went.

    Args:
        model: a name in the zoo, or "small".
        devices: how many.
        precision: "float64" or "float32".
        steps: an even number.
    """
    import keras

    from tests.faults.full import small
    from yolo.data import demo
    from yolo.data import folder as dataset
    from yolo.models.yolov4 import network
    from yolo.settings.train import TrainConfig
    from yolo.training import checkpoint, run_folder, trainer

    if precision == "float64":
        compute_in_float64()
    if model == "small":
        network.build_network = small.build_network
    with tempfile.TemporaryDirectory() as work:
        data = demo.write_shapes(Path(work) / "shapes", train=PICTURES, val=2, test=2)
        config = TrainConfig(
            data=str(data), save_dir=work, name="run", devices=devices, sync_norm=True,
            model="yolov4-tiny" if model == "small" else model, image_size=(64, 64),
            batch_size=BATCH, epochs=steps // 2, precision="float32", warmup_steps=5,
            epochs_between_evaluations=0, clip_norm=1.0, loss="focal",
            **({"learning_rate": rate} if (rate := LEARNING_RATES[precision]) else {}),
        )  # fmt: skip

        class Way(keras.callbacks.Callback):
            """Keeps the weights of the beginning."""

            def on_train_begin(self, logs=None):
                self.before = [np.array(one) for one in self.model.trainable_variables]

            def on_train_end(self, logs=None):
                after = [np.array(one) for one in self.model.trainable_variables]
                pairs = zip(self.before, after, strict=True)
                self.length = max(float(np.abs(a - b).max()) for a, b in pairs)

        folder, way = run_folder.create(config), Way()
        trainer.train(config, dataset.open_data(config), folder, callbacks=[way])
        _, arrays = checkpoint.newest(folder)
    weights = [a for name, a in arrays.items() if not name.startswith("metric")]
    found = {str(a.dtype) for a in weights if np.issubdtype(a.dtype, np.floating)}
    assert found == {precision}, found
    return weights, way.length


if __name__ == "__main__":
    name, number, target, precision, *rest = sys.argv[1:]
    kept, length = train(name, number, precision, int(rest[0]) if rest else STEPS)
    np.savez(target, *kept, way=length)
