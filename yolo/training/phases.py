"""A run at work: its phases, the epochs in them, and what becomes of their errors."""

from __future__ import annotations

import contextlib
import logging
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import tensorflow as tf

from yolo.data import pipeline
from yolo.data.door import Checked
from yolo.data.folder import TrainingData
from yolo.data.sample import Sample
from yolo.data.store import find_damaged
from yolo.detector import Detector
from yolo.errors import ConfigError, DatasetError, OutOfMemory, YoloError
from yolo.models.darknet_cfg.network import parts_of
from yolo.settings import train
from yolo.settings.train import TrainConfig
from yolo.system.reading import printable
from yolo.system.signals import Stop
from yolo.system.terminal import counted
from yolo.training import checkpoint
from yolo.training.callbacks import Checkpoints, LastGroup, Progress, StopOnNonFinite
from yolo.training.checkpoint import State
from yolo.training.devices import read_tf_config
from yolo.training.epoch_end import EpochEnd
from yolo.training.run_folder import checkpoint_steps

log = logging.getLogger("yolo")

LEFT_OUT_SHARE = 0.01  # of the training pictures; more damaged ones stop a run


@dataclass(frozen=True)
class Phase:
    """A stretch of epochs with one batch size and one set of trainable layers."""

    first: int
    last: int
    batch_size: int
    frozen: bool


def phases(config: TrainConfig) -> list[Phase]:
    """Return the run's phases: frozen backbone first where that is wanted, then all layers."""
    cut = min(config.freeze_epochs, config.epochs)
    frozen = Phase(config.init_epoch, cut, config.freeze_batch_size or config.batch_size, True)
    free = Phase(max(cut, config.init_epoch), config.epochs, config.batch_size, False)
    return [phase for phase in (frozen, free) if phase.last > phase.first]


def refuse_idle_accumulation(config: TrainConfig, pictures: int) -> None:
    """Refuse to gather more batches for an update than a phase has.

    Raises:
        ConfigError: a phase would end before its first update.
    """
    for phase in phases(config):
        steps = (phase.last - phase.first) * pipeline.steps_per_epoch(
            pictures, phase.batch_size, drop_remainder=config.drop_remainder
        )
        if config.accumulate > steps:
            raise ConfigError(
                f"--accumulate {config.accumulate}: epochs {phase.first + 1} to {phase.last} have "
                f"{steps} batches of {phase.batch_size}, fewer than make one update: lower "
                "--accumulate or --batch-size, or train for more epochs"
            )


@dataclass
class Run:
    """A run at work: its settings, its pictures, and where it is."""

    config: TrainConfig
    data: TrainingData
    folder: Path
    state: State
    end: EpochEnd
    write: Callable
    live: bool
    stop: Stop
    more: Sequence = ()
    left_out: int = 0  # pictures that turned out to be damaged

    def phase(self, model: Detector, phase: Phase, arrays: dict | None) -> None:
        """Train a compiled model from where the run is to the end of a phase.

        `arrays` are those of the checkpoint that the run goes on from; None: the phase begins.
        """
        steps = pipeline.steps_per_epoch(
            len(self.data.train), phase.batch_size, drop_remainder=self.config.drop_remainder
        )
        state, validate = self.state, self._validation(model, phase)
        with _errors_named(self, phase):
            # All but the end of the epoch was saved.
            if arrays is not None and state.batch == steps:
                checkpoint.restore_metrics(model, arrays)
                logs = {name: float(value) for name, value in model.get_metrics_result().items()}
                self.end(model, logs, validate)
            if state.epoch >= phase.last or self.end.stopped:
                return
            self.write(
                f"epochs {state.epoch + 1} to {phase.last}: {counted(steps, 'step')} of "
                + counted(phase.batch_size, "picture")
                + (f", {_backbone(model)} frozen" if phase.frozen else "")
                + (f", going on after step {state.batch}" if state.batch else "")
            )
            while state.epoch < phase.last and not self.end.stopped:
                try:
                    if state.batch:  # the rest of an epoch is a fit of its own, with fewer steps
                        self._fit(model, phase, steps, state.epoch + 1, validate, arrays)
                        arrays = None
                    else:
                        self._fit(model, phase, steps, phase.last, validate, None)
                except tf.errors.OpError as error:
                    if not self._leave_out_damaged(phase, error):
                        raise
                    arrays = checkpoint.arrays_of(model)

    def _plan(self, phase: Phase) -> pipeline.BatchPlan:
        config = self.config
        return pipeline.BatchPlan(
            phase.batch_size, train.augmentation(config), config.epochs, config.seed,
            config.drop_remainder, config.multi_scale,
        )  # fmt: skip

    def _leave_out_damaged(self, phase: Phase, error: tf.errors.OpError) -> bool:
        """Put others in the place of the pictures at which the next batch failed, if there are any.

        Their number stays, and with it the order of all others.

        Raises:
            DatasetError: too many are damaged by now.
        """
        samples, state = self.data.train, self.state
        if isinstance(error, tf.errors.ResourceExhaustedError) or read_tf_config()[1] > 1:
            return False
        paths = pipeline.pictures_of_batch(samples, self._plan(phase), state.epoch, state.batch)
        places = [i for i, sample in enumerate(samples) if sample.path in paths]
        found, _ = find_damaged([samples[i] for i in places])
        if not found:
            return False
        bad = {samples[places[i]].path for i in found}
        good = [sample for sample in samples if sample.path not in bad]
        self.left_out += len(bad)
        count = f"{self.left_out} of {len(samples)} training pictures cannot be decoded"
        first = next(iter(found.values()))
        if not good or self.left_out > max(1, LEFT_OUT_SHARE * len(samples)):
            raise DatasetError(
                f"{first}; {count}, which is too many to go on without them: "
                "python -m yolo check names them all"
            ) from error
        for fault in found.values():
            log.warning("%s; left out from here on (%s)", fault, count)
        self.data = replace(
            self.data,
            train=[
                sample if sample.path not in bad else good[i % len(good)]
                for i, sample in enumerate(samples)
            ],
        )
        return True

    def _fit(self, model, phase, steps, last, validate, arrays) -> None:
        state, config = self.state, self.config
        skipped, plan = state.batch, self._plan(phase)

        def batches(context):
            return training_batches(config, self.data.train, plan, (state.epoch, skipped), context)

        def pictures(epoch, batch):
            return pipeline.pictures_of_batch(self.data.train, plan, epoch, batch)

        model.fit(
            Checked(model.distribute_strategy.distribute_datasets_from_function(batches)),
            steps_per_epoch=steps - skipped,
            initial_epoch=state.epoch,
            epochs=last,
            shuffle=False,
            verbose=0,
            callbacks=[
                StopOnNonFinite(state, pictures),
                Progress(self.write, live=self.live, steps=steps, batch_size=phase.batch_size,
                         last_epoch=config.epochs, skipped=skipped),
                LastGroup(state, steps=steps, last=phase.last),
                Checkpoints(self.folder, state, steps=steps, stop=self.stop, arrays=arrays,
                            finish_epoch=lambda model, logs: self.end(model, logs, validate)),
                *self.more,
            ],
        )  # fmt: skip
        self.end.stopped |= model.stop_training

    def _validation(self, model, phase) -> Callable | None:
        """Return what computes the losses on the validation pictures."""
        config = self.config
        if not (config.epochs_between_evaluations and self.data.val):
            return None
        strategy = model.distribute_strategy
        batches = strategy.distribute_datasets_from_function(
            lambda context: pipeline.evaluation_dataset(
                self.data.val, image_size=config.image_size, batch_size=phase.batch_size,
                resize=config.resize, context=context,
            )
        )  # fmt: skip
        # A share of a batch that several devices share has no end of its own.
        several = strategy.num_replicas_in_sync > 1
        steps = -(-len(self.data.val) // phase.batch_size) if several else None

        def validate() -> dict[str, float]:
            found = model.evaluate(Checked(batches), verbose=0, return_dict=True, steps=steps)
            return {f"val_{name}": float(value) for name, value in found.items()}

        return validate


def _backbone(model: Detector) -> str:
    """Return what a model's frozen layers are called; those of a cfg by their numbers."""
    cfg = getattr(model.architecture, "darknet", None)
    if cfg is None:
        return "backbone"
    last = max((n for n, part in parts_of(cfg).items() if part == "backbone"), default=0)
    return f"backbone (layers 0 to {last} of {len(cfg.layers)})"


@contextlib.contextmanager
def _errors_named(run: Run, phase: Phase):
    """Turn TensorFlow's report of a bad picture, too little memory or another fault into ours.

    Raises:
        YoloError: what it reported.
    """
    try:
        yield
    except (tf.errors.ResourceExhaustedError, MemoryError) as error:
        height, width = run.config.image_size
        smaller = f"--batch-size {phase.batch_size // 2} or a" if phase.batch_size > 1 else "a"
        raise OutOfMemory(
            f"out of memory with {phase.batch_size} pictures of {width}x{height} a step",
            f"try {smaller} smaller --image-size in a new run",
        ) from error
    except tf.errors.OpError as error:
        found = re.search(r"DatasetError: ([^\n]+)", str(error))
        if found is not None:
            raise DatasetError(found[1]) from error
        saved = checkpoint_steps(run.folder)
        way = f"--resume {run.folder}" if saved else "the same command, nothing was saved yet"
        # Below a graph's own words stands what an operation said, before the nodes in brackets.
        words = str(error.message).split("[[")[0].strip().splitlines() or ["no reason given"]
        why = f"TensorFlow could not go on ({type(error).__name__}: {printable(words[-1])})"
        if read_tf_config()[1] > 1:  # it may well tell of another process
            raise YoloError(f"{why}; end all processes and start them again with {way}") from error
        faults, _ = find_damaged([*run.data.train, *run.data.val])
        if faults:
            raise DatasetError(next(iter(faults.values()))) from error
        # Whatever it was may have passed, as faults of a network disk do.
        raise YoloError(f"{why}; all pictures can be read now. Try again with {way}") from error


def training_batches(
    config: TrainConfig, samples: Sequence[Sample], plan: pipeline.BatchPlan,
    start: tuple[int, int], context: tf.distribute.InputContext = pipeline.ALONE,
) -> tf.data.Dataset:  # fmt: skip
    """Return the batches of a run from (epoch, batch) on, read by as many threads as it says."""
    batches = pipeline.training_dataset(
        samples, plan, image_size=config.image_size, resize=config.resize,
        start=start, cache_bytes=config.cache * 10**6, context=context,
    )  # fmt: skip
    options = tf.data.Options()
    if config.loader_threads:
        options.threading.private_threadpool_size = config.loader_threads
    return batches.with_options(options)
