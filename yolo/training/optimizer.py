"""The optimizer of a run, and the highest learning rate it gets."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator
from typing import Any

from keras import ops

from yolo.settings.train import LEARNING_RATES, TrainConfig
from yolo.training import guard


def peak_learning_rate(config: TrainConfig, batch_size: int) -> float:
    """Return the learning rate for a batch size: linear in it, at most fourfold.

    Reference:
        Goyal et al. (2017), Accurate, Large Minibatch SGD, section 2.1.
    """
    rate = config.learning_rate or LEARNING_RATES[config.optimizer]
    if config.nominal_batch:
        rate *= min(batch_size * config.accumulate / config.nominal_batch, 4.0)
    return rate


def make_optimizer(config: TrainConfig, schedule, *, steps: int, variables):
    """Return the optimizer of a phase of so many batches, or steps.

    Weight decay is decoupled from the gradient (Loshchilov and Hutter 2019) and acts on
    convolution kernels only. The average of the weights reaches back over about `config.ema` of
    the phase's batches, so that a short run does not average over its own beginning. Keras
    counts batches, not updates, for schedules and averages, also while it accumulates.
    """
    momentum = math.exp(-1 / max(config.ema * steps, 1)) if config.ema else None
    common: dict[str, Any] = {
        "learning_rate": schedule,
        "weight_decay": config.weight_decay or None,
        "global_clipnorm": config.clip_norm or None,
        "use_ema": bool(config.ema),
        "gradient_accumulation_steps": config.accumulate if config.accumulate > 1 else None,
        "dynamic_scale": config.precision == "mixed_float16",
    }
    if momentum is not None:
        common["ema_momentum"] = min(momentum, 0.9998)
    optimizer: guard.Guard
    if config.optimizer == "sgd":
        optimizer = guard.GuardedSGD(
            momentum=config.momentum, nesterov=config.momentum > 0, **common
        )
    else:
        kind = {"adam": guard.GuardedAdam, "adamw": guard.GuardedAdamW}[config.optimizer]
        common["weight_decay"] = config.weight_decay
        optimizer = kind(beta_1=config.momentum, **common)
    if config.weight_decay:
        optimizer.exclude_from_weight_decay(
            var_list=[variable for variable in variables if variable.name != "kernel"]
        )
    return optimizer


def finish_group(model) -> None:
    """Take the step of accumulated gradients whose group is not full, as their mean."""
    optimizer, strategy = model.optimizer, model.distribute_strategy
    size = optimizer.gradient_accumulation_steps
    # `iterations` counts groups.
    count = int(ops.convert_to_numpy(optimizer._iterations)) % size if size else 0
    if not count:
        return
    # Each device has the sum over all of them, and `apply` sums once more; it unscales, too.
    scale = optimizer.scale if optimizer.dynamic_scale else 1.0
    factor = scale / (count * strategy.num_replicas_in_sync)

    def step():
        gradients = [total * factor for total in optimizer._accumulated_gradients]
        optimizer.apply(gradients, model.trainable_variables)

    optimizer.gradient_accumulation_steps = None
    try:
        strategy.run(step)
    finally:
        optimizer.gradient_accumulation_steps = size
    for total in optimizer._accumulated_gradients:
        total.assign(ops.zeros_like(total))


def averaged_variables(optimizer):
    """Return the optimizer's averages of the trainable variables, in their order, or None."""
    return optimizer._model_variables_moving_average if optimizer.use_ema else None


def use_averages(model) -> None:
    """Give the model the averaged weights, if there are any."""
    averages = averaged_variables(model.optimizer)
    for variable, average in zip(model.trainable_variables, averages or (), strict=bool(averages)):
        variable.assign(average)


@contextlib.contextmanager
def averaged(model) -> Iterator[None]:
    """Give the model the averaged weights, if there are any, for as long as a block takes."""
    if averaged_variables(model.optimizer) is None:
        yield
        return
    before = [ops.convert_to_numpy(variable) for variable in model.trainable_variables]
    use_averages(model)
    try:
        yield
    finally:
        for variable, value in zip(model.trainable_variables, before, strict=True):
            variable.assign(value)


def refused_a_step(optimizer) -> bool:
    """Tell whether a step was not taken because of a gradient that is no finite number."""
    return bool(int(ops.convert_to_numpy(optimizer.refused)))
