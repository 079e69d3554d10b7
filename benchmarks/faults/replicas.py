"""Train a network for some steps on some devices, parts of this processor; save its weights.

    python -m benchmarks.faults.replicas yolov4-tiny 2 weights.npz 56

"small" is the network of `benchmarks.faults.small`. Nine pictures in batches of eight: every other
batch holds one, so that all devices but the first have none.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import numpy as np

PICTURES, BATCH, STEPS = 9, 8, 56


def train(model: str, devices: str, steps: int) -> list[np.ndarray]:
    """Return the weights, and what the optimizer keeps, after so many steps.

    Args:
        model: a name in the zoo, or "small".
        devices: how many.
        steps: an even number.
    """
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
        )  # fmt: skip
        folder = run_folder.create(config)
        trainer.train(config, dataset.open_data(config), folder)
        _, arrays = checkpoint.newest(folder)
    return [array for name, array in arrays.items() if not name.startswith("metric")]


if __name__ == "__main__":
    name, number, target, *rest = sys.argv[1:]
    np.savez(target, *train(name, number, int(rest[0]) if rest else STEPS))
