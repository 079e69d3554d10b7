"""What happens between steps and epochs: progress, mAP, best and last model, results."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np

from yolo.errors import YoloError
from yolo.training import run_folder
from yolo.training.optimizer import averaged_variables


class StopOnNonFinite(keras.callbacks.Callback):
    """Ends the run when the loss is not a number, before anything is saved."""

    def on_train_batch_end(self, batch, logs=None):
        """Check the running mean of the loss."""
        if not math.isfinite(float(logs["loss"])):
            parts = ", ".join(
                name for name, value in logs.items()
                if name != "loss" and not math.isfinite(float(value))
            )  # fmt: skip
            raise YoloError(
                f"the loss is no longer a finite number (step {batch + 1} of the epoch, in: "
                f"{parts or 'the sum'}); nothing of this epoch is saved. Usual cures: a lower "
                "--learning-rate, more --warmup-steps, --precision float32"
            )


class Progress(keras.callbacks.Callback):
    r"""One line an epoch, rewritten while it runs where the output is a terminal.

    Args:
        write: called with a line to show; with `end="\\r"` for one that will be replaced.
        live: whether lines can be replaced.
        steps: steps an epoch.
        batch_size: pictures a step.
        last_epoch: number of the run's last epoch.
    """

    def __init__(
        self, write: Callable, *, live: bool, steps: int, batch_size: int, last_epoch: int
    ):
        super().__init__()
        self.write, self.live = write, live
        self.steps, self.batch_size, self.last_epoch = steps, batch_size, last_epoch
        self.durations = []

    def on_epoch_begin(self, epoch, logs=None):
        """Start the clock."""
        self.epoch, self.started, self.shown = epoch, time.monotonic(), 0.0

    def on_train_batch_end(self, batch, logs=None):
        """Show the epoch so far, at most twice a second."""
        now = time.monotonic()
        if self.live and now - self.shown > 0.5:
            self.shown = now
            self.write(self._line(batch + 1, logs, now - self.started), end="\r")

    def on_epoch_end(self, epoch, logs=None):
        """Show the finished epoch."""
        elapsed = time.monotonic() - self.started
        # The first epoch compiles; it tells little of those to come.
        self.durations.append(elapsed)
        self.write(self._line(self.steps, logs, elapsed))

    def _line(self, step, logs, elapsed) -> str:
        typical = float(np.median(self.durations[1:] or [elapsed * self.steps / step]))
        left = typical * (self.last_epoch - self.epoch - 1) + max(
            0.0, typical * (1 - step / self.steps)
        )
        parts = "  ".join(
            f"{name.removesuffix('_loss')} {float(logs[name]):.4f}"
            for name in logs
            if name.endswith("_loss") and not name.startswith("val_")
        )
        rate = float(np.asarray(self.model.optimizer.learning_rate))
        text = (
            f"epoch {self.epoch + 1}/{self.last_epoch}  loss {float(logs['loss']):.4f} ({parts})"
            f"  rate {rate:.2g}  {step * self.batch_size / max(elapsed, 1e-9):.0f} pictures/s"
        )
        if step < self.steps:
            text += f"  {step}/{self.steps}"
        if "val_loss" in logs:
            text += f"  val {float(logs['val_loss']):.4f}"
        return f"{text}  {clock(elapsed)}" + (f", {clock(left)} left" if left >= 1 else "")


class Checkpoints(keras.callbacks.Callback):
    """Measures mAP, saves the best and the last model, and writes `results.csv`.

    The best model is kept in a second detector, which takes the averaged weights for
    measuring; the training model and its optimizer are never touched.

    Args:
        folder: the run folder.
        shadow: a detector like the one trained, not compiled.
        measure: returns mAP50 of a detector, 0..1.
        every: epochs from one measurement to the next; 0: only the last.
        patience: measurements without a better one before the run stops; 0: never.
        save_period: keep the model of every so manieth epoch; 0: none.
        last_epoch: number of the run's last epoch.
        write: called with a line to show.
    """

    def __init__(
        self, folder: Path, shadow, measure, *, every, patience, save_period, last_epoch, write
    ):
        super().__init__()
        self.folder, self.shadow, self.measure = folder, shadow, measure
        self.every, self.patience, self.save_period = every, patience, save_period
        self.last_epoch, self.write = last_epoch, write

    def on_epoch_begin(self, epoch, logs=None):
        """Start the clock."""
        self.started = time.monotonic()

    def on_epoch_end(self, epoch, logs=None):
        """Measure when it is time, then save."""
        done = epoch + 1
        row = {name: float(value) for name, value in logs.items()}
        row |= {
            "epoch": done,
            "learning_rate": float(np.asarray(self.model.optimizer.learning_rate)),
        }
        state = {"best_map50": -1.0, "best_epoch": 0, "without_better": 0} | self.model.notes
        state["epoch"] = done
        self._refuse_non_finite(done)
        self.copy_weights()
        if done == self.last_epoch or (self.every and done % self.every == 0):
            # Measuring takes a while; who stops it shall not lose the epoch.
            self._save(row, dict(state))
            score = float(self.measure(self.shadow))
            row["mAP50"] = score
            run_folder.cut_results(self.folder / "results.csv", epoch)
            better = score > state["best_map50"]
            if better:
                state |= {"best_map50": score, "best_epoch": done, "without_better": 0}
                self.shadow.notes = {"epoch": done, "val_map50": score}
                run_folder.save_model(self.shadow, self.folder / "best.keras")
            else:
                state["without_better"] += 1
            self.write(
                f"  mAP50 {score:.4f}" + ("  best so far, saved" if better else
                f"  (best {state['best_map50']:.4f} in epoch {state['best_epoch']})")
            )  # fmt: skip
            if self.patience and state["without_better"] >= self.patience:
                self.write(f"  no better mAP50 for {self.patience} measurements: stopping")
                state["stopped"] = True
                self.model.stop_training = True
        if self.save_period and done % self.save_period == 0:
            run_folder.save_model(self.shadow, self.folder / f"epoch_{done:04d}.keras")
        self._save(row, state)

    def _save(self, row, state):
        """Write the epoch's row and the model to resume from.

        The row first: a resumed run drops the rows of epochs that the model does not have.
        """
        row["seconds"] = round(time.monotonic() - self.started, 2)
        run_folder.append_results(self.folder / "results.csv", row)
        self.model.notes = state
        run_folder.save_model(self.model, self.folder / "last.keras")

    def _refuse_non_finite(self, epoch):
        """End the run before a weight that is no number is saved."""
        for variable in self.model.trainable_variables:
            if not np.isfinite(variable.numpy()).all():
                raise YoloError(
                    f"a weight of {variable.path} is no longer a finite number after epoch "
                    f"{epoch}; the saved models are from before. Usual cures: a lower "
                    "--learning-rate, more --warmup-steps, --precision float32"
                )

    def copy_weights(self):
        """Give the shadow the averaged weights, or the current ones where none are averaged."""
        averages = averaged_variables(self.model.optimizer)
        trainable = {id(v): i for i, v in enumerate(self.model.trainable_variables)}
        pairs = zip(self.shadow.network.variables, self.model.network.variables, strict=True)
        for target, source in pairs:
            index = trainable.get(id(source))
            if averages is not None and index is not None:
                source = averages[index]
            target.assign(source.numpy() if hasattr(source, "numpy") else source)


def clock(seconds: float) -> str:
    """Return minutes and seconds, or hours, as people write them.

    Example:
        >>> clock(75), clock(3600 * 5 + 62)
        ('1:15', '5:01:02')
    """
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{seconds:02d}" if hours else f"{minutes}:{seconds:02d}"
