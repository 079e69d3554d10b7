"""What happens between steps: progress, checkpoints, and the end at a loss that is no number."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np

from yolo.errors import YoloError
from yolo.pictures.header import printable
from yolo.system.terminal import SECONDS_BETWEEN_LINES, duration
from yolo.training import checkpoint
from yolo.training.optimizer import finish_group, refused_a_step

PICTURES_NAMED = 8
SECONDS_BETWEEN_CHECKPOINTS = 600


class StopOnNonFinite(keras.callbacks.Callback):
    """Ends the run when a loss or a gradient is not a number; the step was not taken.

    `state` is where the run is, before the batch that ends; `pictures` returns the paths of the
    pictures in a batch, given epoch and batch from 0.
    """

    def __init__(self, state, pictures: Callable):
        super().__init__()
        self.state, self.pictures = state, pictures

    def on_train_batch_end(self, batch, logs=None):
        """Check the epoch's running mean, and whether the optimizer refused the step.

        Only these two numbers are fetched from the device in a good step: the loss is not finite
        if one of its parts is not.
        """
        finite = math.isfinite(float(logs["loss"]))
        if finite and not refused_a_step(self.model.optimizer):
            return
        # Those of all devices; the ones given are of the first device alone.
        figures = {k: float(v) for k, v in self.model.get_metrics_result().items()}
        bad = [name for name, value in figures.items() if not math.isfinite(value)]
        parts = [name for name in bad if name != "loss"]
        what = ", ".join(parts or bad or ["the gradient"])
        names = [printable(path) for path in self.pictures(self.state.epoch, self.state.batch)]
        shown = ", ".join(names[:PICTURES_NAMED])
        if len(names) > PICTURES_NAMED:
            shown += f" and {len(names) - PICTURES_NAMED} more"
        raise YoloError(
            f"{what} is not a finite number in step {self.state.step + 1} (epoch "
            f"{self.state.epoch + 1}, batch {self.state.batch + 1}), with the pictures {shown}; "
            "the step was not taken and nothing of it is saved. Usual cures: a lower "
            "--learning-rate, more --warmup-steps, --precision float32"
        )


class Progress(keras.callbacks.Callback):
    r"""One line an epoch, and while it runs one that is rewritten where the output is a terminal.

    Elsewhere that one comes twice a minute, so that a log tells of a long epoch and stays readable.

    Args:
        write: called with a line to show; with `end="\\r"` for one that will be replaced.
        live: whether lines can be replaced.
        steps: steps an epoch.
        batch_size: pictures a step.
        last_epoch: number of the run's last epoch.
        skipped: steps of the first epoch that were done before.
    """

    def __init__(
        self, write: Callable, *, live: bool, steps: int, batch_size: int, last_epoch: int,
        skipped: int = 0,
    ):  # fmt: skip
        super().__init__()
        self.write, self.live = write, live
        self.steps, self.batch_size, self.last_epoch = steps, batch_size, last_epoch
        self.skipped = skipped
        self.durations: list[float] = []
        self.shown = time.monotonic()
        self.end = "\r" if live else "\n"

    def on_train_begin(self, logs=None):
        """Say what takes long before the first step has something to show."""
        self.write("preparing the first step, which takes a while", end=self.end)

    def on_epoch_begin(self, epoch, logs=None):
        """Start the clock."""
        self.epoch, self.started = epoch, time.monotonic()

    def on_train_batch_end(self, batch, logs=None):
        """Show the epoch so far, from time to time."""
        now, done = time.monotonic(), self.skipped + batch + 1
        if done < self.steps and now - self.shown > (0.5 if self.live else SECONDS_BETWEEN_LINES):
            self.shown = now
            self.write(self._line(done, logs, now - self.started), end=self.end)

    def on_epoch_end(self, epoch, logs=None):
        """Show the finished epoch."""
        elapsed = time.monotonic() - self.started
        # The first epoch compiles; it tells little of those to come.
        self.durations.append(elapsed)
        self.write(self._line(self.steps, logs, elapsed))
        self.skipped, self.shown = 0, time.monotonic()

    def _line(self, step, logs, elapsed) -> str:
        here = step - self.skipped
        typical = float(np.median(self.durations[1:] or [elapsed * self.steps / here]))
        left = typical * (self.last_epoch - self.epoch - 1) + max(
            0.0, typical * (1 - step / self.steps)
        )
        parts = "  ".join(
            f"{name.removesuffix('_loss')} {float(logs[name]):.4f}"
            for name in logs
            if name.endswith("_loss")
        )
        rate = float(np.asarray(self.model.optimizer.learning_rate))
        speed = here * self.batch_size / max(elapsed, 1e-9)
        when = [f"step {step}/{self.steps}"] if step < self.steps else [duration(elapsed)]
        if left >= 1:
            when.append(f"{duration(left)} left")
        # What matters first: a terminal of 80 columns cuts off what a sum consists of.
        return (
            f"epoch {self.epoch + 1}/{self.last_epoch}  {', '.join(when)}  "
            f"{speed:.{0 if speed >= 10 else 1}f} pictures/s  loss {float(logs['loss']):.4f}  "
            f"({parts})  learning rate {rate:.2g}"
        )


class LastGroup(keras.callbacks.Callback):
    """Lets the last batches of a phase count where they do not fill a group of `--accumulate`.

    An epoch has `steps` batches; the phase's `last` epoch is counted from 1.
    """

    def __init__(self, state, *, steps: int, last: int):
        super().__init__()
        self.state, self.steps, self.last = state, steps, last

    def on_train_batch_end(self, batch, logs=None):
        """Take the step behind the last batch; before it is counted, and saved."""
        if (self.state.epoch + 1, self.state.batch + 1) == (self.last, self.steps):
            finish_group(self.model)


class Checkpoints(keras.callbacks.Callback):
    """Saves the run at the end of every epoch, every few minutes, and when a signal asks.

    Of several processes all take part in a save, and nobody tells them to at the same batch: they
    save at the end of an epoch only, and a signal ends one at once. `finish_epoch` is called with
    the model and the epoch's figures once its batches are saved; `arrays` are those of the
    checkpoint that this run goes on from, if any.
    """

    def __init__(self, folder: Path, state, *, steps: int, stop, finish_epoch, arrays=None):
        super().__init__()
        self.folder, self.state, self.steps = folder, state, steps
        self.stop, self.finish_epoch, self.arrays = stop, finish_epoch, arrays

    def on_epoch_begin(self, epoch, logs=None):
        """Start the clock; in the middle of an epoch, also from what was measured in it."""
        if self.state.batch and self.arrays is not None:
            checkpoint.restore_metrics(self.model, self.arrays)
        self.arrays = None
        self.started = time.monotonic() - self.state.seconds
        self.saved = time.monotonic()

    def on_train_batch_end(self, batch, logs=None):
        """Count the batch, and save when it is time."""
        self.state.batch += 1
        self.state.step += 1
        if self.model.distribute_strategy.cluster_resolver is not None:
            return
        self.stop.defer()  # from the first batch on there is something to lose
        if self.state.batch == self.steps:
            return  # the end of the epoch saves
        late = time.monotonic() - self.saved > SECONDS_BETWEEN_CHECKPOINTS
        if late or self.stop.requested:
            self._save()
            self.stop_if_requested()

    def on_epoch_end(self, epoch, logs=None):
        """Save first, then measure: who stops the measurement shall not lose the epoch."""
        self._save()
        self.stop.allow()
        self.finish_epoch(self.model, {name: float(value) for name, value in logs.items()})

    def stop_if_requested(self):
        """End the run if a signal has come."""
        if self.stop.requested:
            self.stop.allow()

    def _save(self):
        self.state.seconds = time.monotonic() - self.started
        checkpoint.save(self.folder, self.state, self.model)
        self.saved = time.monotonic()
