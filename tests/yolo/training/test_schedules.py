"""Learning rates by hand, and what the optimizer decays, averages and accumulates."""

import math
from types import SimpleNamespace

import keras
import numpy as np
import pytest
import tensorflow as tf

from yolo import zoo
from yolo.errors import ConfigError
from yolo.models.schedules import WarmupDecay
from yolo.settings.train import TrainConfig
from yolo.training import trainer
from yolo.training.optimizer import (
    averaged_variables,
    finish_group,
    make_optimizer,
    peak_learning_rate,
)
from yolo.training.phases import refuse_idle_accumulation


def rates(schedule, *steps):
    return [float(schedule(step)) for step in steps]


def test_cosine_by_hand():
    schedule = WarmupDecay(0.1, steps=100, final=0.01)
    expected = [0.1 * (0.01 + 0.99 * (1 + math.cos(math.pi * p)) / 2) for p in (0, 0.25, 0.5, 1)]
    np.testing.assert_allclose(rates(schedule, 0, 25, 50, 100), expected, rtol=1e-5)
    assert expected[0] == 0.1 and expected[-1] == pytest.approx(0.001)


def test_warm_up_is_linear_from_the_first_step_on():
    schedule = WarmupDecay(1.0, steps=10**6, warmup_steps=4)
    np.testing.assert_allclose(rates(schedule, 0, 1, 2, 3, 4), [0.25, 0.5, 0.75, 1, 1], rtol=1e-5)


def test_no_step_has_rate_zero_and_steps_past_the_end_keep_the_last_rate():
    schedule = WarmupDecay(1.0, steps=10, warmup_steps=5, final=0.1)
    assert min(rates(schedule, *range(11))) > 0
    assert rates(schedule, 10, 11, 1000) == pytest.approx([0.1] * 3)


def test_step_decay_is_ten_plateaus_from_full_to_final():
    schedule = WarmupDecay(1.0, steps=100, final=0.01, shape="step")
    found = rates(schedule, 0, 9, 10, 19, 50, 89, 90, 99, 100)
    levels = [0.01 ** (k / 9) for k in (0, 0, 1, 1, 5, 8, 9, 9, 9)]
    np.testing.assert_allclose(found, levels, rtol=1e-5)
    assert len({round(rate, 6) for rate in rates(schedule, *range(100))}) == 10


def test_two_phases_are_one_descent():
    whole = WarmupDecay(0.1, steps=100)
    first = WarmupDecay(0.1, steps=30, start=0.0, end=0.3)
    second = WarmupDecay(0.1, steps=70, start=0.3, end=1.0)
    steps = (0, 10, 29, 30, 31, 60, 99)
    pieces = [float(first(s)) if s < 30 else float(second(s - 30)) for s in steps]
    np.testing.assert_allclose(pieces, rates(whole, *steps), rtol=1e-5)


def test_schedule_survives_saving():
    schedule = WarmupDecay(0.1, steps=7, warmup_steps=2, start=0.1, end=0.8, shape="step")
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(schedule))
    assert isinstance(again, WarmupDecay) and again.get_config() == schedule.get_config()


@pytest.mark.parametrize(
    "changes, batch, expected",
    [
        ({}, 8, 0.01),
        ({}, 16, 0.02),
        ({}, 2, 0.0025),
        ({}, 128, 0.04),
        ({"nominal_batch": 0}, 128, 0.01),
        ({"optimizer": "adam"}, 8, 0.001),
        ({"learning_rate": 0.5}, 4, 0.25),
        ({"accumulate": 4}, 4, 0.02),
    ],
)
def test_peak_rate_grows_with_the_batch_up_to_fourfold(changes, batch, expected):
    assert peak_learning_rate(TrainConfig(**changes), batch) == pytest.approx(expected)


# ----------------------------------------------------------------------------- optimizer


def variables():
    return [
        keras.Variable(np.ones(2, "float32"), name=name)
        for name in ("kernel", "bias", "gamma", "beta")
    ]


def optimizer_for(weights, rate=0.1, **changes):
    config = TrainConfig(**{"ema": 0, "warmup_steps": 0, **changes})
    return make_optimizer(config, rate, steps=100, variables=weights)


@pytest.mark.parametrize("name", ["sgd", "adam", "adamw"])
def test_without_a_gradient_kernels_decay_by_rate_times_decay_and_nothing_else_moves(name):
    weights = variables()
    optimizer = optimizer_for(weights, optimizer=name, weight_decay=0.01)
    for _ in range(3):
        optimizer.apply([np.zeros(2, "float32")] * 4, weights)
    kernel, *others = (weight.numpy() for weight in weights)
    np.testing.assert_allclose(kernel, (1 - 0.1 * 0.01) ** 3, rtol=1e-6)
    for other in others:
        np.testing.assert_array_equal(other, 1)


@pytest.mark.parametrize("name", ["sgd", "adam", "adamw"])
def test_decay_can_be_switched_off(name):
    weights = variables()
    optimizer_for(weights, optimizer=name, weight_decay=0).apply(
        [np.zeros(2, "float32")] * 4, weights
    )
    np.testing.assert_array_equal(weights[0].numpy(), 1)


def test_decay_spares_all_but_the_convolution_kernels_of_a_network():
    model = zoo.build("yolov4-tiny", classes=["a"], image_size=(32, 32))
    optimizer = optimizer_for(model.trainable_variables, weight_decay=0.01)
    before = [weight.numpy() for weight in model.trainable_variables]
    zeros = [np.zeros(weight.shape, "float32") for weight in model.trainable_variables]
    optimizer.apply(zeros, model.trainable_variables)
    for weight, old in zip(model.trainable_variables, before, strict=True):
        factor = 1 - 0.1 * 0.01 if len(weight.shape) == 4 else 1
        np.testing.assert_allclose(weight.numpy(), old * np.float32(factor), rtol=1e-6)


def test_sgd_has_nesterov_momentum():
    weights = variables()
    optimizer = optimizer_for(weights, momentum=0.5, weight_decay=0, clip_norm=0)
    optimizer.apply([np.ones(2, "float32")] * 4, weights)
    # velocity -0.1, step 0.5 * velocity - 0.1
    np.testing.assert_allclose(weights[1].numpy(), 1 - 0.15, rtol=1e-6)


def test_the_whole_gradient_is_clipped_to_one_norm():
    weights = variables()
    optimizer = optimizer_for(weights, momentum=0, weight_decay=0, clip_norm=1)
    optimizer.apply([np.full(2, 5, "float32")] * 4, weights)  # norm 5 * sqrt(8)
    np.testing.assert_allclose(weights[1].numpy(), 1 - 0.1 / math.sqrt(8), rtol=1e-5)


@pytest.mark.parametrize(
    "share, steps, momentum",
    [(0.04, 100, math.exp(-1 / 4)), (0.04, 10, math.exp(-1)), (1.0, 10**6, 0.9998)],
)
def test_average_reaches_back_over_a_share_of_the_run(share, steps, momentum):
    weights = variables()
    optimizer = make_optimizer(TrainConfig(ema=share), 0.1, steps=steps, variables=weights)
    assert optimizer.ema_momentum == pytest.approx(momentum)
    optimizer.build(weights)
    assert len(averaged_variables(optimizer)) == 4


def test_average_by_hand():
    weights = variables()
    optimizer = optimizer_for(weights, ema=0.02, momentum=0, weight_decay=0, clip_norm=0)
    m = optimizer.ema_momentum
    assert m == pytest.approx(math.exp(-1 / 2))
    expected = 0.9  # the first update starts the average
    for step in range(3):
        optimizer.apply([np.ones(2, "float32")] * 4, weights)
        if step:
            expected = m * expected + (1 - m) * (1 - 0.1 * (step + 1))
    np.testing.assert_allclose(averaged_variables(optimizer)[1].numpy(), expected, rtol=1e-5)


def test_no_average_where_none_is_wanted():
    weights = variables()
    optimizer = optimizer_for(weights, ema=0)
    optimizer.build(weights)
    assert averaged_variables(optimizer) is None


def test_accumulation_makes_one_update_of_the_mean_gradient():
    weights = variables()
    optimizer = optimizer_for(weights, accumulate=2, momentum=0, weight_decay=0, clip_norm=0)
    optimizer.apply([np.full(2, 1, "float32")] * 4, weights)
    np.testing.assert_array_equal(weights[1].numpy(), 1)
    optimizer.apply([np.full(2, 3, "float32")] * 4, weights)
    np.testing.assert_allclose(weights[1].numpy(), 1 - 0.1 * 2, rtol=1e-6)


@pytest.mark.parametrize("precision", ["float32", "mixed_float16"])
def test_the_last_group_counts_although_it_is_not_full(precision):
    weights = variables()
    optimizer = optimizer_for(
        weights, accumulate=3, momentum=0, weight_decay=0, clip_norm=0, precision=precision
    )
    optimizer.build(weights)
    scale = float(optimizer.scale.numpy()) if optimizer.dynamic_scale else 1.0
    model = SimpleNamespace(
        optimizer=optimizer, trainable_variables=weights,
        distribute_strategy=tf.distribute.get_strategy(),
    )  # fmt: skip
    finish_group(model)  # nothing yet
    for gradient in (1, 2, 3, 5, 9):
        optimizer.apply([np.full(2, gradient * scale, "float32")] * 4, weights)
    np.testing.assert_allclose(weights[1].numpy(), 1 - 0.1 * 2, rtol=1e-6)
    finish_group(model)
    np.testing.assert_allclose(weights[1].numpy(), 1 - 0.1 * (2 + 7), rtol=1e-6)
    assert all((total.numpy() == 0).all() for total in optimizer._accumulated_gradients)
    assert optimizer.gradient_accumulation_steps == 3
    before = weights[1].numpy()
    optimizer.gradient_accumulation_steps = None
    finish_group(model)
    np.testing.assert_array_equal(weights[1].numpy(), before)


def test_more_batches_than_a_phase_has_are_refused():
    config = TrainConfig(epochs=3, freeze_epochs=1, batch_size=8, accumulate=4)
    refuse_idle_accumulation(config, 33)
    with pytest.raises(ConfigError, match="--accumulate 4: epochs 1 to 1 have 2 batches of 8, few"):
        refuse_idle_accumulation(config, 16)


# -------------------------------------------------------------------------------- phases


def test_phases():
    plain = trainer.phases(TrainConfig(epochs=5))
    assert plain == [trainer.Phase(0, 5, 8, False)]
    both = trainer.phases(TrainConfig(epochs=5, freeze_epochs=2, freeze_batch_size=16))
    assert both == [trainer.Phase(0, 2, 16, True), trainer.Phase(2, 5, 8, False)]
    late = trainer.phases(TrainConfig(epochs=5, freeze_epochs=2, init_epoch=3))
    assert late == [trainer.Phase(3, 5, 8, False)]
    frozen = trainer.phases(TrainConfig(epochs=5, freeze_epochs=9))
    assert frozen == [trainer.Phase(0, 5, 8, True)]


@pytest.fixture(scope="module")
def model():
    return zoo.build("yolov4-tiny", classes=["a"], image_size=(32, 32))


@pytest.mark.parametrize("accumulate", [1, 4])
def test_the_rate_reaches_its_end_with_the_last_batch(model, accumulate):
    """Keras counts batches: a schedule in updates would be over after a quarter of them."""
    config = TrainConfig(
        epochs=5, batch_size=8, accumulate=accumulate, nominal_batch=0, warmup_steps=10
    )
    (phase,) = trainer.phases(config)
    trainer._compile(model, config, phase, 80)  # 10 batches an epoch
    optimizer = model.optimizer
    weights = model.trainable_variables
    optimizer.build(weights)
    seen = []
    for count in (0, 4, 25, 50):
        optimizer._iterations.assign(count)
        seen.append(float(optimizer.learning_rate))
    cosine = [0.01 + 0.99 * (1 + math.cos(math.pi * n / 50)) / 2 for n in (0, 4, 25, 50)]
    warm = [1 / 5, 1, 1, 1]  # at most a tenth of the 50 batches
    np.testing.assert_allclose(seen, 0.01 * np.multiply(cosine, warm), rtol=1e-5)


def test_the_second_phase_starts_at_the_rate_where_the_first_ended(model):
    config = TrainConfig(epochs=5, freeze_epochs=2, nominal_batch=0, warmup_steps=0)
    ends = []
    for phase in trainer.phases(config):
        trainer._compile(model, config, phase, 80)
        schedule = model.optimizer._learning_rate
        ends.append((float(schedule(0)), float(schedule(10 * (phase.last - phase.first)))))
    (start, middle), (middle_again, end) = ends
    assert start == pytest.approx(0.01) and end == pytest.approx(0.0001)
    assert (
        middle
        == pytest.approx(middle_again)
        == pytest.approx(0.01 * (0.01 + 0.99 * (1 + math.cos(math.pi * 0.4)) / 2))
    )
