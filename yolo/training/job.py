"""One training, from its settings to its best model and its report: `yolo.train`."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import logging
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from yolo.errors import ConfigError, YoloError
from yolo.settings import toml
from yolo.settings.train import TrainConfig
from yolo.system import terminal
from yolo.system.lock import lock
from yolo.system.reading import FilePart
from yolo.system.signals import Stop
from yolo.system.terminal import counted, quoted
from yolo.training import devices, run_folder
from yolo.training.start import settle

if TYPE_CHECKING:
    from yolo.data.check import DataReport
    from yolo.data.folder import TrainingData
    from yolo.detector import Detector
    from yolo.evaluation.voc import VocResult

log = logging.getLogger("yolo")


@dataclass(frozen=True)
class FinishedRun:
    """A finished run.

    Args:
        folder: its folder, with `best.keras`, `report.html` and what else `train.py` leaves.
        result: how the best model did on the pictures of the test split, those measured on while
            training where no other exist; None for a run that was finished before, whose figures
            stand in the folder, and in all but the first of several processes.
        example: a picture of that split; None as well where it is no file of its own.
        coco: COCO's figures on that split, as `evaluation.coco.evaluate_coco` returns them.
    """

    folder: Path
    result: VocResult | None = None
    example: Path | None = None
    coco: dict | None = None

    @property
    def best(self) -> Path:
        """The file of the best detector."""
        return self.folder / "best.keras"

    @functools.cached_property
    def detector(self) -> Detector:
        """The best detector, loaded when it is asked for."""
        from yolo.weights import loading

        return loading.load(self.best)

    @property
    def figures(self) -> list[dict[str, float]]:
        """The figures of each epoch by their names in `results.csv`, if they were measured."""
        rows = run_folder.read_results(self.folder / "results.csv")
        return [{name: float(text) for name, text in row.items() if text} for row in rows]


def train(
    config: TrainConfig | None = None, *, resume: str | Path | bool | None = None,
    write: Callable = lambda text, end="\n": log.info("%s", text), live: bool = False,
    stop: Stop | None = None, command: str = "", verbose: bool = False,
    callbacks: Sequence = (), engine: Callable[..., FinishedRun] | None = None, **settings: Any,
) -> FinishedRun:  # fmt: skip
    r"""Train a detector as `train.py` does: check the data, train, measure, draw, and report.

    Weights to start from, anchors and the batch size are found out first where they are "auto" and
    0. All that is worth
    keeping stands in a folder of its own in `save_dir`. A run that was finished before, with the
    same name and settings, is returned as it is.

    Args:
        config: the settings; those that differ from their defaults count as given.
        resume: the folder of a run to go on with; True: the run called `name`, or a new one.
        write: called with each line to show, `print` in a script or notebook; with `end="\r"` for
            one that the next replaces. Without it, lines go to the log called "yolo".
        live: whether lines can be replaced.
        stop: signals to end on, with a checkpoint of the batch at hand; none by default.
        command: what started the run as it can be typed again, for `command.txt` and messages.
        verbose: let TensorFlow's messages through as it starts.
        callbacks: Keras callbacks besides the run's own, called after them.
        engine: what carries the run beyond this process, such as
            `yolo.ray.training.on(workers=4)`; None trains here.
        settings: fields of `TrainConfig`, such as `data`, `model`, `epochs`; each is an option of
            `train.py`, which `python train.py --help all` describes.

    Returns:
        The run. Where the environment's TF_CONFIG names several processes, all of them must call
        this with the same arguments, and the first one writes the folder.

    Raises:
        YoloError: settings, data or weights cannot be used, another process is at work in the
            folder, a file cannot be written, or the loss stops being finite. Nothing is left of a
            run that failed before anything of it was saved.

    Example:
        >>> run = yolo.train(data="VOCdevkit/VOC2007", epochs=40, write=print)  # doctest: +SKIP
        >>> run.detector.detect("street.jpg")  # doctest: +SKIP
    """
    given = _given(config, settings)
    program = command.partition(" --")[0] or "python train.py"
    command = command or f"yolo.train({', '.join(f'{key}={given[key]!r}' for key in given)})"
    number, processes = devices.read_tf_config()
    start = settle(given, resume=resume, program=program)
    if processes > 1:
        start.refuse_for_several()
    if (finished := start.finished()) is not None:
        epochs = counted(run_folder.epochs_if_complete(finished) or 0, "epoch")
        write(f"{finished}: this run is complete ({epochs}); nothing to do")
        return FinishedRun(finished)
    settled = start.with_data(write)
    if engine is not None:
        folder, begun = start.several(settled, go_on=resume is True)
        return engine(begun, folder, fresh=not resume, write=write, command=command)
    write("starting TensorFlow", end="\r" if live else "\n")
    terminal.import_tensorflow_quietly(verbose=verbose, prepare=lambda: devices.set_up(settled))
    from yolo.training.precision import choose_precision

    settled = dataclasses.replace(settled, precision=choose_precision(settled.precision))
    work = functools.partial(
        _train, resume=start.resumed is not None, write=write, live=live, stop=stop,
        callbacks=callbacks,
    )  # fmt: skip
    if number:  # the first process alone writes
        folder = start.resumed or run_folder.place(settled.save_dir, settled.name or "")
        work(settled, folder)
        return FinishedRun(folder)
    folder = start.folder(clear=resume is True)
    if stop:
        stop.last_line = lambda: _last_line(folder, program)
    write(f"run folder: {folder}")
    try:
        with lock(folder), _log_file(folder / "log.txt"):
            run_folder.note_command(folder, command)
            return _show(folder, *work(settled, folder), write)
    finally:
        run_folder.discard(folder)  # if nothing was saved in it


def _given(config: TrainConfig | None, settings: dict) -> dict:
    """Return the settings given, those of a `TrainConfig` by what differs from the defaults."""
    for key in settings:
        toml.check_key(key)
    changed = {
        field.name: getattr(config, field.name)
        for field in (dataclasses.fields(config) if config else ())
        if getattr(config, field.name) != field.default
    }
    paths = {key: os.fspath(v) for key, v in settings.items() if isinstance(v, os.PathLike)}
    return {**changed, **settings, **paths}


def _train(
    config: TrainConfig, folder: Path, *, resume: bool, write: Callable, live: bool,
    stop: Stop | None, callbacks: Sequence,
) -> tuple[TrainConfig, TrainingData, DataReport]:  # fmt: skip
    """Check the data, settle what is left open, and train; return what was trained with."""
    import tensorflow as tf

    from yolo.reports import check_report, run_report
    from yolo.training import data_check, fit_anchors, memory, starting_weights, trainer

    trainer.make_loss(config)  # or it is refused before anything is read
    strategy = devices.set_up(config)
    chief = strategy.extended.should_checkpoint  # of several processes the one that writes
    read, report = data_check.read_and_check(config)
    data = data_check.accepted(read, report)
    for line in check_report.brief(report):
        write(line)

    def once(config: TrainConfig) -> TrainConfig:
        if not resume:
            if chief:
                run_folder.describe(folder, config, data.classes, data.divided)
            config = _settled_by_first(config, folder, strategy)
        trainer.train(
            config, data, folder, resume=resume, write=write, live=live, callbacks=callbacks,
            stop=stop,
        )  # fmt: skip
        return config

    if resume or not chief:
        return once(config), data, report
    run_report.write_findings(folder, report)
    data_check.decode_first(data, report.source, write=write, live=live)
    config = starting_weights.settle_weights(config, write)
    config, fit = fit_anchors.settle_anchors(config, data.train, data.classes, folder, write)
    if fit is not None:
        report = report.with_anchors(fit.after if fit.better else fit.before)
    if config.batch_size:
        return once(config), data, report
    gpus = len(tf.config.get_visible_devices("GPU"))
    size = memory.first_batch_size(len(data.train), gpus=gpus)
    write(f"batch size auto: trying {size}")
    config = dataclasses.replace(config, batch_size=size)
    if not gpus:
        config = memory.halve_until_trials_fit(config, data, write=write)
    least = strategy.num_replicas_in_sync
    config = memory.halve_until_it_fits(once, config, folder, least=least, write=write)
    return config, data, report


def _settled_by_first(config: TrainConfig, folder: Path, strategy: Any) -> TrainConfig:
    """Wait until the first of several processes has settled the run, and take what it found out."""
    if strategy.cluster_resolver is None:
        return config
    devices.told_by_first(strategy, 0.0)
    if strategy.extended.should_checkpoint:
        return config
    told = TrainConfig(**toml.read_toml(folder / "config.toml"))
    return dataclasses.replace(config, anchors=told.anchors, weights=told.weights)


def _show(
    folder: Path, config: TrainConfig, data: TrainingData, report: DataReport, write: Callable
) -> FinishedRun:
    """Try the best model on the test pictures, show all there is to see, and return the run."""
    from yolo.evaluation import coco, voc
    from yolo.inference.predictor import detect_samples
    from yolo.reports import run_report, showing
    from yolo.training import fit_anchors
    from yolo.weights import loading

    best = folder / "best.keras"
    model = loading.load(best)
    found = detect_samples(model, data.test)
    score, most = model.thresholds.score_threshold, model.thresholds.max_detections
    result = voc.evaluate_voc(found, data.test, data.classes, score_threshold=score)
    of_coco = coco.evaluate_coco(found, data.test, data.classes)
    write(f"\n{best} on the {data.test_name} split, {counted(len(data.test), 'picture')}:")
    write(voc.table(result))
    test = showing.Test(
        data.test_name, data.test, found, data.classes, result, of_coco, score, most
    )
    page = showing.show(folder, test, report, data.train, fit_anchors.anchor_shapes(config)[0])
    write(
        f"\nmAP50 {result.map_all_point:.4f} on the {data.test_name} split, COCO AP "
        f"{of_coco['AP']:.4f}"
    )
    if "score_threshold" in model.notes:
        write(
            f"objects count from score {score:g} on, the best F1 on the {config.val_split} split; "
            "best.keras keeps it, --score says another"
        )
    if data.test is data.train:
        write(run_report.LEARNED)
    write(f"worst pictures first: {folder / 'plots' / 'worst.jpg'}")
    write(f"everything on one page: {page}")
    example = data.test[0].path  # perhaps only a place in shards
    shown = None if isinstance(example, FilePart) else example
    return FinishedRun(folder, result, shown, of_coco)


def _last_line(folder: Path, program: str) -> str:
    """Return what is said when a signal ends a run."""
    run_folder.discard(folder)  # if nothing was saved in it
    if not run_folder.checkpoint_steps(folder) and not (folder / run_folder.COMPLETE).exists():
        return "stopped before the first checkpoint; nothing was saved"
    return f"stopped; go on with: {program} --resume {quoted(folder)}"


def _note_end(handler: logging.Handler, error: BaseException | None) -> None:
    """Write what ended a run into its log alone: whoever started it says it, too."""
    if error is None:
        return
    text = str(error) if isinstance(error, YoloError) else f"{type(error).__name__}: {error}"
    record = logging.LogRecord(log.name, logging.ERROR, __file__, 0, "%s", (text,), None)
    handler.handle(record)


@contextlib.contextmanager
def _log_file(path: Path) -> Iterator[None]:
    """Write the package's log to a file, with every repaired annotation by name."""
    try:
        handler = logging.FileHandler(path, encoding="utf-8", errors="backslashreplace")
    except OSError as error:
        raise ConfigError(f"{path}: cannot be written ({error.strerror})") from error
    # A full disk ends the run elsewhere, in one line.
    handler.handleError = lambda record: None  # type: ignore[method-assign]
    handler.setFormatter(logging.Formatter("%(levelname)s %(message)s"))
    level, before = log.level, (log.propagate, log.handlers[:])
    log.addHandler(handler)
    if log.propagate and log.parent:  # whoever reads the log elsewhere gets no more than before
        onward = logging.Handler(log.getEffectiveLevel())
        onward.emit = log.parent.handle  # type: ignore[method-assign]
        log.addHandler(onward)
    log.setLevel(logging.DEBUG)
    log.propagate = False
    try:
        yield
    finally:
        _note_end(handler, sys.exc_info()[1])
        log.setLevel(level)
        log.propagate, log.handlers[:] = before
        with contextlib.suppress(OSError):
            handler.close()
