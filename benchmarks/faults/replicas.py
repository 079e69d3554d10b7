"""Train a network for some steps on some devices, parts of this processor; save its weights.

    python -m benchmarks.faults.replicas yolov4-tiny 2 weights.npz 56

"small" is the network of `benchmarks.faults.small`. Nine pictures in batches of eight: every other
batch holds one, so that all devices but the first have none.

The learning rate is small: at the usual one YOLOv4-tiny's weights end 0.1 apart after 56 steps,
which is not explained yet. What is counted wrongly shows at any rate, as a share of the way that
the weights go.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import numpy as np

PICTURES, BATCH, STEPS = 9, 8, 56
LEARNING_RATE = 5e-5


def train(model: str, devices: str, steps: int) -> tuple[list[np.ndarray], float]:
    """Return the weights and what the optimizer keeps after so many steps, and how far they went.

    Args:
        model: a name in the zoo, or "small".
        devices: how many.
        steps: an even number.
    """
    import keras

    from benchmarks.faults import small
    from yolo.data import demo
    from yolo.training import checkpoint, dataset, run_folder, trainer
    from yolo.training.settings import TrainConfig
    from yolo.yolov4 import network

    if model == "small":
        network.build_network = small.build_network
    with tempfile.TemporaryDirectory() as work:
        data = demo.write_shapes(Path(work) / "shapes", train=PICTURES, val=2, test=2)
        config = TrainConfig(
            data=str(data), save_dir=work, name="run", devices=devices, sync_norm=True,
            model="yolov4-tiny" if model == "small" else model, image_size=(64, 64),
            batch_size=BATCH, epochs=steps // 2, precision="float32", warmup_steps=5,
            epochs_between_evaluations=0, clip_norm=1.0, loss="focal",
            learning_rate=LEARNING_RATE,
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
    return [a for name, a in arrays.items() if not name.startswith("metric")], way.length


if __name__ == "__main__":
    name, number, target, *rest = sys.argv[1:]
    kept, length = train(name, number, int(rest[0]) if rest else STEPS)
    np.savez(target, *kept, way=length)
