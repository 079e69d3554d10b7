"""A training run from its settings to its best model."""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable, Sequence
from pathlib import Path

import keras
import tensorflow as tf

from yolo import zoo
from yolo.data import pipeline
from yolo.data.folder import TrainingData
from yolo.detector import Detector
from yolo.evaluation.coco import evaluate_coco
from yolo.evaluation.voc import evaluate_voc
from yolo.inference.predictor import detect_samples
from yolo.models.anchor_loss import named
from yolo.models.loss_names import parameters_from
from yolo.models.schedules import WarmupDecay
from yolo.settings import train as settings
from yolo.settings.detector import model_options, weights_file
from yolo.settings.train import TrainConfig
from yolo.system.processor import path_of_computation
from yolo.system.signals import Stop
from yolo.system.terminal import counted
from yolo.training import checkpoint, cost, run_folder
from yolo.training.checkpoint import State
from yolo.training.devices import refuse_uneven, set_up
from yolo.training.epoch_end import EpochEnd, save_model
from yolo.training.label_notes import label_notes
from yolo.training.optimizer import make_optimizer, peak_learning_rate, use_averages
from yolo.training.origin import origin, refuse_differences
from yolo.training.phases import Phase, Run, phases, refuse_idle_accumulation
from yolo.training.precision import choose_precision, make_repeatable
from yolo.training.watching import watchers
from yolo.weights import loading

log = logging.getLogger("yolo")


def train(
    config: TrainConfig, data: TrainingData, folder: Path, *, resume: bool = False,
    write: Callable = lambda text, end="\n": log.info("%s", text), live: bool = False,
    callbacks: Sequence = (), stop: Stop | None = None,
) -> Path:  # fmt: skip
    """Train a detector and return the path of its best model, `folder / "best.keras"`.

    On processors a run follows from its settings and pictures to the bit, however often it is
    stopped and resumed. TensorFlow is set to deterministic operations for that.

    The folder was made by `run_folder.create`; with `resume` the run goes on from the newest
    checkpoint in it. `write`, `live`, `callbacks` and `stop` are those of `yolo.train`.

    Where the environment's TF_CONFIG names several processes, all of them must call this with the
    same arguments. The first one writes the folder, which the others must see.

    Raises:
        YoloError: settings, data or weights cannot be used, a checkpoint cannot be written, or
            the loss stops being finite.
    """
    epochs = run_folder.epochs_if_complete(folder)
    if resume and epochs is not None:
        write(f"{folder}: this run is complete ({counted(epochs, 'epoch')}); nothing to do")
        return folder / "best.keras"
    strategy, stop = set_up(config), stop or Stop()
    devices, chief = strategy.num_replicas_in_sync, strategy.extended.should_checkpoint
    stop.take_back()
    refuse_uneven(devices, (phase.batch_size for phase in phases(config)))
    refuse_idle_accumulation(config, len(data.train))
    if chief:
        run_folder.sweep(folder)
    make_repeatable(config.seed)
    precision = choose_precision(config.precision)
    state, arrays = (checkpoint.newest(folder) if resume else None) or (State(), None)
    if arrays is None:
        state.epoch = config.init_epoch
    model, shadow = _models(config, data, precision, strategy, fresh=arrays is None)
    here = origin(config, data, model)
    refuse_differences(here, state.origin, folder)
    state.origin = here
    write(
        f"{config.model}, {counted(len(data.classes), 'class')}, "
        f"{model.count_params():,} parameters, "
        f"{config.image_size[0]}x{config.image_size[1]}, {precision}, "
        f"{path_of_computation()}, "
        f"{counted(len(data.train), 'picture')} to train on, {len(data.val)} to measure on"
        + (f", {devices} devices" if devices > 1 else "")
    )
    for line in _costs(config, model, precision, devices):
        write(line)
    measure = functools.partial(_measure, config=config, data=data)
    end = EpochEnd(folder, state, shadow, measure=measure, config=config, write=write)
    if chief:
        run_folder.cut_results(folder / "results.csv", state.epoch)
    more = [*(watchers(config, folder) if chief else ()), *callbacks]
    run = Run(config, data, folder, state, end, write, live, stop, more)
    for phase in phases(config):
        if state.epoch >= phase.last or end.stopped:
            continue
        with strategy.scope():
            _compile(model, config, phase, len(data.train))
            if arrays is not None:
                checkpoint.restore(model, arrays)
        run.phase(model, phase, arrays)
        arrays = None
        use_averages(model)
    if chief:
        _finish(model, shadow, folder, state, end, write)
    return folder / "best.keras"


def _costs(config: TrainConfig, model: Detector, precision: str, devices: int) -> list[str]:
    """Return lines that say what a step costs, and whether this machine may be too small for it."""
    batch = max(phase.batch_size for phase in phases(config)) // devices
    found = cost.cost_of(
        model.architecture, len(model.classes), config.image_size, batch,
        half=precision.startswith("mixed"),
    )  # fmt: skip
    if found is None or config.resize == "shorter":
        return []
    on_processor = not tf.config.get_visible_devices("GPU")
    warning = found.warning(on_processor=on_processor, free_bytes=cost.free_memory())
    return [found.line(), *([warning] if warning else [])]


def _measure(detector: Detector, *, config: TrainConfig, data: TrainingData) -> dict[str, float]:
    """Return the figures of a detector on the validation pictures; see `EpochEnd`."""
    with detector.learning():
        found = detect_samples(detector, data.val, batch_size=config.batch_size)
    result = evaluate_voc(found, data.val, data.classes)
    ap = evaluate_coco(found, data.val, data.classes)["AP"]
    return {
        "mAP50": result.map_all_point,
        "COCO_AP": ap if ap >= 0 else float("nan"),  # COCO's -1: no object counts
        "score_threshold": result.score_between,
    }


def _models(
    config: TrainConfig, data: TrainingData, precision: str, strategy, *, fresh: bool
) -> tuple[Detector, Detector]:
    """Return the detector to train and a second one like it, for measuring and saving.

    The first is on all devices of the strategy, the second on one of this machine.
    """
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(precision)
    try:
        with strategy.scope():
            several = strategy.num_replicas_in_sync > 1
            model = _build(config, data, fresh=fresh, sync=several and config.sync_norm)
        model.notes = label_notes(data.train, model.thresholds)
        return model, Detector.from_config(model.get_config())
    finally:
        # What is loaded after the run computes in the precision it would have in a new process.
        keras.config.set_dtype_policy(before)


def _finish(
    model: Detector, shadow: Detector, folder: Path, state: State, end: EpochEnd, write
) -> None:
    """See that there is a best model, and note that the run is complete."""
    if not (folder / "best.keras").exists():
        write("no measurement gave a number: the last model stands for the best")
        shadow.set_weights(model.get_weights())
        shadow.notes = {"epoch": state.epoch, **end.kept}
        save_model(shadow, folder / "best.keras")
    run_folder.mark_complete(folder, state)
    checkpoint.prune(folder, newest=state.step, keep=1)


def _compile(model, config: TrainConfig, phase: Phase, pictures: int):
    """Freeze or free the backbone and give the model the phase's optimizer and loss."""
    model.set_backbone_trainable(not phase.frozen)
    steps = (phase.last - phase.first) * pipeline.steps_per_epoch(
        pictures, phase.batch_size, drop_remainder=config.drop_remainder
    )
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
        loss=make_loss(config, len(model.classes)),
        loss_settings=settings.loss_settings(config, model.architecture),
        run_eagerly=config.eager,
        auto_scale_loss=False,  # the optimizer does
    )
    model.optimizer.build(variables)


def make_loss(config: TrainConfig, classes: int = 0):
    """Return the loss that a run's settings name, for so many classes; 0: not known yet.

    Raises:
        ConfigError: it has not the parameters that they give.
    """
    outputs = classes if config.family == "retinanet" else min(classes, 1)
    return named(str(config.loss), parameters_from(config.loss_options), outputs)


def _build(config: TrainConfig, data: TrainingData, *, fresh: bool, sync: bool) -> Detector:
    """Return the run's detector; one that is not fresh gets its weights from a checkpoint.

    `sync`: batch norm looks at the pictures of all devices.
    """
    model = zoo.build(
        config.model, classes=data.classes, image_size=config.image_size, resize=config.resize,
        **model_options(config),
    )  # fmt: skip
    if sync:
        for layer in model._flatten_layers():
            if isinstance(layer, keras.layers.BatchNormalization):
                layer.synchronized = True
    weights = weights_file(config)
    if weights and fresh:
        loading.start_from(model, weights)
    return model
