"""A step that is not finite changes nothing, on one device and on two."""

import os
import sys
from pathlib import Path

import keras
import numpy as np
import pytest

import yolo
from tests import children
from tests.faults.full import small
from yolo.models.yolov4 import network
from yolo.training import guard

ROOT = Path(__file__).resolve().parents[3]
# Three batches; the second one's last row is bad. Prints whether each moved any variable and the
# mark, and how far two devices are from one.
SCRIPT = """
import sys
import keras, numpy as np
from yolo.training import guard

devices, kind, bad = int(sys.argv[1]), sys.argv[2], float(sys.argv[3])
scaled = len(sys.argv) > 4
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
            0.01, use_ema=True, ema_momentum=0.5, weight_decay=0.01, global_clipnorm=1.0,
            dynamic_scale=scaled, **options)
        model.compile(optimizer, "mse", auto_scale_loss=False)
    rng = np.random.default_rng(0)
    outcome = []
    for number in range(3):
        x, y = rng.normal(size=(4, 3)).astype("float32"), rng.normal(size=(4, 2)).astype("float32")
        if number == 1:
            x[3, 2] = bad
        def state():
            marks = [getattr(optimizer, name, None) for name in ("refused", "scale", "good_steps")]
            return [keras.ops.convert_to_numpy(v).copy() for v in
                    [*model.variables, *optimizer.variables] if all(v is not m for m in marks)]
        before = state() if number else None
        model.fit(x, y, batch_size=4, verbose=0, shuffle=False)
        if number:
            moved = any((a != b).any() for a, b in zip(before, state()))
            outcome += [moved, int(keras.ops.convert_to_numpy(optimizer.refused))]
    if scaled:
        outcome += [float(optimizer.scale.numpy()), int(optimizer.good_steps.numpy())]
    total = sum(np.abs(v).sum(dtype="float64") for v in state())
    return outcome, all(np.isfinite(v).all() for v in state()), total

import contextlib
print(*train(strategy.scope() if strategy else contextlib.nullcontext()))
"""  # noqa: E501


def run(*arguments):
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = children.run([sys.executable, "-c", SCRIPT, *arguments], cwd=ROOT, env=environment)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout.splitlines()[-1]


REFUSED = "[False, 1, True, 1] True"


@pytest.mark.parametrize(
    "devices, kind, bad",
    [("1", "GuardedSGD", "nan"), ("1", "GuardedAdamW", "inf")],
)
def test_a_bad_step_is_not_taken_and_the_next_one_is(devices, kind, bad):
    assert run(devices, kind, bad).rpartition(" ")[0] == REFUSED


@pytest.mark.long
def test_two_devices_refuse_together_and_a_scaled_loss_changes_nothing_else():
    """A factor of a power of two leaves every weight, momentum and statistic as it is, exactly."""
    plain, _, total = run("2", "GuardedSGD", "nan").rpartition(" ")
    assert plain == REFUSED
    # The bad step halves the factor, and is no fault yet: a smaller one may do.
    assert (
        run("2", "GuardedSGD", "nan", "scaled") == f"[False, 0, True, 0, 16384.0, 1] True {total}"
    )


@pytest.fixture
def detector(monkeypatch):
    """Return a function that builds the small detector for a precision, and its policy's."""
    monkeypatch.setattr(network, "build_network", small.build_network)
    before = keras.config.dtype_policy()

    def build(policy="float32"):
        keras.utils.set_random_seed(0)
        keras.config.set_dtype_policy(policy)
        return yolo.build("yolov4-tiny", classes=["a"], image_size=(32, 32))

    yield build
    keras.config.set_dtype_policy(before)


def steps_of(model):
    """Return a function that takes a step, boxes for it, and the names of all statistics.

    The function returns the names of the statistics that moved, and whether weights did.
    """
    rng = np.random.default_rng(0)
    images = rng.integers(0, 255, (2, 32, 32, 3)).astype("float32")
    boxes = np.array([[[4, 4, 20, 20]], [[1, 1, 9, 9]]], "float32")
    classes = np.zeros((2, 1), "int32")

    def statistics():
        return {v.path: v.numpy() for v in model.variables if "moving_" in v.path}

    def step(boxes):
        before = statistics(), [v.numpy() for v in model.trainable_variables]
        truth = {"boxes": boxes, "classes": classes}
        keras.Model.train_on_batch(model, images, truth)  # past the door, which refuses them
        moved = {path for path, value in statistics().items() if (value != before[0][path]).any()}
        weights = zip(before[1], model.trainable_variables, strict=True)
        return moved, any((old != new.numpy()).any() for old, new in weights)

    return step, boxes, set(statistics())


@pytest.mark.parametrize("eager", [False, True])
def test_a_detectors_statistics_stay_to_the_bit_and_move_with_the_next_step(detector, eager):
    model = detector()
    model.compile(guard.GuardedSGD(0.01, momentum=0.9), run_eagerly=eager)
    step, boxes, all_statistics = steps_of(model)
    assert step(boxes) == (all_statistics, True)
    assert step(boxes * np.nan) == (set(), False)
    assert int(model.optimizer.refused.numpy()) == 1
    assert step(boxes) == (all_statistics, True)
    assert int(model.optimizer.refused.numpy()) == 1


def test_so_they_do_in_float16_whose_scale_falls_and_rises(detector, monkeypatch):
    monkeypatch.setattr(guard, "FIRST_SCALE", 2.0**6)  # far from what overflows by itself
    monkeypatch.setattr(guard, "LEAST_SCALE", guard.FIRST_SCALE / 2)
    monkeypatch.setattr(guard, "STEPS_TO_DOUBLE", 2)
    model = detector("mixed_float16")
    optimizer = guard.GuardedSGD(0.01, momentum=0.9, dynamic_scale=True)
    model.compile(optimizer, auto_scale_loss=False)
    step, boxes, all_statistics = steps_of(model)

    def scale():
        return float(optimizer.scale.numpy()) / guard.FIRST_SCALE

    assert step(boxes) == (all_statistics, True) and scale() == 1
    assert step(boxes * np.nan) == (set(), False) and scale() == 0.5
    assert int(optimizer.refused.numpy()) == 0
    assert step(boxes * np.nan) == (set(), False) and scale() == 0.5
    assert int(optimizer.refused.numpy()) == 1, "no smaller factor is left to try"
    assert step(boxes) == (all_statistics, True) and scale() == 0.5
    assert step(boxes) == (all_statistics, True) and scale() == 1
