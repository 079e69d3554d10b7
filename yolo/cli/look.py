"""Looks before a run: at its data, anchors and batches, and at a handful learned by heart."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from yolo.cli import common
from yolo.errors import DatasetError
from yolo.settings.train import RETINANETS, TrainConfig
from yolo.system import terminal

REASONS = (
    "usual reasons: boxes that do not lie on their objects (look at --check and --show-batches), "
    "objects too small at this --image-size, anchors that resemble none (--anchors auto), a "
    "learning rate that is too high or too low"
)


def check(args, screen: terminal.Screen) -> int:
    """Run `python -m yolo check` and return its exit code."""
    config = _with_data(TrainConfig(**common.settings_given(args)), screen)
    return check_data(config, Path(args.out), screen, args.verbose)


def check_data(config: TrainConfig, out: Path, screen: terminal.Screen, verbose: bool) -> int:
    """Read and decode the data of a run, show the report, write it, and return an exit code."""
    from yolo.reports import check_report, data_plots, run_report
    from yolo.settings.detector import AUTO
    from yolo.training import data_check, fit_anchors

    if config.model in RETINANETS:  # whose anchors are made with Keras
        terminal.import_tensorflow_quietly(verbose=verbose)
    progress = terminal.Progress(screen, None, "pictures decoded").step
    data, report = data_check.read_and_check(config, decode=True, on_progress=progress)
    screen.write(check_report.text(report))
    figures = {}
    if data is not None:
        if config.anchors == AUTO:
            _fit(config, data, screen)
        readable = _readable(data.train, report)
        shapes, _ = fit_anchors.anchor_shapes(config)
        figures = data_plots.write_all(report, readable, shapes, out / "plots")
    page = run_report.write_check(out, report, figures)
    screen.write(f"\nwritten: {page}, and check.txt, check.json and plots/ beside it")
    return DatasetError.exit_code if report.of("error") else 0


def _readable(samples, report) -> list:
    """Return the pictures that can be drawn."""
    bad = [problem.place for problem in report.of("error")]
    return [s for s in samples if not any(place.startswith(f"{s.path}:") for place in bad)]


def anchors(args, screen: terminal.Screen) -> int:
    """Run `python -m yolo anchors` and return its exit code."""
    from yolo.data import folder
    from yolo.system.writing import write_text
    from yolo.training import fit_anchors

    config = _with_data(TrainConfig(**common.settings_given(args)), screen)
    if config.model in RETINANETS:  # whose anchors are made with Keras
        terminal.import_tensorflow_quietly(verbose=args.verbose)
    data = folder.open_data(config)
    fit = _fit(config, data, screen)
    write_text(Path(args.out), fit_anchors.anchors_text(fit.chosen))
    height, width = config.image_size
    screen.write(
        f"written: {args.out}; train with --anchors {common.quoted(args.out)} --image-size "
        f"{height}x{width}"
    )
    return 0


def _fit(config: TrainConfig, data, screen: terminal.Screen):
    """Fit anchors to the pictures to train on, show the outcome and return it."""
    from yolo.training import fit_anchors

    fit = fit_anchors.fit_anchors(config, data.train, data.classes)
    for line in fit_anchors.describe_fit(fit, fit_anchors.anchor_shapes(config)[1]):
        screen.write(line)
    return fit


def show_batches(config: TrainConfig, count: int, out: Path, screen: terminal.Screen) -> int:
    """Write training batches as pictures and return an exit code."""
    from yolo.data import folder
    from yolo.settings.detector import model_settings
    from yolo.training import fit_anchors, preview

    data = folder.open_data(config)
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
    pictures = common.count_pictures(len(few.train))
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
        lines.append(overfit.explain(missed, sum(len(s.class_ids) for s in few.train)))
    if detector.notes.get("epoch", 0) > config.epochs - config.epochs_between_evaluations:
        lines.append("it was still learning when its steps were over: a longer run may get there")
    if getattr(detector.architecture, "head_norm", "group") == "none":
        lines.append("a RetinaNet's subnets learn slowly without a norm: --head-norm group")
    return [*lines, REASONS]


def _with_data(config: TrainConfig, screen) -> TrainConfig:
    """Fill in the data set of a command that names none."""
    if config.data or config.train_list or config.val_list:
        return config
    from yolo.data import folder

    root, _ = folder.default_data()
    screen.write(f"no --data given: looking at {root}")
    return dataclasses.replace(config, data=root)
