"""`evaluate.py`: measure average precision on a labelled split."""

from __future__ import annotations

from pathlib import Path

from yolo import terminal
from yolo.cli import common
from yolo.errors import ConfigError
from yolo.headers import allow_megapixels
from yolo.training import toml
from yolo.training.settings import TrainConfig


def evaluate(args, screen: terminal.Screen) -> int:
    """Run the command and return its exit code."""
    if args.results:
        return _score_results(args, screen)
    weights = args.weights or common.latest_run()
    if common.runs_in_keras(args, weights):
        terminal.import_tensorflow_quietly(verbose=args.verbose)
    from yolo.data import coco as coco_data
    from yolo.evaluation import coco, voc
    from yolo.files import write_text
    from yolo.inference.predictor import detect_samples
    from yolo.training import dataset

    allow_megapixels(args.max_megapixels)
    model = common.open_model(args, weights)
    root = args.data or dataset.default_data()[0]
    if Path(root).suffix.lower() == ".json":
        if not args.images:
            raise ConfigError("a COCO file needs --images DIR, the folder of its pictures")
        samples = coco_data.read_coco(root, args.images, classes=model.classes)
    else:
        samples = dataset.read_split(
            root, args.split, classes=model.classes, seed=_seed_of_run(weights),
            first_pixel=args.first_pixel,
        )  # fmt: skip
    screen.write(f"{weights} on {common.count_pictures(len(samples))} of {root}")
    progress = terminal.Progress(screen, len(samples), "pictures")
    found = detect_samples(
        model, samples, score_threshold=args.score, iou_threshold=args.iou,
        batch_size=args.batch_size,
        on_progress=lambda done, total: progress.step(done),
    )  # fmt: skip
    result = voc.evaluate_voc(
        found, samples, model.classes, iou_threshold=args.match_iou,
        inclusive_pixels=args.inclusive_pixels,
    )  # fmt: skip
    coco_result = coco.evaluate_coco(found, samples, model.classes)
    screen.write(voc.table(result))
    screen.write(coco.table(coco_result))
    if args.json:
        text = common.to_json_text({"voc": voc.to_json(result), "coco": coco_result})
        write_text(Path(args.json), text)
        screen.write(f"written: {args.json}")
    return 0


def _score_results(args, screen: terminal.Screen) -> int:
    """Score a results file in COCO's format, mask areas and crowds as COCO's tools do."""
    from yolo.evaluation import coco
    from yolo.files import write_text

    if not args.data:
        raise ConfigError("--results needs --data FILE.json, the COCO file to score against")
    result = coco.evaluate_coco_files(Path(args.data), Path(args.results))
    screen.write(coco.table(result))
    if args.json:
        write_text(Path(args.json), common.to_json_text({"coco": result}))
        screen.write(f"written: {args.json}")
    return 0


def _seed_of_run(weights) -> int:
    """Return the seed by which a run divided a data set without lists of its own."""
    settings = Path(weights).parent / "config.toml"
    if settings.is_file():
        return toml.read_toml(settings).get("seed", TrainConfig.seed)
    return TrainConfig.seed
