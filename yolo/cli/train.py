"""`train.py`: train, evaluate, draw, and say how to go on."""

from __future__ import annotations

import contextlib
import dataclasses
import logging
from collections.abc import Callable
from pathlib import Path

from yolo import terminal
from yolo.cli import common, look
from yolo.errors import ConfigError, WeightsError
from yolo.training import settings, toml
from yolo.training.devices import select_gpus
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


def train(args, screen: terminal.Screen, command: str) -> int:
    """Run the command, which the run notes as it was typed, and return its exit code."""
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
        config = _with_data(config, given, screen)
        return look.check_data(config, Path(config.save_dir) / "check", screen, args.verbose)
    terminal.import_tensorflow_quietly(
        verbose=args.verbose, prepare=lambda: select_gpus(config.gpus)
    )
    from yolo.training import run_folder
    from yolo.training.precision import choose_precision

    if not args.resume:
        config = _with_data(config, given, screen)
    config = dataclasses.replace(config, precision=choose_precision(config.precision))
    if args.show_batches:
        out = Path(config.save_dir) / "batches"
        return look.show_batches(config, args.show_batches, out, screen)
    if args.overfit:
        return look.overfit(config, args.overfit, screen)
    if not args.resume:
        folder = run_folder.create(config)
    screen.write(f"run folder: {folder}")
    run_folder.note_command(folder, command)
    try:
        with terminal.Interrupt() as interrupt, _log_file(folder / "log.txt"):
            run = _Run(folder, bool(args.resume), interrupt.guard(screen.write), screen.live)
            best = run.train(config)
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
    _show_results(best, run, screen)
    return 0


class _Run:
    """One training as the command line does it: checked data, anchors, batch size, then the run.

    Args:
        folder: the run folder.
        resume: whether the run goes on.
        write: called with lines to show.
        live: whether a line can be replaced by the next.
    """

    def __init__(self, folder: Path, resume: bool, write: Callable, live: bool):
        self.folder, self.resume, self.write, self.live = folder, resume, write, live
        self.data = self.report = self.config = None

    def train(self, config: TrainConfig) -> Path:
        """Check the data, settle what is left open, train, and return the best model."""
        from yolo.evaluation import check_report, run_report
        from yolo.training import architecture, data_check, memory

        self.data, self.report = data_check.read_and_check(config)
        data_check.refuse(self.report)
        for line in check_report.brief(self.report):
            self.write(line)
        if self.resume:
            return self._once(config)
        run_report.write_findings(self.folder, self.report)
        config, fit = architecture.settle_anchors(
            config, self.data.train, self.data.classes, self.folder, self.write
        )
        if fit is not None and fit.better:
            self.report = self.report.with_anchors(fit.after)
        if config.batch_size:
            return self._once(config)
        gpus = len(select_gpus(config.gpus))
        size = memory.first_batch_size(len(self.data.train), gpus=gpus)
        self.write(f"batch size auto: trying {size}")
        config = dataclasses.replace(config, batch_size=size)
        return memory.halve_until_it_fits(
            self._once, config, self.folder, least=max(gpus, 1), write=self.write
        )

    def _once(self, config: TrainConfig) -> Path:
        """Train with these settings, once they are written down."""
        from yolo.training import run_folder, trainer

        self.config = config
        if not self.resume:
            run_folder.describe(self.folder, config, self.data.classes, self.data.divided)
        return trainer.train(
            config, self.data, self.folder, resume=self.resume, write=self.write, live=self.live
        )


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


def _with_data(config: TrainConfig, given: dict, screen) -> TrainConfig:
    """Fill in the data set of a run that names none, and say which it is."""
    if config.data or config.train_list or config.val_list:
        return config
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


def _show_results(best: Path, run: _Run, screen) -> None:
    """Try the best model on the test pictures, gather all there is to see, say what comes next."""
    from yolo import saved
    from yolo.evaluation import showing, voc
    from yolo.inference.predictor import detect_samples
    from yolo.training import architecture

    model, data, folder = saved.load(best), run.data, run.folder
    found = detect_samples(model, data.test)
    result = voc.evaluate_voc(found, data.test, data.classes)
    screen.write(
        f"\n{best} on the {data.test_name} split, {common.count_pictures(len(data.test))}:"
    )
    screen.write(voc.table(result))
    test = showing.Test(data.test_name, data.test, found, data.classes, result)
    shapes, _ = architecture.anchor_shapes(run.config)
    page = showing.show(folder, test, run.report, data.train, shapes)
    screen.write(f"\nmAP50 {result.map_all_point:.4f} on the {data.test_name} split")
    screen.write(f"worst pictures first: {folder / 'plots' / 'worst.jpg'}")
    screen.write(f"everything on one page: {page}")
    example = data.test[0].path
    screen.write(
        f"go on with: python predict.py {common.quoted(example)} --weights {common.quoted(best)}"
    )
