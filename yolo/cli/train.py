"""`train.py`: train, evaluate, draw, and say how to go on."""

from __future__ import annotations

import contextlib
import dataclasses
import logging
from pathlib import Path

from yolo import terminal
from yolo.cli import common
from yolo.errors import ConfigError, WeightsError
from yolo.signals import Stop
from yolo.training import run_folder, settings, toml
from yolo.training.origin import FREE, refuse_differences, settings_of
from yolo.training.settings import TrainConfig, resolved

# What a run without any data of its own changes: small pictures, few epochs, focal loss. With
# these the embedded data set is learned to mAP50 0.90 in about three minutes on two cores.
DEMO_SETTINGS = {
    "image_size": (192, 256),
    "loss": "focal",
    "epochs": 30,
    "batch_size": 16,
    "learning_rate": 0.01,
    "epochs_between_evaluations": 10,
}


def train(args, screen: terminal.Screen, stop: Stop) -> int:
    """Run the command and return its exit code."""
    given = {
        field.name: getattr(args, field.name)
        for field in dataclasses.fields(TrainConfig)
        if hasattr(args, field.name)
    }
    if args.config:
        given = {**toml.read_toml(args.config), **given}
    if args.resume:
        folder, resume = Path(args.resume), True
        config = _config_of_run(folder, given)
    else:
        config = TrainConfig(**given)
        _refuse_idle(given, config)
        folder, resume = _finished_before(config, given), False
    if folder is not None and _nothing_to_do(folder, screen):
        return 0
    from yolo.training.devices import select_gpus

    terminal.import_tensorflow_quietly(
        verbose=args.verbose, prepare=lambda: select_gpus(config.gpus)
    )
    from yolo.training import dataset, trainer
    from yolo.training.lock import lock
    from yolo.training.precision import choose_precision

    if not (resume or config.data or config.train_list or config.val_list):
        config = _with_default_data(given, screen)
    config = dataclasses.replace(config, precision=choose_precision(config.precision))
    if not resume:
        folder = run_folder.create(config)

    def last_line():
        run_folder.discard(folder)  # if nothing was saved in it
        if not run_folder.checkpoint_steps(folder):
            return "stopped before the first checkpoint; nothing was saved"
        return f"stopped; go on with: python train.py --resume {common.quoted(folder)}"

    stop.last_line = last_line
    screen.write(f"run folder: {folder}")
    try:
        with lock(folder), _log_file(folder / "log.txt"):
            data = dataset.open_data(config)
            if not resume:
                run_folder.describe(folder, config, data.classes, data.divided)
            best = trainer.train(
                config, data, folder, resume=resume, write=screen.write, live=screen.live,
                stop=stop,
            )  # fmt: skip
            _show_results(best, data, folder, screen)
    finally:
        run_folder.discard(folder)
    return 0


@contextlib.contextmanager
def _log_file(path: Path):
    """Write the package's log to a file, with every repaired annotation by name."""
    try:
        handler = logging.FileHandler(path, encoding="utf-8", errors="backslashreplace")
    except OSError as error:
        raise ConfigError(f"{path}: cannot be written ({error.strerror})") from error
    handler.handleError = lambda record: None  # a full disk ends the run elsewhere, in one line
    handler.setFormatter(logging.Formatter("%(levelname)s %(message)s"))
    log = logging.getLogger("yolo")
    log.addHandler(handler)
    try:
        yield
    finally:
        log.removeHandler(handler)
        with contextlib.suppress(OSError):
            handler.close()


def _refuse_idle(given: dict, config: TrainConfig) -> None:
    """Refuse options that would be read by nobody."""
    if config.loss != "focal" and {"focal_alpha", "focal_gamma"} & set(given):
        raise ConfigError("--focal-alpha and --focal-gamma need --loss focal")
    retina = config.model in settings.RETINANETS
    for name in settings.YOLOV4_ONLY if retina else settings.RETINANET_ONLY:
        if name in given and given[name] != getattr(TrainConfig, name):
            family = "YOLOv4" if retina else "RetinaNet"
            raise ConfigError(f"--{name.replace('_', '-')} belongs to {family}, not {config.model}")
    if not config.freeze_epochs and "freeze_batch_size" in given:
        raise ConfigError("--freeze-batch-size needs --freeze-epochs")


def _config_of_run(folder: Path, given: dict) -> TrainConfig:
    """Return the settings of a run to go on with, and those given that it may change.

    Raises:
        ConfigError: this is no run, or what is given contradicts its settings.
        WeightsError: nothing was saved in it.
    """
    path = folder / "config.toml"
    if not path.is_file():
        raise ConfigError(f"--resume names the folder of a run; {folder} holds no config.toml")
    values = toml.read_toml(path)
    config = TrainConfig(**values)
    _compare(given, config, path)
    if run_folder.epochs_if_complete(folder) is None and not run_folder.checkpoint_steps(folder):
        raise WeightsError(
            f"{folder / run_folder.CHECKPOINTS}: no checkpoint of this run was saved; start anew "
            f"with the same settings: python train.py --config {common.quoted(path)}"
        )
    return TrainConfig(**{**values, **{key: given[key] for key in given if key in FREE}})


def _compare(given: dict, config: TrainConfig, place: Path) -> None:
    """Refuse settings that a run was not started with."""
    now = settings_of(dataclasses.replace(config, **given))
    refuse_differences({key: now[key] for key in now if key in given}, settings_of(config), place)


def _finished_before(config: TrainConfig, given: dict) -> Path | None:
    """Return the folder of a finished run of this name and these settings, if there is one."""
    folder = Path(config.save_dir) / (config.name or "")
    if config.name is None or run_folder.epochs_if_complete(folder) is None:
        return None
    then, now = resolved(TrainConfig(**toml.read_toml(folder / "config.toml"))), resolved(config)
    return folder if all(getattr(then, key) == getattr(now, key) for key in given) else None


def _nothing_to_do(folder: Path, screen) -> bool:
    """Say so if a run and the display of its results are finished."""
    epochs = run_folder.epochs_if_complete(folder)
    if epochs is None or not list(folder.glob("*_results.json")):
        return False
    screen.write(f"{folder}: this run is complete ({epochs} epochs); nothing to do")
    return True


def _with_default_data(given: dict, screen) -> TrainConfig:
    from yolo.training import dataset

    root, embedded = dataset.default_data()
    if embedded:
        screen.write(
            "no --data given and no VOCdevkit/ here: training on the embedded data set of drawn "
            f"shapes, {root}"
        )
        given = {**DEMO_SETTINGS, **given}
    else:
        screen.write(f"no --data given: training on {root}")
    return TrainConfig(**{**given, "data": root})


def _show_results(best: Path, data, folder: Path, screen) -> None:
    """Evaluate the best model, draw some predictions and curves, and say what comes next."""
    from yolo import draw, saved
    from yolo.evaluation import plots, voc
    from yolo.files import write_text
    from yolo.images import read_image
    from yolo.inference.predictor import detect_samples

    model = saved.load(best)
    found = detect_samples(model, data.test)
    result = voc.evaluate_voc(found, data.test, data.classes)
    screen.write(
        f"\n{best} on the {data.test_name} split, {common.count_pictures(len(data.test))}:"
    )
    screen.write(voc.table(result))
    pictures, names = [], set()
    for sample, detections in list(zip(data.test, found, strict=True))[: common.EXAMPLES_SHOWN]:
        shown = detections[detections.scores > 0.25]
        picture = draw.draw_detections(read_image(sample.path), shown)
        name = common.free_name(sample.path, names)
        draw.write_image(folder / "predictions" / name, picture)
        pictures.append(picture)
    draw.write_image(folder / "plots" / "predictions.jpg", draw.grid(pictures, 4))
    plots.plot_training(folder / "results.csv", folder / "plots" / "training.png")
    plots.plot_precision_recall(result, folder / "plots" / "precision_recall.png")
    plots.plot_average_precision(result, folder / "plots" / "average_precision.png")
    # Last: that it is there says that the rest is.
    write_text(folder / f"{data.test_name}_results.json", common.to_json_text(voc.to_json(result)))
    screen.write(f"\nmAP50 {result.map_all_point:.4f} on the {data.test_name} split")
    screen.write(f"predictions drawn: {folder / 'plots' / 'predictions.jpg'}")
    screen.write(f"curves: {folder / 'plots' / 'training.png'}")
    example = data.test[0].path
    screen.write(
        f"go on with: python predict.py {common.quoted(example)} --weights {common.quoted(best)}"
    )
