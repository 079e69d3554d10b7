"""The command line: options in, exit code out. The only module that prints."""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import logging
import os
import sys
from collections.abc import Callable
from pathlib import Path

from yolo import options, terminal
from yolo.classes import read_classes
from yolo.errors import ConfigError, WeightsError, YoloError
from yolo.headers import printable
from yolo.training import toml
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
EXAMPLES_SHOWN = 8


def train_main(argv: list[str] | None = None) -> int:
    """Run `train.py`: train, evaluate, draw, and say how to go on."""
    return _run(options.train_parser(), argv, _train)


def predict_main(argv: list[str] | None = None) -> int:
    """Run `predict.py`: detect in pictures, draw the boxes, write JSON."""
    return _run(options.predict_parser(), argv, _predict)


def evaluate_main(argv: list[str] | None = None) -> int:
    """Run `evaluate.py`: measure average precision on a labelled split."""
    return _run(options.evaluate_parser(), argv, _evaluate)


# --------------------------------------------------------------------------- training


def _train(args, screen: terminal.Screen) -> int:
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
            screen.write(f"stopped; go on with: python train.py --resume {_quoted(folder)}")
        else:
            screen.write("stopped before the first epoch was complete; nothing was saved")
        return 130
    _show_results(best, data, folder, screen)
    return 0


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
    if not config.freeze_epochs and "freeze_batch_size" in given:
        raise ConfigError("--freeze-batch-size needs --freeze-epochs")


def _config_of_run(folder: Path) -> TrainConfig:
    """Return the settings of a run to go on with."""
    settings = folder / "config.toml"
    if not settings.is_file():
        raise ConfigError(f"--resume names the folder of a run; {folder} holds no config.toml")
    if not (folder / "last.keras").is_file():
        raise WeightsError(
            f"{folder / 'last.keras'}: no such file: no epoch of this run was completed; start "
            f"anew with the same settings: python train.py --config {_quoted(settings)}"
        )
    return TrainConfig(**toml.read_toml(settings))


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
    screen.write(f"\n{best} on the {data.test_name} split, {_pictures(len(data.test))}:")
    screen.write(voc.table(result))
    write_text(folder / f"{data.test_name}_results.json", _json(voc.to_json(result)))
    pictures, names = [], set()
    for sample, detections in list(zip(data.test, found, strict=True))[:EXAMPLES_SHOWN]:
        shown = detections[detections.scores > 0.25]
        picture = draw.draw_detections(read_image(sample.path), shown)
        name = _free_name(sample.path, names)
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
    screen.write(f"go on with: python predict.py {_quoted(example)} --weights {_quoted(best)}")


# ------------------------------------------------------------------------- prediction


def _predict(args, screen: terminal.Screen) -> int:
    terminal.import_tensorflow_quietly(verbose=args.verbose)
    from yolo import draw
    from yolo.inference import predictor, sources

    weights = args.weights or _latest_run()
    if not args.sources:
        from yolo.data import voc
        from yolo.training.dataset import DEMO_FOLDER

        root = DEMO_FOLDER / "VOCdevkit" / "VOC2007"
        if not root.is_dir():
            raise ConfigError("name the pictures to look at: python predict.py PICTURE ...")
        paths = [sample.path for sample in voc.read_split(root, "test")[:EXAMPLES_SHOWN]]
    else:
        paths = sources.find_pictures(args.sources)
    model = _open(args, weights)
    wanted = _names(args.classes)
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
                target = out / _free_name(path, names)
                draw.write_image(target, draw.draw_detections(image, found))
                entry["drawn"] = printable(target)
            written.append(entry)
            counts = {name: found.labels.count(name) for name in dict.fromkeys(found.labels)}
            text = ", ".join(f"{count} {name}" for name, count in counts.items())
            screen.write(f"{printable(path)}: {text or 'nothing found'}")
    finally:
        predictor.write_predictions(out / "predictions.json", written)
    screen.write(f"{_pictures(len(written))}, results in {out / 'predictions.json'}")
    if failed:
        screen.write(f"{_pictures(len(failed))} left out, not readable")
    return 1 if failed else 0


def _names(text: str | None) -> tuple[str, ...] | None:
    """Return the class names of `--classes`: of a file, or typed with commas between them."""
    if text is None:
        return None
    if Path(text).is_file():
        return read_classes(text)
    return tuple(name.strip() for name in text.split(",") if name.strip())


def _is_in(path: Path, folder: Path) -> bool:
    return path.resolve().parent == folder.resolve()


def _pictures(count: int) -> str:
    return f"{count} picture" + ("" if count == 1 else "s")


def _free_name(path: Path, taken: set[str]) -> str:
    """Return a .jpg name for a drawn picture that is neither taken nor a picture of the user's."""
    name, number = f"{path.stem}.jpg", 2
    while name.lower() in taken:
        name, number = f"{path.stem}_{number}.jpg", number + 1
    taken.add(name.lower())
    return name


# ------------------------------------------------------------------------- evaluation


def _evaluate(args, screen: terminal.Screen) -> int:
    if args.results:
        return _score_results(args, screen)
    terminal.import_tensorflow_quietly(verbose=args.verbose)
    from yolo.data import coco as coco_data
    from yolo.evaluation import coco, voc
    from yolo.files import write_text
    from yolo.inference.predictor import detect_samples
    from yolo.training import dataset

    weights = args.weights or _latest_run()
    model = _open(args, weights)
    root = args.data or dataset.default_data()[0]
    if Path(root).suffix.lower() == ".json":
        if not args.images:
            raise ConfigError("a COCO file needs --images DIR, the folder of its pictures")
        samples = coco_data.read_coco(root, args.images, classes=model.classes)
    else:
        samples = dataset.read_split(
            root, args.split, classes=model.classes, seed=_seed_of_run(weights)
        )
    screen.write(f"{weights} on {_pictures(len(samples))} of {root}")
    found = detect_samples(
        model, samples, score_threshold=args.score, iou_threshold=args.iou,
        batch_size=args.batch_size,
        on_progress=lambda done, total: screen.live
        and screen.write(f"{done}/{total} pictures", end="\r"),
    )  # fmt: skip
    result = voc.evaluate_voc(
        found, samples, model.classes, iou_threshold=args.match_iou,
        inclusive_pixels=args.inclusive_pixels,
    )  # fmt: skip
    coco_result = coco.evaluate_coco(found, samples, model.classes)
    screen.write(voc.table(result))
    screen.write(coco.table(coco_result))
    if args.json:
        text = _json({"voc": voc.to_json(result), "coco": coco_result})
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
        write_text(Path(args.json), _json({"coco": result}))
        screen.write(f"written: {args.json}")
    return 0


def _seed_of_run(weights) -> int:
    """Return the seed by which a run divided a data set without lists of its own."""
    settings = Path(weights).parent / "config.toml"
    if settings.is_file():
        return toml.read_toml(settings).get("seed", TrainConfig.seed)
    return TrainConfig.seed


# ----------------------------------------------------------------------------- shared


def _open(args, weights):
    from yolo import saved

    return saved.open_weights(weights, classes=_names(args.classes), image_size=args.image_size)


def _latest_run() -> str:
    """Return the best model of the newest run, for commands without --weights."""
    found = sorted(Path("logs").glob("*/best.keras"), key=lambda path: path.stat().st_mtime)
    if not found:
        raise ConfigError("no --weights given and no logs/*/best.keras here; train first")
    return str(found[-1])


def _run(parser: argparse.ArgumentParser, argv, command: Callable) -> int:
    """Parse, run, and turn what went wrong into one line and an exit code."""
    args = parser.parse_args(argv)
    screen = terminal.Screen()
    log = logging.getLogger("yolo")
    log.handlers[:] = [terminal.ScreenHandler(screen)]
    log.handlers[0].setLevel(logging.DEBUG if args.verbose else logging.INFO)
    log.setLevel(logging.DEBUG)
    log.propagate = False
    try:
        return command(args, screen)
    except YoloError as error:
        screen.finish()
        print(f"{parser.prog}: error: {error}", file=sys.stderr)
        return error.exit_code
    except ImportError as error:
        screen.finish()
        print(f"{parser.prog}: error: {error}; run: pip install -e .", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        screen.finish()
        print("interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:
        # The reader of our output went away, as `| head` does; nobody is left to tell.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except (OSError, *_out_of_memory()) as error:
        screen.finish()
        text = str(error)
        if not isinstance(error, OSError):
            text = "out of memory; a smaller --batch-size or --image-size needs less"
        print(f"{parser.prog}: error: {text}", file=sys.stderr)
        return 1


def _out_of_memory() -> tuple[type[Exception], ...]:
    """Return what is raised when memory runs out, TensorFlow's own error only if it runs."""
    tensorflow = sys.modules.get("tensorflow")
    if tensorflow is None:
        return (MemoryError,)
    return (MemoryError, tensorflow.errors.ResourceExhaustedError)


def _quoted(path) -> str:
    text = str(path)
    return f'"{text}"' if " " in text else text


def _json(value) -> str:
    import json

    return json.dumps(value, indent=1, ensure_ascii=False) + "\n"
