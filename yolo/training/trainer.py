"""A training run from its settings to its best model."""

from __future__ import annotations

import contextlib
import logging
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import keras
import tensorflow as tf

from yolo import saved, zoo
from yolo.data import pipeline
from yolo.data.store import find_damaged
from yolo.detector import Detector
from yolo.errors import ConfigError, DatasetError
from yolo.evaluation.voc import evaluate_voc
from yolo.inference.predictor import detect_samples
from yolo.schedules import WarmupDecay
from yolo.training import architecture, run_folder, settings
from yolo.training.callbacks import Checkpoints, Progress, StopOnNonFinite
from yolo.training.dataset import TrainingData
from yolo.training.devices import select_gpus
from yolo.training.optimizer import make_optimizer, peak_learning_rate
from yolo.training.precision import choose_precision
from yolo.training.settings import TrainConfig
from yolo.training.watching import watchers

log = logging.getLogger("yolo")


@dataclass(frozen=True)
class Phase:
    """A stretch of epochs with one batch size and one set of trainable layers."""

    first: int
    last: int
    batch_size: int
    frozen: bool


def train(
    config: TrainConfig, data: TrainingData, folder: Path, *, resume: bool = False,
    write: Callable = lambda text, end="\n": log.info("%s", text), live: bool = False,
    callbacks: Sequence = (),
) -> Path:  # fmt: skip
    """Train a detector and return the path of its best model.

    Args:
        config: the run's settings.
        data: its pictures.
        folder: its run folder, made by `run_folder.create`.
        resume: go on from `last.keras` in the folder.
        write: called with lines of progress.
        live: whether a line can be replaced by the next.
        callbacks: Keras callbacks besides the run's own, called after them.

    Returns:
        `folder / "best.keras"`.

    Raises:
        YoloError: settings, data or weights cannot be used, or the loss stops being finite.
    """
    strategy = _devices(config)
    precision = choose_precision(config.precision)
    keras.utils.set_random_seed(config.seed)
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(precision)
    try:
        with strategy.scope() if strategy else contextlib.nullcontext():
            model = _start_model(config, data, folder if resume else None)
            shadow = Detector.from_config(model.get_config())
    finally:
        # What is loaded after the run computes in the precision it would have in a new process.
        keras.config.set_dtype_policy(before)
    shadow.notes = {}
    done = model.notes.get("epoch", config.init_epoch)
    run_folder.cut_results(folder / "results.csv", done)
    write(
        f"{config.model}, {len(data.classes)} classes, {model.count_params():,} parameters, "
        f"{config.image_size[0]}x{config.image_size[1]}, {precision}, "
        f"{len(data.train)} pictures to train on, {len(data.val)} to measure on"
    )
    if done >= config.epochs or model.notes.get("stopped"):
        if not (folder / "best.keras").exists():  # stopped during its only measurement
            _end_phase(model, folder / "last.keras")
            shadow.set_weights(model.get_weights())
            run_folder.save_model(shadow, folder / "best.keras")
        write(f"{folder}: this run is complete ({done} epochs); nothing to do")
        return folder / "best.keras"

    def measure(detector) -> float:
        found = detect_samples(detector, data.val, batch_size=config.batch_size)
        return evaluate_voc(found, data.val, data.classes).map_all_point

    for phase in phases(config):
        if done >= phase.last or model.notes.get("stopped"):
            continue
        if resume and done == phase.first > config.init_epoch:
            _end_phase(model, folder / "last.keras")
        with strategy.scope() if strategy else contextlib.nullcontext():
            _compile(model, config, phase, len(data.train), folder if done > phase.first else None)
        _run_phase(model, shadow, config, data, phase, max(done, phase.first), folder,
                   measure=measure, write=write, live=live,
                   more=[*watchers(config, folder), *callbacks])  # fmt: skip
    return folder / "best.keras"


def _end_phase(model: Detector, last: Path) -> None:
    """Give the model the averaged weights, with which Keras's `fit` leaves a finished phase."""
    ended = keras.models.load_model(last)
    ended.optimizer.finalize_variable_values(ended.trainable_variables)
    model.set_weights(ended.get_weights())


def phases(config: TrainConfig) -> list[Phase]:
    """Return the run's phases: frozen backbone first where that is wanted, then all layers."""
    cut = min(config.freeze_epochs, config.epochs)
    frozen = Phase(config.init_epoch, cut, config.freeze_batch_size or config.batch_size, True)
    free = Phase(max(cut, config.init_epoch), config.epochs, config.batch_size, False)
    return [phase for phase in (frozen, free) if phase.last > phase.first]


def _run_phase(model, shadow, config, data, phase, first, folder, *, measure, write, live, more):
    steps = pipeline.steps_per_epoch(len(data.train), phase.batch_size)
    common = {
        "image_size": config.image_size,
        "batch_size": phase.batch_size,
        "resize": config.resize,
    }
    batches = pipeline.training_dataset(
        data.train, augment=settings.augmentation(config), epochs=config.epochs,
        seed=config.seed, first_epoch=first, multi_scale=config.multi_scale, **common,
    )  # fmt: skip
    if config.loader_threads:
        options = tf.data.Options()
        options.threading.private_threadpool_size = config.loader_threads
        batches = batches.with_options(options)
    every = config.epochs_between_evaluations
    validation = pipeline.evaluation_dataset(data.val, **common) if every and data.val else None
    write(
        f"epochs {first + 1} to {phase.last}: {steps} steps of {phase.batch_size} pictures"
        + (", backbone frozen" if phase.frozen else "")
    )
    with _pictures_named([*data.train, *data.val]):
        model.fit(
            batches,
            steps_per_epoch=steps,
            initial_epoch=first,
            epochs=phase.last,
            validation_data=validation,
            validation_freq=max(every, 1),
            shuffle=False,
            verbose=0,
            callbacks=[
                StopOnNonFinite(),
                Progress(write, live=live, steps=steps, batch_size=phase.batch_size,
                         last_epoch=config.epochs),
                Checkpoints(folder, shadow, measure, every=every, patience=config.patience,
                            save_period=config.save_period, last_epoch=config.epochs, write=write),
                *more,
            ],
        )  # fmt: skip


@contextlib.contextmanager
def _pictures_named(samples):
    """Turn TensorFlow's report of a picture that cannot be read into ours, which names it."""
    try:
        yield
    except tf.errors.ResourceExhaustedError:  # no picture's fault
        raise
    except tf.errors.OpError as error:
        found = re.search(r"DatasetError: ([^\n]+)", str(error))
        if found is not None:
            raise DatasetError(found[1]) from error
        find_damaged(samples)
        raise


def _compile(model, config: TrainConfig, phase: Phase, pictures: int, resume_from: Path | None):
    """Freeze or free the backbone and give the model the phase's optimizer and loss."""
    model.set_backbone_trainable(not phase.frozen)
    steps = pipeline.steps_per_epoch(pictures, phase.batch_size) * (phase.last - phase.first)
    schedule = WarmupDecay(
        peak_learning_rate(config, phase.batch_size),
        steps=steps,
        warmup_steps=min(config.warmup_steps, steps // 10),
        start=phase.first / config.epochs,
        end=phase.last / config.epochs,
        final=config.min_learning_rate_ratio,
        shape=config.lr_decay,
    )
    variables = model.trainable_variables
    model.compile(
        make_optimizer(config, schedule, steps=steps, variables=variables),
        loss=_loss(config),
        loss_settings=settings.loss_settings(config),
        run_eagerly=config.eager,
    )
    if resume_from is not None:
        # Weight decay's exceptions are not part of a saved optimizer, so it is made anew and
        # only its state is taken over.
        model.optimizer.build(variables)
        state = keras.models.load_model(resume_from / "last.keras").optimizer.variables
        for target, source in zip(model.optimizer.variables, state, strict=True):
            target.assign(source.numpy())


def _loss(config: TrainConfig):
    import keras_focal

    if config.loss == "focal":
        return keras_focal.FocalLoss(alpha=config.focal_alpha, gamma=config.focal_gamma)
    return keras.losses.BinaryCrossentropy()


def _start_model(config: TrainConfig, data: TrainingData, resume_from: Path | None) -> Detector:
    if resume_from is not None:
        return saved.load(resume_from / "last.keras", expected_classes=data.classes)
    model = zoo.build(
        config.model, classes=data.classes, image_size=config.image_size, resize=config.resize,
        **architecture.model_options(config),
    )  # fmt: skip
    if config.weights:
        saved.start_from(model, config.weights)
    return model


def _devices(config: TrainConfig):
    """Make the chosen GPUs visible; return a strategy where there are several."""
    found = select_gpus(config.gpus)
    if len(found) < 2:
        return None
    for phase in phases(config):
        if phase.batch_size % len(found):
            raise ConfigError(
                f"a batch of {phase.batch_size} does not divide among {len(found)} GPUs; "
                "choose a multiple"
            )
    return tf.distribute.MirroredStrategy()
