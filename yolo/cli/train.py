"""`train.py`: train, evaluate, draw, and say how to go on."""

from __future__ import annotations

import argparse
import dataclasses
import functools
from collections.abc import Callable
from pathlib import Path

from yolo.cli import check, common, options
from yolo.cli.option_values import Parser, count, make_parser
from yolo.errors import ConfigError
from yolo.settings.train import TrainConfig
from yolo.system import terminal
from yolo.system.signals import Stop

REASONS = (
    "usual reasons: boxes that do not lie on their objects (look at --check and --show-batches), "
    "objects too small at this --image-size, anchors that resemble none (--anchors auto), a "
    "learning rate that is too high or too low"
)

# What `--help` shows, on one screen of 24 lines.
USUAL = {
    "--data PATH": "labelled pictures as a tool left them: folder, archive or file "
    "(default: VOCdevkit/ here, else a data set that is drawn)",
    "--classes FILE": "class names, one a line (default: those annotated)",
    "--model NAME": f"python -m yolo models lists them (default: {TrainConfig.model})",
    "--weights FILE": "start from a .keras, .weights, .h5 or .pth, or published ones by "
    "name, such as yolov4-tiny-backbone (default: fresh ones)",
    "--image-size SIZE": "416 or 320x416, height x width (default: 416)",
    "--epochs N": f"(default: {TrainConfig.epochs})",
    "--batch-size N": f"pictures a step, or auto (default: {TrainConfig.batch_size})",
    "--loss NAME": "cross-entropy, focal, quality-focal ... (default: focal for RetinaNet alone)",
    "--name NAME": "of the run's folder in logs/ (default: date and time)",
    "--resume DIR": "go on with the run in this folder",
}


def parser() -> Parser:
    """Return the parser of the command's options."""
    parser = make_parser(
        "Train a detector on labelled pictures. Without --data it trains on "
        "VOCdevkit/ in the current folder, or on a data set that it draws itself.",
        USUAL,
    )
    parser.add_argument("--config", metavar="FILE",
        help="TOML file of settings, named as the options with _ for -; options win")  # fmt: skip
    parser.add_argument("--resume", metavar="DIR", help="go on with the run in this folder")
    parser.add_argument("--continue", action="store_true", dest="go_on",
        help="go on with the run of this --name, or start it")  # fmt: skip
    look = parser.add_argument_group("a look before training (nothing is trained for long)")
    look = look.add_mutually_exclusive_group()
    look.add_argument("--check", action="store_true",
        help="read and decode all the data, report on them, and end")  # fmt: skip
    look.add_argument("--show-batches", type=count, metavar="N",
        help="write N augmented batches as pictures, with boxes and the anchors that learn them, "
        "and end")  # fmt: skip
    look.add_argument("--overfit", type=count, metavar="N",
        help="train on N pictures until they are learned, say whether they were, and end; 8 is a "
        "good number")  # fmt: skip
    parser.add_argument("--cfg", dest="model", metavar="FILE", default=argparse.SUPPRESS,
        help="Darknet's cfg of the network to train, in the place of --model; --weights may be a "
        ".conv.N of it, or whole ones")  # fmt: skip
    options.settings_options(parser)
    options.engine_options(parser, "train together", storage=True)
    return parser


def run(args, screen: terminal.Screen, stop: Stop) -> int:
    """Run the command and return its exit code."""
    from yolo.training import job

    if {"--cfg", "--model"} <= args.typed:
        raise ConfigError("--cfg takes the place of --model; give one of them")
    given = common.settings_given(args)
    resume = True if args.go_on else args.resume
    cluster = common.cluster(args)
    if args.check or args.show_batches or args.overfit:
        if cluster:
            raise ConfigError("--check, --show-batches and --overfit are done without --engine")
        return _look(args, given, resume, screen)
    screen.outlive()  # a terminal that is closed, or a log that is full, is no reason to end
    done = job.train(
        **given, resume=resume, write=screen.write, live=screen.live, stop=stop,
        command=args.command, verbose=args.verbose, engine=cluster and _engine(cluster),
    )  # fmt: skip
    if done.result is not None:
        predict = common.sibling(args.prog, "predict")
        example = terminal.quoted(done.example or "PICTURE")
        screen.write(f"go on with: {predict} {example} --weights {terminal.quoted(done.best)}")
    return 0


def _engine(cluster) -> Callable:
    from yolo.ray import training

    return functools.partial(training.train, cluster)


def _look(args, given: dict, resume: str | bool | None, screen: terminal.Screen) -> int:
    """Take the look before training that was asked for, and return an exit code."""
    from yolo.training import devices, start

    begun = start.settle(given, resume=resume, program=common.sibling(args.prog, "train"))
    config = begun.with_data(screen.write)
    if args.check:
        return check.check_data(config, Path(config.save_dir) / "check", screen, args.verbose)
    if devices.read_tf_config()[1] > 1:
        raise ConfigError("--show-batches and --overfit are for one process; unset TF_CONFIG")
    terminal.import_tensorflow_quietly(verbose=args.verbose, prepare=lambda: devices.set_up(config))
    from yolo.training.precision import choose_precision

    config = dataclasses.replace(config, precision=choose_precision(config.precision))
    if args.show_batches:
        return show_batches(config, args.show_batches, screen)
    return overfit(config, args.overfit, screen)


def show_batches(config: TrainConfig, count: int, screen: terminal.Screen) -> int:
    """Write training batches as pictures and return an exit code."""
    from yolo.data import folder
    from yolo.settings.detector import model_settings
    from yolo.training import fit_anchors, preview

    data, out = folder.open_data(config), Path(config.save_dir) / "batches"
    config, _ = fit_anchors.settle_anchors(config, data.train, data.classes, out, screen.write)
    settings = model_settings(config)
    for path, about in preview.write_batches(config, data, settings, count, out):
        screen.write(f"{path}: {about}")
    screen.write("coloured: the objects as the network gets them; thin white: anchors that learn")
    return 0


def overfit(config: TrainConfig, count: int, screen: terminal.Screen) -> int:
    """Train on a few pictures, say whether they were learned, and return an exit code."""
    from yolo.data import folder
    from yolo.evaluation import voc
    from yolo.evaluation.matching import picture_results
    from yolo.inference.predictor import detect_samples
    from yolo.pictures.files import write_image
    from yolo.reports import gallery
    from yolo.training import overfit
    from yolo.weights import loading

    best, few, config = overfit.overfit(
        config, folder.open_data(config), count, write=screen.write, live=screen.live
    )
    detector = loading.load(best)
    found = detect_samples(detector, few.train)
    result = voc.evaluate_voc(found, few.train, few.classes)
    # Few steps leave scores low; where to draw the line between right and wrong is not asked here.
    least = result.best_score
    ranked = picture_results(found, few.train, few.classes, score_threshold=least)
    sheet = best.parent / "plots" / "learned.jpg"
    pairs = [gallery.side_by_side(one, few.train[one.index], few.classes) for one in ranked]
    write_image(sheet, gallery.sheet(pairs))
    score, learned = result.map_all_point, result.map_all_point >= overfit.LEARNED
    pictures = terminal.counted(len(few.train), "picture")
    screen.write(voc.table(result))
    screen.write(f"drawn, objects that score {least:.3g} and more: {sheet}")
    if learned:
        screen.write(f"learned: mAP50 {score:.4f} on {pictures}; data, model and loss go together")
        return 0
    screen.write(f"not learned: mAP50 {score:.4f} on {pictures}, expected {overfit.LEARNED}")
    for line in _why_not(detector, config, few):
        screen.write(line)
    return 1


def _why_not(detector, config: TrainConfig, few) -> list[str]:
    """Return what may have kept a model from learning a few pictures, what is sure first."""
    from yolo.training import overfit

    lines = []
    missed = overfit.without_anchor(config, few.train, few.classes)
    if missed:
        lines.append(overfit.explain(missed, sum(len(s.learned().class_ids) for s in few.train)))
    if detector.notes.get("epoch", 0) > config.epochs - config.epochs_between_evaluations:
        lines.append("it was still learning when its steps were over: a longer run may get there")
    if getattr(detector.architecture, "head_norm", "group") == "none":
        lines.append("a RetinaNet's subnets learn slowly without a norm: --head-norm group")
    return [*lines, REASONS]
