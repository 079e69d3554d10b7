"""The end of an epoch: its figures, the best and the last model, its row in the table."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from keras import ops

from yolo.settings.train import TrainConfig, notes_of
from yolo.system.writing import replacing, unless_held
from yolo.training import run_folder
from yolo.training.checkpoint import State, refuse_non_finite
from yolo.training.devices import told_by_first
from yolo.training.optimizer import averaged, averaged_variables


class EpochEnd:
    """Measures, saves the best and the last model, and writes `results.csv`.

    It follows the checkpoint of the epoch's last batch, so that a crash in its middle has it
    done again from there, to the same end. Of several processes the first one measures and writes,
    and tells the others the score. Models are saved from a second detector, which takes the
    averaged weights for measuring; the training model has them while its validation loss is
    computed, and is else never touched.

    Args:
        folder: the run folder.
        state: where the run is; moved on to the next epoch.
        shadow: a detector like the one trained, not compiled, of this machine alone; what it
            notes, all that are saved do.
        measure: returns figures of a detector: "mAP50", 0..1, the others that `results.csv` has,
            and "score_threshold", the score from which on its detections should count.
        config: the run's settings.
        write: called with a line to show.

    Attributes:
        stopped: whether patience has ended the run.
    """

    def __init__(
        self, folder: Path, state: State, shadow, *, measure: Callable, config: TrainConfig, write
    ):
        self.folder, self.state, self.shadow = folder, state, shadow
        self.measure, self.config, self.write = measure, config, write
        self.kept = {**notes_of(config), **shadow.notes}  # what every model that is saved notes
        self.stopped = False
        self.rows: list[dict] = []  # not written yet
        score, epoch = run_folder.noted_score(folder / "best.keras")
        if score > state.best_map50:  # after going back further than to the last epoch
            state.best_map50, state.best_epoch = score, epoch

    def __call__(self, model, logs: dict, validate: Callable | None = None):
        """Finish the epoch that `state` is in, of which `logs` are the figures.

        `validate` returns `val_loss` and its parts; None where there is none.
        """
        config, state, strategy = self.config, self.state, model.distribute_strategy
        self.chief = strategy.extended.should_checkpoint
        done = state.epoch + 1
        row = {
            **logs,
            "epoch": done,
            "learning_rate": float(np.asarray(model.optimizer.learning_rate)),
            "seconds": round(state.seconds, 2),
        }
        self._copy(model, averaged=True)
        every = config.epochs_between_evaluations
        if done == config.epochs or (every and done % every == 0):
            if validate is not None:
                with averaged(model):  # as those that mAP50 is measured of
                    row |= validate()
            figures = dict(self.measure(self.shadow)) if self.chief else {"mAP50": 0.0}
            figures["mAP50"] = told_by_first(strategy, figures["mAP50"])
            threshold = figures.pop("score_threshold", 0.0)
            row |= figures
            self._judge(row, threshold)
        if config.save_period and done % config.save_period == 0:
            self._save(f"epoch_{done:04d}.keras", {"epoch": done})
        if self.chief:
            self._note(row)
        self._copy(model, averaged=False)
        self._save("last.keras", {"epoch": done})
        state.epoch, state.batch, state.seconds = done, 0, 0.0
        model.notes = {"epoch": done, "best_map50": state.best_map50}
        if self.stopped:
            model.stop_training = True

    def _note(self, row: dict) -> None:
        """Write the epoch's row, and those before it that could not be written."""
        table = self.folder / "results.csv"
        self.rows.append(row)
        with unless_held():
            run_folder.cut_results(table, self.rows[0]["epoch"] - 1)
            for each in self.rows:
                run_folder.append_results(table, each)
            self.rows.clear()

    def _judge(self, row: dict, threshold: float) -> None:
        """Compare an epoch's row with the best so far; one that is no number is no better.

        From the score `threshold` on detections should count; 0 where that is not known.
        """
        state, patience = self.state, self.config.patience
        score, done = row["mAP50"], row["epoch"]
        # Equal and of this very epoch: measured again after a crash.
        if score > state.best_map50 or (score, done) == (state.best_map50, state.best_epoch):
            state.best_map50, state.best_epoch, state.without_better = score, done, 0
            found = {"score_threshold": threshold} if threshold > 0 else {}
            self._save("best.keras", {"epoch": done, "val_map50": score, **found})
            verdict = "  best so far, saved"
        else:
            state.without_better += 1
            verdict = f"  (best {state.best_map50:.4f} in epoch {state.best_epoch})"
        shown = f"  mAP50 {score:.4f}"
        for name, word in (("COCO_AP", "COCO AP"), ("val_loss", "val loss")):
            shown += f"  {word} {row[name]:.4f}" if name in row else ""
        self.write(shown + verdict)
        if patience and state.without_better >= patience:
            self.write(f"  no better mAP50 for {patience} measurements: stopping")
            self.stopped = True

    def _copy(self, model, *, averaged: bool) -> None:
        if self.chief:
            copy_weights(model, self.shadow, averaged=averaged)

    def _save(self, name: str, notes: dict) -> None:
        if self.chief:
            self.shadow.notes = {**notes, **self.kept}
            save_model(self.shadow, self.folder / name)


def save_model(model, path: Path) -> None:
    """Save a Keras model whole or not at all; Keras itself truncates the old file first.

    Raises:
        YoloError: the disk is full, the folder cannot be written, or a weight is no finite
            number; the old file is intact.
    """
    for variable in model.weights:
        refuse_non_finite(ops.convert_to_numpy(variable), variable.path)
    with replacing(path) as temporary:
        model.save(temporary)


def copy_weights(model, shadow, *, averaged: bool) -> None:
    """Give a second detector the weights of the one trained.

    With `averaged`, the averages of those weights that have one.
    """
    averages = averaged_variables(model.optimizer) if averaged else None
    trainable = {id(v): i for i, v in enumerate(model.trainable_variables)}
    pairs = zip(shadow.variables, model.variables, strict=True)
    for target, source in pairs:
        index = trainable.get(id(source))
        if averages is not None and index is not None:
            source = averages[index]
        target.assign(ops.convert_to_numpy(source))
