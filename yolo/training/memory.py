"""The batch size that memory allows: tried from above, halved when it does not fit."""

from __future__ import annotations

import dataclasses
import gc
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import keras
import tensorflow as tf

from yolo.data.folder import TrainingData
from yolo.data.pipeline import steps_per_epoch
from yolo.settings.train import TrainConfig
from yolo.training import trial
from yolo.training.run_folder import checkpoint_steps

# On a processor larger batches are no faster.
LARGEST = {"GPU": 64, "CPU": 16}
FEWEST_STEPS = 16
SMALLEST = 4  # to begin with: batch norm needs company
Trained = TypeVar("Trained")


def first_batch_size(pictures: int, *, gpus: int) -> int:
    """Return the batch size that `auto` tries first, a power of two times the number of GPUs.

    An epoch of so many training pictures shall keep some steps.

    Example:
        >>> [first_batch_size(n, gpus=1) for n in (8, 205, 20000)]
        [4, 8, 64]
    """
    size = LARGEST["GPU" if gpus else "CPU"]
    while size > SMALLEST and steps_per_epoch(pictures, size * max(gpus, 1)) < FEWEST_STEPS:
        size //= 2
    return size * max(gpus, 1)


def halve_until_trials_fit(
    config: TrainConfig, data: TrainingData, *, write: Callable,
    want_of_memory: Callable[[TrainConfig, TrainingData], str | None] = trial.want_of_memory,
) -> TrainConfig:  # fmt: skip
    """Try the batch in a process of its own, and half of it as long as that one does not survive.

    For runs on a processor, where no error tells that memory runs out: the process ends.
    `want_of_memory` says how a run with some settings ends for it, or None. A batch of one is not
    tried.
    """
    while config.batch_size > 1 and (reason := want_of_memory(config, data)):
        config = _halved(config, 1, write, f" ({reason})")
    return config


def halve_until_it_fits(
    run: Callable[[TrainConfig], Trained], config: TrainConfig, folder: Path, *, write: Callable,
    least: int = 1,
) -> Trained:  # fmt: skip
    """Run a training, and again with half the batch whenever memory runs out; return what it did.

    Once a checkpoint has been saved the batch is left alone: its size belongs to the schedule. The
    `least` batch is the number of GPUs.

    Raises:
        MemoryError: even the smallest batch does not fit, or memory ran out later.
        tf.errors.ResourceExhaustedError: the same, on a GPU.
    """
    while True:
        try:
            return run(config)
        except (MemoryError, tf.errors.ResourceExhaustedError):
            if config.batch_size // 2 < least or checkpoint_steps(folder):
                raise
        # Here the failed attempt is over and nothing holds its tensors any more.
        keras.utils.clear_session()
        gc.collect()
        config = _halved(config, least, write)


def _halved(config: TrainConfig, least: int, write: Callable, why: str = "") -> TrainConfig:
    smaller = config.batch_size // 2
    write(f"a batch of {config.batch_size} does not fit into memory{why}: trying {smaller}")
    frozen = config.freeze_batch_size and max(least, config.freeze_batch_size // 2)
    return dataclasses.replace(config, batch_size=smaller, freeze_batch_size=frozen)
