"""Train on one device and on two replicas; print by how much weights and logs then differ.

A program of its own, since devices are divided before TensorFlow starts. Its arguments are a
model, a learning rate, and losses for YOLOv4, profiles or normalizers for RetinaNet; a line for
each of these. The first is trained as a graph, the others step by step, which is quicker for one
step; the networks are small, as it is the loss that knows of replicas.
"""

import os
import sys

import keras
import numpy as np
import tensorflow as tf

import yolo
from tests.faults.full import small
from tests.yolo.helpers import narrow
from yolo.models.retinanet import network as retinanet
from yolo.models.retinanet.settings import PROFILES
from yolo.models.yolov4 import network as yolov4


def pictures():
    """Return four pictures of which the first replica gets all objects."""
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (4, 64, 64, 3), np.uint8)
    boxes = np.zeros((4, 3, 4), "float32")
    classes = np.full((4, 3), -1, "int32")
    boxes[:2, :, 2:] = [[30, 30], [50, 60], [24, 40]]
    classes[:2] = 1
    return tf.data.Dataset.from_tensor_slices((images, {"boxes": boxes, "classes": classes}))


def train(strategy, name, rate, kind, eager):
    """Return weights and history of two steps, or of one that is taken eagerly."""
    loss, options = kind, {}
    if name.startswith("retinanet"):
        loss, options = "focal", {"frozen_norm": True, "channels": 32}
        options["profile" if kind in PROFILES else "normalizer"] = kind
    with strategy.scope():
        keras.utils.set_random_seed(1)
        with narrow():
            model = yolo.build(name, classes=["a", "b"], image_size=(64, 64), **options)
        for layer in model.network.layers if not options else ():
            if hasattr(layer, "norm"):  # whose statistics are each replica's own
                layer.norm.trainable = False
                layer.call = lambda x, training=None, layer=layer: type(layer).call(layer, x, False)
        model.compile(keras.optimizers.SGD(rate), loss=loss, run_eagerly=eager)
    history = model.fit(pictures().batch(4), epochs=1 if eager else 2, verbose=0, shuffle=False)
    return model.get_weights(), history.history


def main(name, rate, *kinds):
    """Print what was trained, largest difference of the weights and of the last logs."""
    os.environ["SMALL_DROPOUT"] = "0"  # chance is each replica's own
    yolov4.build_network, retinanet.SUBNET_DEPTH = small.build_network, 1
    cpu = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
    alone = tf.distribute.OneDeviceStrategy("CPU:0")
    mirrored = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
    for kind in kinds:
        one, first = train(alone, name, float(rate), kind, kind != kinds[0])
        two, second = train(mirrored, name, float(rate), kind, kind != kinds[0])
        weights = max(float(abs(a - b).max()) for a, b in zip(one, two, strict=True))
        print(kind, weights, max(abs(first[key][-1] - second[key][-1]) for key in first))


if __name__ == "__main__":
    main(*sys.argv[1:])
