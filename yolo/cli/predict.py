"""`predict.py`: detect in pictures, draw the boxes, write JSON."""

from __future__ import annotations

from pathlib import Path

from yolo import terminal
from yolo.cli import common
from yolo.errors import ConfigError
from yolo.headers import printable


def predict(args, screen: terminal.Screen) -> int:
    """Run the command and return its exit code."""
    weights = args.weights or common.latest_run()
    if common.runs_in_keras(args, weights):
        terminal.import_tensorflow_quietly(verbose=args.verbose)
    from yolo import draw
    from yolo.inference import predictor, sources

    if not args.sources:
        from yolo.data import voc
        from yolo.training.dataset import DEMO_FOLDER

        root = DEMO_FOLDER / "VOCdevkit" / "VOC2007"
        if not root.is_dir():
            raise ConfigError("name the pictures to look at: python predict.py PICTURE ...")
        paths = [sample.path for sample in voc.read_split(root, "test")[: common.EXAMPLES_SHOWN]]
    else:
        paths = sources.find_pictures(args.sources)
    model = common.open_model(args, weights)
    wanted = common.class_names(args.classes)
    if wanted == model.classes:
        wanted = None
    out = Path(args.out)
    failed, written, names = [], [], {path.name.lower() for path in paths if _is_in(path, out)}

    def report(path, error):
        failed.append(path)
        screen.write(f"error: {error}")

    results = predictor.predict(
        model, paths, batch_size=args.batch_size, score_threshold=args.score,
        iou_threshold=args.iou, max_detections=args.max_detections, classes=wanted,
        on_error=report,
    )  # fmt: skip
    try:
        for path, image, found in results:
            entry = predictor.detections_to_json(path, image, found)
            if not args.no_draw:
                target = out / common.free_name(path, names)
                draw.write_image(target, draw.draw_detections(image, found))
                entry["drawn"] = printable(target)
            written.append(entry)
            counts = {name: found.labels.count(name) for name in dict.fromkeys(found.labels)}
            text = ", ".join(f"{count} {name}" for name, count in counts.items())
            screen.write(f"{printable(path)}: {text or 'nothing found'}")
    finally:
        predictor.write_predictions(out / "predictions.json", written)
    screen.write(f"{common.count_pictures(len(written))}, results in {out / 'predictions.json'}")
    if failed:
        screen.write(f"{common.count_pictures(len(failed))} left out, not readable")
    return 1 if failed else 0


def _is_in(path: Path, folder: Path) -> bool:
    return path.resolve().parent == folder.resolve()
