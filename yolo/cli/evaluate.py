"""`evaluate.py`: measure average precision on a labelled split."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from yolo.cli import common, options, score_results
from yolo.cli.option_values import Parser, count, make_parser, share
from yolo.errors import ConfigError, DatasetError
from yolo.models.thresholds import MATCH_IOU, RANKED, RANKED_FROM
from yolo.settings.train import TrainConfig
from yolo.system import signals, terminal

if TYPE_CHECKING:
    from yolo.data.dataset import DataSet
    from yolo.data.sample import Sample


def parser() -> Parser:
    """Return the parser of the command's options."""
    parser = make_parser("Measure average precision, after VOC and COCO.")
    parser.bare_options = {"--tile": "auto"}
    parser.add_argument("--data", metavar="PATH",
        help="labelled pictures as a tool left them: folder, archive or file; without it "
        "VOCdevkit/ in the current folder, else the embedded data set")  # fmt: skip
    options.data_kind_options(parser)
    parser.add_argument("--split", default="test", metavar="NAME",
        help="list to measure on (default: %(default)s, or val without one; of one file, "
        "all)")  # fmt: skip
    parser.add_argument("--seed", type=int, metavar="N",
        help="divides pictures without lists, as train.py's does (default: the one that the "
        "weights note)")  # fmt: skip
    options.model_options(parser, "score")
    parser.add_argument("--score", type=share, metavar="S",
        help=f"least score that counts (default: {RANKED_FROM})")  # fmt: skip
    parser.add_argument("--iou", type=share, metavar="I",
        help=f"of non-maximum suppression ({options.models_own('iou_threshold')})")  # fmt: skip
    parser.add_argument("--max-detections", type=count, metavar="N",
        help=f"objects a picture that count at most, the best (default: {RANKED}, and enough for "
        "the pictures at hand)")  # fmt: skip
    parser.add_argument("--uncut", action="store_true",
        help="score boxes as the network gives them, not cut at the picture's edge")  # fmt: skip
    options.one_label_option(parser)
    options.tile_option(parser)
    parser.add_argument("--match-iou", type=share, default=MATCH_IOU, metavar="I",
        help="overlap that is a hit, for VOC (default: %(default)s)")  # fmt: skip
    parser.add_argument("--inclusive-pixels", action="store_true",
        help="add 1 to widths and heights, for boxes whose x2, y2 are the last pixel "
        "inside")  # fmt: skip
    parser.add_argument("--batch-size", type=count, default=8, metavar="N",
        help="pictures at once (default: %(default)s)")  # fmt: skip
    parser.add_argument("--first-pixel", choices=("auto", "0", "1"), default="auto",
        help="number of the first pixel in VOC annotations; auto: 0 if any box starts there, else "
        "1 (default: %(default)s)")  # fmt: skip
    parser.add_argument("--only-classes", action="store_true",
        help="leave out objects of classes that are not the model's (COCO's are left out "
        "always)")  # fmt: skip
    options.limit_option(parser)
    options.engine_options(parser, "detect, or LEAST,MOST between which it chooses")
    parser.add_argument("--json", metavar="FILE", help="also write the results here")
    parser.add_argument("--results", metavar="PATH",
        help="score these instead of running a model: a file in COCO's results format, a folder of "
        "text files (class score left top right bottom), or the tutorial's map_out; --data may "
        "then be such a folder of ground truth, too")  # fmt: skip
    return parser


def run(args, screen: terminal.Screen, stop: signals.Stop) -> int:
    """Run the command and return its exit code."""
    if args.results:
        return score_results.score(args, screen)
    weights = common.weights_of(args)
    by = common.predict_on_cluster(args, weights, pixels=False)
    model = common.open_model(args, weights)
    from yolo.data import folder
    from yolo.evaluation import coco, voc
    from yolo.inference import predictor

    root = args.data or folder.default_data()[0]
    classes = _chosen_classes(args, model.classes)
    samples = _read_samples(args, root, model, weights, screen)
    samples = [common.of_classes(sample, model.classes, classes) for sample in samples]
    screen.write(f"{weights} on {terminal.counted(len(samples), 'picture')} of {root}")
    most = max((len(sample.class_ids) for sample in samples), default=0)
    tile = model.image_size if args.tile == "auto" else args.tile
    settings = predictor.ranked(model, tile=tile, most_objects=most).chosen(
        score_threshold=args.score, iou_threshold=args.iou, one_label=args.one_label,
        max_detections=args.max_detections,
    )  # fmt: skip
    progress = terminal.Progress(screen, len(samples), "pictures")
    found = predictor.detect_samples(
        model, samples, **settings._asdict(), batch_size=args.batch_size, tile=tile,
        clip=not args.uncut, by=by or predictor.predict,
        on_progress=lambda done, total: progress.step(done),
    )  # fmt: skip
    if reached := [len(one) for one in found].count(settings.max_detections):
        screen.write(
            f"more was found in {reached} of {terminal.counted(len(found), 'picture')}, where the "
            f"best {settings.max_detections} count (--max-detections)"
        )
    found = [common.of_classes(one, model.classes, classes) for one in found]
    result = voc.evaluate_voc(
        found, samples, classes, iou_threshold=args.match_iou,
        inclusive_pixels=args.inclusive_pixels,
    )  # fmt: skip
    of_coco = coco.evaluate_coco(found, samples, classes)
    common.show_scores(result, of_coco, samples, screen, args.json)
    return 0


def _read_samples(args, root, model, weights, screen) -> list[Sample]:
    """Read the labelled pictures to measure on."""
    from yolo.data import folder

    opened, seed = common.open_data(args, root, model.classes), args.seed
    if not opened.counts_pixels:
        common.refuse_idle(args, ["--first-pixel"], f"is for VOC's format; {root} has another")
    if _learned_from(root, weights):
        opened.divide()
    split = common.split_meant(args, opened)
    if _is_one_list(root, opened) and not _learned_from(root, weights):
        common.refuse_idle(args, ["--split", "--seed"], f"is for more than one list; {root} is one")
        split = opened.lists[0]
    elif not opened.divided:
        if seed is not None:
            raise ConfigError(
                f"{root} has lists of its own; leave out --seed, which divides others"
            )
    elif seed is None:
        seed = common.split_seed(model, weights)
        if seed is None:
            seed = TrainConfig.seed
            screen.write(
                f"{root} is divided by a seed, and {weights} does not say by which for "
                f"training: taking {seed}, so that it may have learned from some of these pictures "
                "(--seed N: the run's)"
            )
    opened.asked(split, seed or 0)  # or there is none
    screen.write(f"data: {opened.describe([split], seed or 0)}")
    samples = opened.read(
        split, classes=model.classes, seed=seed or 0, first_pixel=args.first_pixel,
        only_classes=args.only_classes,
    )  # fmt: skip
    if not folder.can_judge(samples):
        raise DatasetError(f"{root}: {folder.cannot_judge(split, samples)}: --split takes another")
    return samples


def _is_one_list(root, opened: DataSet) -> bool:
    """Tell whether one file was named that is a single list, all of which is to be measured on."""
    from yolo.data import archive

    return Path(root).is_file() and not archive.is_archive(root) and len(opened.lists) == 1


def _learned_from(root, weights) -> bool:
    """Tell whether the run that made the weights learned from a part of this very file."""
    data = common.run_settings(weights).get("data")
    return data is not None and Path(data).absolute() == Path(root).absolute()


def _chosen_classes(args, classes: tuple[str, ...]) -> tuple[str, ...]:
    """Return the classes of a model that shall be scored, in its order."""
    wanted = common.class_names(args.classes)
    if wanted is None:
        return classes
    unknown = [name for name in wanted if name not in classes]
    if unknown or not wanted:
        raise ConfigError(
            f"--classes: the model knows no {unknown[0]!r}, only {', '.join(classes)}"
            if unknown
            else "--classes holds no name"
        )
    return tuple(name for name in classes if name in wanted)
