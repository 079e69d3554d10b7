"""train.py with a network of a few thousand weights, dropout included.

What is under test is the run around the network, which a small one shows in seconds.

    python -m tests.faults.full.small --data VOCdevkit/VOC2007 --image-size 64 --epochs 3

SMALL_DROPOUT=0 in the environment turns dropout off, which draws other numbers on other numbers of
devices. SMALL_PAUSE=60 makes every batch after the fifth, with --eager, take a minute longer.
"""

from __future__ import annotations

import itertools
import os
import sys
import time

DROPOUT = 0.3
QUICK_BATCHES = 5  # an epoch, and the first batch of another: before its end a signal ends it
IN_A_BATCH = "in the middle of a batch"


def build_network(config, num_classes: int):
    """Return a network with the inputs, outputs and layer names of YOLOv4-tiny's.

    Args:
        config: a `YOLOv4Config` of the variant "yolov4-tiny".
        num_classes: C.
    """
    import keras

    from yolo.models.layers import ConvNorm
    from yolo.models.yolov4.network import HeadBias

    outputs = 5 + num_classes
    images = keras.Input((None, None, 3), name="images", dtype="float32")
    x = keras.layers.Rescaling(1 / 255, name="rescale", dtype="float32")(images)
    for number in range(4):
        x = ConvNorm(8, 3, stride=2, name=f"backbone_conv_{number:03}")(x)
    maps = {16: x, 32: ConvNorm(16, 3, stride=2, name="neck_conv_004")(x)}
    dropout = float(os.environ.get("SMALL_DROPOUT", DROPOUT))
    for stride, features in maps.items():
        features = keras.layers.Dropout(dropout, name=f"dropout_{stride}")(features)
        head = keras.layers.Conv2D(
            len(config.mask(stride)) * outputs, 1, dtype="float32", name=f"head_conv_{stride:03}",
            bias_initializer=HeadBias(config.prior, outputs),
        )  # fmt: skip
        head.outputs_per_anchor = outputs
        maps[stride] = head(features)
    return keras.Model(images, maps, name="small")


def build_chain(config, num_classes: int):
    """Return a network of a few hundred weights with the convolutions that YOLOv4-tiny has.

    For files of weights: they have its layers, names and order, and are small.

    Args:
        config: a `YOLOv4Config` of the variant "yolov4-tiny".
        num_classes: C.
    """
    import keras

    from yolo.models.layers import ConvNorm

    outputs = 5 + num_classes
    images = keras.Input((None, None, 3), name="images", dtype="float32")
    x, maps = images, {}
    for number in range(21):
        if number not in (17, 20):
            part = "backbone" if number < 15 else "neck"
            stride = 2 if number < 4 or number == 18 else 1
            x = ConvNorm(3, 1, stride=stride, name=f"{part}_conv_{number:03}")(x)
            continue
        stride = {17: 16, 20: 32}[number]
        head = keras.layers.Conv2D(
            len(config.mask(stride)) * outputs, 1, dtype="float32", name=f"head_conv_{number:03}"
        )
        head.outputs_per_anchor = outputs
        maps[stride] = head(x)
    return keras.Model(images, maps, name="chain")


def pause_in_batches(seconds: float) -> None:
    """Let every training step but the first `QUICK_BATCHES` say so and take its time."""
    from yolo.detector import Detector

    step, numbers = Detector.train_step, itertools.count()

    def slow(self, *arguments):
        if next(numbers) >= QUICK_BATCHES:
            print(IN_A_BATCH, flush=True)
            time.sleep(seconds)
        return step(self, *arguments)

    Detector.train_step = slow


def main(argv: list[str]) -> int:
    """Run train.py with the small network."""
    import yolo.cli
    from yolo.cli import train
    from yolo.training import run_folder  # noqa: F401  what train.py loads before TensorFlow

    real = train.terminal.import_tensorflow_quietly

    def then_swap(**options):
        real(**options)
        from yolo.models.yolov4 import network

        network.build_network = build_network
        if pause := float(os.environ.get("SMALL_PAUSE", 0)):
            pause_in_batches(pause)

    train.terminal.import_tensorflow_quietly = then_swap
    return yolo.cli.train_main(argv)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
