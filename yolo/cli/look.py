"""`train.py --show-batches` and `--overfit`: looks before a run."""

from __future__ import annotations

from pathlib import Path

from yolo.settings.train import TrainConfig
from yolo.system import terminal

REASONS = (
    "usual reasons: boxes that do not lie on their objects (look at --check and --show-batches), "
    "objects too small at this --image-size, anchors that resemble none (--anchors auto), a "
    "learning rate that is too high or too low"
)


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
        lines.append(overfit.explain(missed, sum(len(s.class_ids) for s in few.train)))
    if detector.notes.get("epoch", 0) > config.epochs - config.epochs_between_evaluations:
        lines.append("it was still learning when its steps were over: a longer run may get there")
    if getattr(detector.architecture, "head_norm", "group") == "none":
        lines.append("a RetinaNet's subnets learn slowly without a norm: --head-norm group")
    return [*lines, REASONS]
