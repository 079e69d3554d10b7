"""`train.py`: train, evaluate, draw, and say how to go on."""

from __future__ import annotations

import contextlib
import dataclasses
import logging
from pathlib import Path

from yolo import terminal
from yolo.cli import common
from yolo.errors import ConfigError, DatasetError, WeightsError
from yolo.training import settings, toml
from yolo.training.settings import TrainConfig

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


def train(args, screen: terminal.Screen) -> int:
    """Run the command and return its exit code."""
    given = {
        field.name: getattr(args, field.name)
        for field in dataclasses.fields(TrainConfig)
        if hasattr(args, field.name)
    }
    if args.resume:
        if given or args.config:
            name = next(iter(given), "config").replace("_", "-")
            raise ConfigError(
                f"--resume takes its settings from {args.resume}/config.toml; leave out --{name}"
            )
        folder = Path(args.resume)
        config = _config_of_run(folder)
    else:
        if args.config:
            given = {**toml.read_toml(args.config), **given}
        config = TrainConfig(**given)
        _refuse_idle(given, config)
    if args.check:
        return _check(config, given, screen)
    from yolo.training.devices import select_gpus

    terminal.import_tensorflow_quietly(
        verbose=args.verbose, prepare=lambda: select_gpus(config.gpus)
    )
    from yolo.training import dataset, run_folder, trainer
    from yolo.training.precision import choose_precision

    if not (args.resume or config.data or config.train_list or config.val_list):
        config = _with_default_data(given, screen)
    config = dataclasses.replace(config, precision=choose_precision(config.precision))
    if not args.resume:
        folder = run_folder.create(config)
    screen.write(f"run folder: {folder}")
    try:
        with terminal.Interrupt() as interrupt, _log_file(folder / "log.txt"):
            data = dataset.open_data(config)
            if not args.resume:
                run_folder.describe(folder, config, data.classes, data.divided)
            best = trainer.train(
                config, data, folder, resume=bool(args.resume),
                write=interrupt.guard(screen.write), live=screen.live,
            )  # fmt: skip
    finally:
        resumable = (folder / "last.keras").exists()
        run_folder.discard(folder)  # if nothing was saved in it
    if interrupt.ended:
        screen.finish()
        if resumable:
            screen.write(f"stopped; go on with: python train.py --resume {common.quoted(folder)}")
        else:
            screen.write("stopped before the first epoch was complete; nothing was saved")
        return 130
    _show_results(best, data, folder, screen)
    return 0


def _check(config: TrainConfig, given: dict, screen) -> int:
    """Read the data as a run would, decode every picture, and say what is wrong."""
    from yolo.data.check import check_pictures
    from yolo.training import dataset

    if not (config.data or config.train_list or config.val_list):
        config = _with_default_data(given, screen)
    data = dataset.open_data(config)
    samples = [*data.train, *data.val, *data.test]
    paths = list(dict.fromkeys(sample.path for sample in samples))
    found = check_pictures(
        paths,
        on_progress=lambda done, total: (
            screen.live and screen.write(f"{done}/{total} pictures", end="\r")
        ),
    )
    for finding in found:
        screen.write(("error: " if finding.fatal else "warning: ") + finding.message)
    bad = sum(finding.fatal for finding in found)
    screen.write(
        f"{common.count_pictures(len(paths))} decoded, {bad} not readable, "
        f"{len(found) - bad} with complaints of the decoder"
    )
    return DatasetError.exit_code if bad else 0


@contextlib.contextmanager
def _log_file(path: Path):
    """Write the package's log to a file, with every repaired annotation by name."""
    handler = logging.FileHandler(path, encoding="utf-8", errors="backslashreplace")
    handler.setFormatter(logging.Formatter("%(levelname)s %(message)s"))
    log = logging.getLogger("yolo")
    log.addHandler(handler)
    try:
        yield
    finally:
        log.removeHandler(handler)
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


def _config_of_run(folder: Path) -> TrainConfig:
    """Return the settings of a run to go on with."""
    path = folder / "config.toml"
    if not path.is_file():
        raise ConfigError(f"--resume names the folder of a run; {folder} holds no config.toml")
    if not (folder / "last.keras").is_file():
        raise WeightsError(
            f"{folder / 'last.keras'}: no such file: no epoch of this run was completed; start "
            f"anew with the same settings: python train.py --config {common.quoted(path)}"
        )
    return TrainConfig(**toml.read_toml(path))


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
    write_text(folder / f"{data.test_name}_results.json", common.to_json_text(voc.to_json(result)))
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
    screen.write(f"\nmAP50 {result.map_all_point:.4f} on the {data.test_name} split")
    screen.write(f"predictions drawn: {folder / 'plots' / 'predictions.jpg'}")
    screen.write(f"curves: {folder / 'plots' / 'training.png'}")
    example = data.test[0].path
    screen.write(
        f"go on with: python predict.py {common.quoted(example)} --weights {common.quoted(best)}"
    )
