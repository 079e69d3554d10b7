"""The learning rate of each step; saved inside a model's optimizer, and loaded with it."""

from __future__ import annotations

import math

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="yolo")
class WarmupDecay(keras.optimizers.schedules.LearningRateSchedule):
    """Linear warm-up, then a descent that may be a part of a longer one.

    A run with a frozen first phase has two of these: each warms up anew, while the descent goes
    on where the first phase left it.

    Args:
        peak: the highest learning rate.
        steps: batches in this phase.
        warmup_steps: batches until the full rate is reached.
        start: progress of the whole run at the first batch, 0..1.
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
        """Return the learning rate of a batch, counted from 0."""
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
