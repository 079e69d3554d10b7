"""The learning rate of each step, and the optimizer that follows it."""

from __future__ import annotations

import math

import keras
from keras import ops

from yolo.training.settings import TrainConfig


@keras.saving.register_keras_serializable(package="yolo")
class WarmupDecay(keras.optimizers.schedules.LearningRateSchedule):
    """Linear warm-up, then a descent that may be a part of a longer one.

    A run with a frozen first phase has two of these: each warms up anew, while the descent goes
    on where the first phase left it.

    Args:
        peak: the highest learning rate.
        steps: updates in this phase.
        warmup_steps: updates until the full rate is reached.
        start: progress of the whole run at the first update, 0..1.
        end: progress at the last one.
        final: the rate at progress 1 as a share of `peak`.
        shape: "cos" for half a cosine, "step" for ten equal plateaus.

    Example:
        >>> rate = WarmupDecay(0.1, steps=100, warmup_steps=10, final=0.01)
        >>> [round(float(rate(step)), 4) for step in (0, 9, 55, 100)]
        [0.01, 0.098, 0.0428, 0.001]
    """

    def __init__(self, peak, *, steps, warmup_steps=0, start=0.0, end=1.0, final=0.01, shape="cos"):
        super().__init__()
        self.settings = {
            "peak": float(peak), "steps": int(steps), "warmup_steps": int(warmup_steps),
            "start": float(start), "end": float(end), "final": float(final), "shape": shape,
        }  # fmt: skip

    def __call__(self, step):
        """Return the learning rate of an update, counted from 0."""
        s = self.settings
        step = ops.cast(step, "float32")
        progress = ops.clip(step / max(s["steps"], 1), 0.0, 1.0)
        progress = s["start"] + (s["end"] - s["start"]) * progress
        if s["shape"] == "cos":
            decay = s["final"] + (1 - s["final"]) * (1 + ops.cos(math.pi * progress)) / 2
        else:
            plateau = ops.minimum(ops.floor(progress * 10), 9.0)
            decay = ops.power(max(s["final"], 1e-9), plateau / 9)
        warm = ops.minimum((step + 1) / max(s["warmup_steps"], 1), 1.0)
        return s["peak"] * warm * decay

    def get_config(self):
        """Return the arguments."""
        return dict(self.settings)


def peak_learning_rate(config: TrainConfig, batch_size: int) -> float:
    """Return the learning rate for a batch size: linear in it, at most fourfold.

    Reference:
        Goyal et al. (2017), Accurate, Large Minibatch SGD, section 2.1.
    """
    rate = config.learning_rate
    if rate is None:
        rate = 0.01 if config.optimizer == "sgd" else 0.001
    if config.nominal_batch:
        rate *= min(batch_size * config.accumulate / config.nominal_batch, 4.0)
    return rate


def make_optimizer(config: TrainConfig, schedule, *, updates: int, variables):
    """Return the optimizer of a phase.

    Weight decay is decoupled from the gradient (Loshchilov and Hutter 2019) and acts on
    convolution kernels only. The average of the weights reaches back over about `config.ema` of
    the run's updates, so that a short run does not average over its own beginning.

    Args:
        config: the run's settings.
        schedule: the learning rate.
        updates: updates in the whole run.
        variables: the trainable variables.
    """
    momentum = math.exp(-1 / max(config.ema * updates, 1)) if config.ema else None
    common = {
        "learning_rate": schedule,
        "weight_decay": config.weight_decay or None,
        "global_clipnorm": config.clip_norm or None,
        "use_ema": bool(config.ema),
        "gradient_accumulation_steps": config.accumulate if config.accumulate > 1 else None,
    }
    if momentum is not None:
        common["ema_momentum"] = min(momentum, 0.9998)
    if config.optimizer == "sgd":
        optimizer = keras.optimizers.SGD(
            momentum=config.momentum, nesterov=config.momentum > 0, **common
        )
    else:
        kind = {"adam": keras.optimizers.Adam, "adamw": keras.optimizers.AdamW}[config.optimizer]
        common["weight_decay"] = config.weight_decay
        optimizer = kind(beta_1=config.momentum, **common)
    if config.weight_decay:
        optimizer.exclude_from_weight_decay(
            var_list=[variable for variable in variables if variable.name != "kernel"]
        )
    return optimizer


def averaged_variables(optimizer):
    """Return the optimizer's averages of the trainable variables, in their order, or None."""
    inner = getattr(optimizer, "inner_optimizer", optimizer)  # mixed_float16 wraps it
    return inner._model_variables_moving_average if inner.use_ema else None
