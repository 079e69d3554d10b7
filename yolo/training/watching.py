"""What can be watched while a run goes on: curves drawn anew, and TensorBoard's files."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import keras
import tensorflow as tf

from yolo.errors import ConfigError
from yolo.evaluation.plots import plot_training
from yolo.settings.train import TrainConfig
from yolo.system.writing import unless_held

DRAWING_SHARE = 0.03  # of the run's time, at most


def watchers(config: TrainConfig, folder: Path) -> list[keras.callbacks.Callback]:
    """Return the callbacks that show a run; they come after the one that writes its results.

    Raises:
        ConfigError: TensorBoard is asked for and not installed.
    """
    found: list[keras.callbacks.Callback] = [LivePlots(folder)]
    if config.tensorboard:
        found.append(TensorBoard(folder))
    return found


class LivePlots(keras.callbacks.Callback):
    """Draws losses, learning rate and mAP after an epoch, as often as costs little."""

    def __init__(self, folder: Path):
        super().__init__()
        self.folder, self.next = folder, 0.0

    def on_epoch_end(self, epoch, logs=None):
        """Draw, unless the last drawing was a moment ago."""
        if time.monotonic() >= self.next:
            started = time.monotonic()
            self._draw()
            took = time.monotonic() - started
            self.next = time.monotonic() + took / DRAWING_SHARE

    def on_train_end(self, logs=None):
        """Draw the last epoch in any case."""
        self._draw()

    def _draw(self):
        if not (self.folder / "results.csv").exists():
            return
        with unless_held():
            plot_training(self.folder / "results.csv", self.folder / "plots" / "training.png")


class TensorBoard(keras.callbacks.Callback):
    """Writes every figure of an epoch for TensorBoard into the run folder, the mAP included.

    Raises:
        ConfigError: TensorBoard is not installed.
    """

    def __init__(self, folder: Path):
        super().__init__()
        if find_spec("tensorboard") is None:
            raise ConfigError("--tensorboard needs TensorBoard: pip install tensorboard")
        self.folder, self.writer = folder, None

    def on_epoch_end(self, epoch, logs=None):
        """Write the figures of the epoch's row."""
        row = last_row(self.folder / "results.jsonl")
        if self.writer is None:
            self.writer = tf.summary.create_file_writer(str(self.folder / "tensorboard"))
        with self.writer.as_default(step=epoch + 1):
            for name, value in row.items():
                if name != "epoch" and value is not None:
                    kind = "validation/" if name.startswith("val_") else "run/"
                    tf.summary.scalar(kind + name.removeprefix("val_"), value)
        self.writer.flush()

    def on_train_end(self, logs=None):
        """Close the file."""
        if self.writer is not None:
            self.writer.close()
            self.writer = None


class StopWhenLearned(keras.callbacks.Callback):
    """Ends a run as soon as the best mAP50 has reached a goal in 0..1, and says so."""

    def __init__(self, goal: float, write: Callable):
        super().__init__()
        self.goal, self.write = goal, write

    def on_epoch_end(self, epoch, logs=None):
        """Compare what the checkpoints' callback measured."""
        if self.model.notes.get("best_map50", -1.0) >= self.goal:
            self.write(f"  mAP50 has reached {self.goal:g}: enough")
            self.model.stop_training = True


def last_row(path: Path) -> dict:
    """Return the last line of a file of JSON lines."""
    lines = path.read_text(encoding="utf-8").splitlines()
    return json.loads(lines[-1])
