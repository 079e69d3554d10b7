"""`train.py`: train, evaluate, draw, and say how to go on."""

from __future__ import annotations

import contextlib
import dataclasses
import logging
from pathlib import Path
from typing import TYPE_CHECKING

from yolo.cli import check, common, look, options
from yolo.cli.option_values import Parser, count, make_parser
from yolo.errors import ConfigError, WeightsError
from yolo.settings import toml
from yolo.settings.train import TrainConfig, resolved
from yolo.system import terminal
from yolo.system.lock import lock
from yolo.system.reading import FilePart
from yolo.system.signals import Stop
from yolo.training import devices, run_folder
from yolo.training.origin import FREE, refuse_differences, settings_of

if TYPE_CHECKING:
    from yolo.data.check import DataReport
    from yolo.data.folder import TrainingData

# What a run without any data of its own changes: small pictures, few epochs, focal loss. With
# these the embedded data set is learned to mAP50 0.90 in about three minutes on two cores.
DEMO_SETTINGS = {
    "image_size": (192, 256),
    "loss": "focal",
    "confidence_weight": 2.0,
    "epochs": 30,
    "batch_size": 16,
    "learning_rate": 0.01,
    "epochs_between_evaluations": 10,
}


# What `--help` shows, on one screen of 24 lines.
USUAL = {
    "--data DIR": "pictures and labels in VOC's or COCO's layout, or shards "
    "(default: VOCdevkit/ here, else a data set that is drawn)",
    "--classes FILE": "class names, one a line (default: those annotated)",
    "--model NAME": f"python -m yolo models lists them (default: {TrainConfig.model})",
    "--weights FILE": "start from a .keras, .weights, .h5 or .pth, or published ones by "
    "name, such as yolov4-tiny-backbone (default: fresh ones)",
    "--image-size SIZE": "416 or 320x416, height x width (default: 416)",
    "--epochs N": f"(default: {TrainConfig.epochs})",
    "--batch-size N": f"pictures a step, or auto (default: {TrainConfig.batch_size})",
    "--loss NAME": "cross-entropy or focal (default: focal for RetinaNet alone)",
    "--name NAME": "of the run's folder in logs/ (default: date and time)",
    "--resume DIR": "go on with the run in this folder",
}


def parser() -> Parser:
    """Return the parser of the command's options."""
    parser = make_parser(
        "Train a detector on pictures labelled in VOC format. Without --data it trains on "
        "VOCdevkit/ in the current folder, or on a data set that it draws itself.",
        USUAL,
    )
    parser.add_argument("--config", metavar="FILE",
                        help="TOML file of settings, named as the options with _ for -; options "
                        "win")  # fmt: skip
    parser.add_argument("--resume", metavar="DIR", help="go on with the run in this folder")
    parser.add_argument("--continue", action="store_true", dest="go_on",
                        help="go on with the run of this --name, or start it")  # fmt: skip
    look = parser.add_argument_group("a look before training (nothing is trained for long)")
    look = look.add_mutually_exclusive_group()
    look.add_argument("--check", action="store_true",
                      help="read and decode all the data, report on them, and end")  # fmt: skip
    look.add_argument("--show-batches", type=count, metavar="N",
                      help="write N augmented batches as pictures, with boxes and the anchors "
                      "that learn them, and end")  # fmt: skip
    look.add_argument("--overfit", type=count, metavar="N",
                      help="train on N pictures until they are learned, say whether they were, "
                      "and end; 8 is a good number")  # fmt: skip
    options.settings_options(parser)
    return parser


def run(args, screen: terminal.Screen, stop: Stop) -> int:
    """Run the command and return its exit code."""
    given = common.settings_given(args)
    number, processes = devices.read_tf_config()
    if args.go_on:
        args.resume = _run_to_go_on(given)
    if args.resume:
        folder = Path(args.resume)
        config = _config_of_run(folder, _settled(given), common.sibling(args.prog, "train"))
    else:
        config = TrainConfig(**given)
        _refuse_idle(given, config)
        folder = None
    if args.check:
        config = _with_data(config, given, screen)
        return check.check_data(config, Path(config.save_dir) / "check", screen, args.verbose)
    looks = args.show_batches or args.overfit
    if processes > 1:
        _refuse_for_several(args, config)
    if not looks and _nothing_to_do(folder or _finished_before(config, given), screen):
        return 0
    terminal.import_tensorflow_quietly(verbose=args.verbose, prepare=lambda: devices.set_up(config))
    from yolo.training.precision import choose_precision

    if not args.resume:
        config = _with_data(config, given, screen)
    config = dataclasses.replace(config, precision=choose_precision(config.precision))
    if args.show_batches:
        out = Path(config.save_dir) / "batches"
        return look.show_batches(config, args.show_batches, out, screen)
    if args.overfit:
        return look.overfit(config, args.overfit, screen)
    screen.outlive()  # a terminal that is closed, or a log that is full, is no reason to end
    if number:  # the first process alone writes
        run = _Run(
            folder or run_folder.place(config.save_dir, config.name or ""),
            bool(args.resume),
            screen,
            stop,
        )
        run.train(config)
        return 0
    if args.go_on and not folder:
        _clear_failed_start(run_folder.place(config.save_dir, config.name or ""))
    _write(folder or run_folder.create(config), config, args, screen, stop)
    return 0


def _write(folder: Path, config: TrainConfig, args, screen, stop: Stop) -> None:
    """Train, with all that is written about a run."""
    stop.last_line = lambda: _last_line(folder, common.sibling(args.prog, "train"))
    screen.write(f"run folder: {folder}")
    try:
        with lock(folder), _log_file(folder / "log.txt"):
            run_folder.note_command(folder, args.command)
            run = _Run(folder, bool(args.resume), screen, stop)
            best = run.train(config)
            example = _show_results(best, run, screen)
            predict = common.sibling(args.prog, "predict")
            screen.write(
                f"go on with: {predict} {common.quoted(example)} --weights {common.quoted(best)}"
            )
    finally:
        run_folder.discard(folder)  # if nothing was saved in it


def _last_line(folder: Path, train: str) -> str:
    """Return what is said when a signal ends a run."""
    run_folder.discard(folder)  # if nothing was saved in it
    if not run_folder.checkpoint_steps(folder) and not (folder / run_folder.COMPLETE).exists():
        return "stopped before the first checkpoint; nothing was saved"
    return f"stopped; go on with: {train} --resume {common.quoted(folder)}"


class _Run:
    """One training as the command line does it: checked data, anchors, batch size, then the run.

    Args:
        folder: the run folder.
        resume: whether the run goes on.
        screen: for lines to show.
        stop: ends the run on a signal.
    """

    data: TrainingData
    report: DataReport
    config: TrainConfig  # as settled
    chief: bool  # of several processes the one that writes

    def __init__(self, folder: Path, resume: bool, screen: terminal.Screen, stop: Stop):
        self.folder, self.resume, self.stop = folder, resume, stop
        self.write, self.live = screen.write, screen.live

    def train(self, config: TrainConfig) -> Path:
        """Check the data, settle what is left open, train, and return the best model."""
        import tensorflow as tf

        from yolo.reports import check_report, run_report
        from yolo.training import data_check, fit_anchors, memory

        strategy = devices.set_up(config)
        self.chief = strategy.extended.should_checkpoint
        data, self.report = data_check.read_and_check(config)
        self.data = data_check.accepted(data, self.report)
        for line in check_report.brief(self.report):
            self.write(line)
        if self.resume or not self.chief:
            return self._once(config)
        run_report.write_findings(self.folder, self.report)
        config, fit = fit_anchors.settle_anchors(
            config, self.data.train, self.data.classes, self.folder, self.write
        )
        if fit is not None and fit.better:
            self.report = self.report.with_anchors(fit.after)
        if config.batch_size:
            return self._once(config)
        gpus = len(tf.config.get_visible_devices("GPU"))
        size = memory.first_batch_size(len(self.data.train), gpus=gpus)
        self.write(f"batch size auto: trying {size}")
        config = dataclasses.replace(config, batch_size=size)
        if not gpus:
            config = memory.halve_until_trials_fit(config, self.data, write=self.write)
        return memory.halve_until_it_fits(
            self._once, config, self.folder, least=strategy.num_replicas_in_sync, write=self.write
        )

    def _once(self, config: TrainConfig) -> Path:
        """Train with these settings, once they are written down."""
        from yolo.training import trainer

        self.config = config
        if not self.resume and self.chief:
            run_folder.describe(self.folder, config, self.data.classes, self.data.divided)
        return trainer.train(
            config, self.data, self.folder, resume=self.resume, write=self.write, live=self.live,
            stop=self.stop,
        )  # fmt: skip


@contextlib.contextmanager
def _log_file(path: Path):
    """Write the package's log to a file, with every repaired annotation by name."""
    try:
        handler = logging.FileHandler(path, encoding="utf-8", errors="backslashreplace")
    except OSError as error:
        raise ConfigError(f"{path}: cannot be written ({error.strerror})") from error
    # A full disk ends the run elsewhere, in one line.
    handler.handleError = lambda record: None  # type: ignore[method-assign]
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
    for field in dataclasses.fields(TrainConfig):
        only, name = field.metadata.get("only", config.family), field.name
        if only != config.family and given.get(name, field.default) != field.default:
            owner = {"yolov4": "YOLOv4", "retinanet": "RetinaNet"}[only]
            raise ConfigError(f"--{name.replace('_', '-')} belongs to {owner}, not {config.model}")
    if not config.freeze_epochs and "freeze_batch_size" in given:
        raise ConfigError("--freeze-batch-size needs --freeze-epochs")


def _refuse_for_several(args, config: TrainConfig) -> None:
    """Refuse what several processes of one training cannot have."""
    if args.show_batches or args.overfit:
        raise ConfigError("--show-batches and --overfit are for one process; unset TF_CONFIG")
    lacking = [
        words
        for words, wrong in (
            ("--data or --train-list, a place that all of them see",
             not (config.data or config.train_list)),
            ("--name or --resume, so that they find the same run folder",
             not (config.name or args.resume)),
            ("--batch-size with a number, since auto tries several", not config.batch_size),
            ("--anchors with a file; python -m yolo anchors fits one", config.anchors == "auto"),
        )
        if wrong
    ]  # fmt: skip
    if lacking:
        raise ConfigError(f"several processes need {lacking[0]}")


def _run_to_go_on(given: dict) -> str | None:
    """Return the folder of the run that --continue names, if anything was saved in it."""
    if not given.get("name"):
        raise ConfigError("--continue needs --name, the name of the run")
    folder = run_folder.place(given.get("save_dir", TrainConfig.save_dir), given["name"])
    if run_folder.checkpoint_steps(folder) or run_folder.epochs_if_complete(folder) is not None:
        return str(folder)
    return None


def _clear_failed_start(folder: Path) -> None:
    """Remove what is left of a run that was killed before anything of it was saved."""
    if run_folder.is_unsaved(folder):
        _refuse_busy(folder)
        run_folder.discard(folder)


def _refuse_busy(folder: Path) -> None:
    """Refuse a folder in which a run is at work."""
    with lock(folder):
        pass


def _config_of_run(folder: Path, given: dict, train: str) -> TrainConfig:
    """Return the settings of a run to go on with, and those given that it may change.

    Args:
        folder: the run's.
        given: settings that were typed.
        train: how this command is typed, for messages.

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
        _refuse_busy(folder)  # perhaps its first epoch is under way
        raise WeightsError(
            f"{folder / run_folder.CHECKPOINTS}: no checkpoint of this run was saved; start anew "
            f"with the same settings: {train} --config {common.quoted(path)}"
        )
    return TrainConfig(**{**values, **{key: given[key] for key in given if key in FREE}})


def _settled(given: dict) -> dict:
    """Leave out settings that ask a run to find out something: its config.toml says what it found.

    Without them the command that started a run is the one that goes on with it.
    """
    asked = {"batch_size": 0, "anchors": "auto", "precision": "auto"}
    kept = {key: value for key, value in given.items() if key not in asked or value != asked[key]}
    if given.get("batch_size") == 0:
        kept.pop("freeze_batch_size", None)  # it was halved with the other
    return kept


def _compare(given: dict, config: TrainConfig, place: Path) -> None:
    """Refuse settings that a run was not started with."""
    now = settings_of(dataclasses.replace(config, **given))
    refuse_differences({key: now[key] for key in now if key in given}, settings_of(config), place)


def _finished_before(config: TrainConfig, given: dict) -> Path | None:
    """Return the folder of a finished run of this name and these settings, if there is one."""
    if config.name is None:
        return None
    folder = run_folder.place(config.save_dir, config.name)
    if run_folder.epochs_if_complete(folder) is None:
        return None
    then, now = resolved(TrainConfig(**toml.read_toml(folder / "config.toml"))), resolved(config)
    same = all(getattr(then, key) == getattr(now, key) for key in _settled(given))
    return folder if same else None


def _nothing_to_do(folder: Path | None, screen) -> bool:
    """Say so if a run and the display of its results, which ends with its page, are finished."""
    epochs = run_folder.epochs_if_complete(folder) if folder else None
    if folder is None or epochs is None or not (folder / "report.html").exists():
        return False
    screen.write(f"{folder}: this run is complete ({epochs} epochs); nothing to do")
    return True


def _with_data(config: TrainConfig, given: dict, screen) -> TrainConfig:
    """Fill in the data set of a run that names none, and say which it is."""
    if config.data or config.train_list or config.val_list:
        return config
    from yolo.data import folder as dataset

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


def _show_results(best: Path, run: _Run, screen) -> Path:
    """Try the best model on the test pictures, show all there is to see, return a test picture."""
    from yolo.evaluation import voc
    from yolo.inference.predictor import detect_samples
    from yolo.reports import run_report, showing
    from yolo.training import fit_anchors
    from yolo.weights import loading

    model, data, folder = loading.load(best), run.data, run.folder
    found = detect_samples(model, data.test)
    result = voc.evaluate_voc(found, data.test, data.classes)
    screen.write(
        f"\n{best} on the {data.test_name} split, {common.count_pictures(len(data.test))}:"
    )
    screen.write(voc.table(result))
    score = model.thresholds.score_threshold
    test = showing.Test(data.test_name, data.test, found, data.classes, result, score)
    shapes, _ = fit_anchors.anchor_shapes(run.config)
    page = showing.show(folder, test, run.report, data.train, shapes)
    screen.write(f"\nmAP50 {result.map_all_point:.4f} on the {data.test_name} split")
    if data.test is data.train:
        screen.write(run_report.LEARNED)
    screen.write(f"worst pictures first: {folder / 'plots' / 'worst.jpg'}")
    screen.write(f"everything on one page: {page}")
    example = data.test[0].path  # predict.py takes pictures, not their places in shards
    return Path("PICTURE") if isinstance(example, FilePart) else example
