"""A step that is not finite changes nothing, on one device and on two."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import yolo
from benchmarks.faults import small
from yolo.training import guard
from yolo.yolov4 import network

ROOT = Path(__file__).resolve().parents[3]
# Three batches; the second one's last row is bad. Prints whether each moved any variable and the
# mark, and how far two devices are from one.
SCRIPT = """
import sys
import keras, numpy as np
from yolo.training import guard

devices, kind, bad = int(sys.argv[1]), sys.argv[2], float(sys.argv[3])
strategy = None
if devices > 1:
    import tensorflow as tf
    cpu = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
    strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])

class Model(keras.Sequential):
    def call(self, inputs, training=None):
        if training:
            self.optimizer.remember(self.non_trainable_weights)
        return super().call(inputs, training=training)

def train(scope):
    with scope:
        keras.utils.set_random_seed(3)
        model = Model([
            keras.Input((3,)), keras.layers.BatchNormalization(), keras.layers.Dense(2)])
        options = {"momentum": 0.9, "nesterov": True} if kind == "GuardedSGD" else {}
        optimizer = getattr(guard, kind)(
            0.01, use_ema=True, ema_momentum=0.5, weight_decay=0.01, global_clipnorm=1.0, **options)
        model.compile(optimizer, "mse")
    rng = np.random.default_rng(0)
    outcome = []
    for number in range(3):
        x, y = rng.normal(size=(4, 3)).astype("float32"), rng.normal(size=(4, 2)).astype("float32")
        if number == 1:
            x[3, 2] = bad
        def state():
            return [keras.ops.convert_to_numpy(v).copy() for v in
                    [*model.variables, *optimizer.variables] if v is not getattr(optimizer, "refused", 0)]
        before = state() if number else None
        model.fit(x, y, batch_size=4, verbose=0, shuffle=False)
        if number:
            moved = any((a != b).any() for a, b in zip(before, state()))
            outcome += [moved, int(keras.ops.convert_to_numpy(optimizer.refused))]
    return outcome, all(np.isfinite(v).all() for v in state())

import contextlib
print(*train(strategy.scope() if strategy else contextlib.nullcontext()))
"""  # noqa: E501


def run(*arguments):
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, *arguments], cwd=ROOT, capture_output=True,
        encoding="utf-8", timeout=300,
        env=os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout.splitlines()[-1]


REFUSED = "[False, 1, True, 1] True"


@pytest.mark.parametrize(
    "devices, kind, bad",
    [("1", "GuardedSGD", "nan"), ("1", "GuardedAdamW", "inf"), ("2", "GuardedSGD", "nan")],
)
def test_a_bad_step_is_not_taken_and_the_next_one_is(devices, kind, bad):
    assert run(devices, kind, bad) == REFUSED


@pytest.mark.parametrize("eager", [False, True])
def test_a_detectors_statistics_stay_to_the_bit_and_move_with_the_next_step(monkeypatch, eager):
    monkeypatch.setattr(network, "build_network", small.build_network)
    model = yolo.build("yolov4-tiny", classes=["a"], image_size=(32, 32))
    model.compile(guard.GuardedSGD(0.01, momentum=0.9), run_eagerly=eager)
    rng = np.random.default_rng(0)
    images = rng.integers(0, 255, (2, 32, 32, 3)).astype("float32")
    boxes = np.array([[[4, 4, 20, 20]], [[1, 1, 9, 9]]], "float32")
    classes = np.zeros((2, 1), "int32")

    def statistics():
        return {v.path: v.numpy() for v in model.variables if "moving_" in v.path}

    def step(boxes):
        before = statistics(), [v.numpy() for v in model.trainable_variables]
        model.train_on_batch(images, {"boxes": boxes, "classes": classes})
        moved = {path for path, value in statistics().items() if (value != before[0][path]).any()}
        weights = zip(before[1], model.trainable_variables, strict=True)
        return moved, any((old != new.numpy()).any() for old, new in weights)

    assert step(boxes) == (set(statistics()), True)
    assert step(boxes * np.nan) == (set(), False)
    assert int(model.optimizer.refused.numpy()) == 1
    assert step(boxes) == (set(statistics()), True)
    assert int(model.optimizer.refused.numpy()) == 1
