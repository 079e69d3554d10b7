"""`predict.py`: detect in pictures, videos and cameras; draw the boxes, write what was found."""

from __future__ import annotations

import contextlib
from collections import Counter
from pathlib import Path

from yolo.cli import common, options
from yolo.cli.benchmark import print_benchmark
from yolo.cli.option_values import SAVE_KINDS, Parser, count, kinds, make_parser, share
from yolo.errors import ConfigError, DatasetError
from yolo.pictures.header import allow_megapixels
from yolo.system import signals, terminal
from yolo.system.reading import printable


def parser() -> Parser:
    """Return the parser of the command's options."""
    parser = make_parser("Detect objects in pictures and videos; draw them and write JSON.")
    parser.bare_options = {"--tile": "auto"}
    parser.add_argument("sources", nargs="*", metavar="SOURCE",
        help="pictures, videos, folders, globs, .txt lists of pictures, file:// addresses, or the "
        "number of a camera; without any, the embedded data set's test pictures")  # fmt: skip
    options.model_options(parser, "report")
    search = parser.add_argument_group("what is found")
    search.add_argument("--score", type=share, metavar="S",
        help="report objects that score at least this "
        f"({options.models_own('score_threshold')})")  # fmt: skip
    search.add_argument("--iou", type=share, metavar="I",
        help="of boxes that overlap more, keep the best "
        f"({options.models_own('iou_threshold')})")  # fmt: skip
    search.add_argument("--max-detections", type=count, metavar="N",
        help=f"objects a picture at most ({options.models_own('max_detections')}; with --tile, "
        "1000)")  # fmt: skip
    options.one_label_option(search)
    options.tile_option(search)
    search.add_argument("--batch-size", type=count, default=8, metavar="N",
        help="pictures or tiles at once (default: %(default)s)")  # fmt: skip
    output = parser.add_argument_group("what is written")
    output.add_argument("--out", default="predictions", metavar="DIR",
        help="folder for drawn pictures and predictions.json (default: %(default)s)")  # fmt: skip
    output.add_argument("--save", type=kinds, default=(), metavar="KINDS",
        help="write these, too, with commas between them: "
        f"{', '.join(SAVE_KINDS[1:])}")  # fmt: skip
    output.add_argument("--no-draw", action="store_true", help="draw nothing")
    output.add_argument("--heatmap", action="store_true",
        help="lay over drawn pictures how sure the network is where")  # fmt: skip
    output.add_argument("--show", action="store_true",
        help="show each picture in a window; any key goes on, q ends")  # fmt: skip
    output.add_argument("--benchmark", action="store_true",
        help="write nothing; time every stage on these pictures")  # fmt: skip
    options.limit_option(parser)
    options.engine_options(parser, "detect, or LEAST,MOST between which it chooses")
    return parser


def run(args, screen: terminal.Screen, stop: signals.Stop) -> int:
    """Run the command and return its exit code.

    A first signal ends the run after the batch at hand, and all found is written.
    """
    if args.no_draw and args.heatmap:
        raise ConfigError("--heatmap lays colours over drawn pictures; leave out --no-draw")
    if args.benchmark:
        _refuse_with_benchmark(args)
    allow_megapixels(args.max_megapixels)
    weights = common.weights_of(args)
    found = _sources(args.sources)
    if args.engine:
        _refuse_on_cluster(args, found)
    model = common.open_model(args, weights)
    from yolo.inference import window

    if args.tile == "auto":
        args.tile = model.image_size
    settings = {
        "batch_size": args.batch_size, "score_threshold": args.score, "iou_threshold": args.iou,
        "max_detections": args.max_detections, "one_label": args.one_label,
    }  # fmt: skip
    wanted = common.class_names(args.classes)
    if args.benchmark:
        if wanted not in (None, model.classes):  # names for a file that has none are no choice
            raise ConfigError("--classes does not go with --benchmark, which finds all of them")
        return print_benchmark(model, found, settings, screen)
    screen.write(common.introduced(model, weights))
    settings["classes"] = None if wanted == model.classes else wanted
    settings["tile"] = args.tile
    if args.show and (reason := window.obstacle()) is not None:
        screen.write(reason)
        args.show = False
    run = _Run(args, model, settings, screen, stop)
    run.predict_there = common.predict_on_cluster(
        args, weights, pixels=not args.no_draw or "crops" in args.save,
        kept=Path(args.out) / "predictions.ray",
    )  # fmt: skip
    stop.defer()  # A call of the model cannot be broken off, and may take minutes.
    stop.noted = lambda: screen.write(
        f"stopping after this {'picture' if args.tile else 'batch'}; again to stop at once"
    )
    try:
        run.look_at(found)
    finally:
        run.close()
    run.report()
    if not stop.requested:
        return 1 if run.failed else 0
    screen.write("stopped")
    if found and isinstance(found[-1], int):  # a camera ends in no other way
        return 0
    return 128 + stop.number


def _refuse_with_benchmark(args) -> None:
    """Refuse what a benchmark would leave out: it times whole pictures and writes nothing."""
    for name in ("tile", "save", "heatmap", "show", "no_draw"):
        if getattr(args, name):
            word = f"--{name.replace('_', '-')}"
            raise ConfigError(
                f"{word} does not go with --benchmark, which times whole pictures only"
            )


def _refuse_on_cluster(args, found: list[Path | int]) -> None:
    """Refuse what goes from one picture to the next, or to the screen, at this machine."""
    from yolo.inference.sources import is_video

    for name in ("show", "benchmark"):
        if getattr(args, name):
            raise ConfigError(f"--{name} does not go with --engine ray")
    if any(map(is_video, found)):
        raise ConfigError("--engine ray looks at pictures; leave it out for videos and cameras")


def _sources(arguments: list[str]) -> list[Path | int]:
    """Return what to look at: what was typed, or the embedded data set's test pictures."""
    from yolo.inference.sources import find_sources

    if arguments:
        return find_sources(arguments)
    from yolo.data.folder import DEMO_FOLDER, open_folder

    root = DEMO_FOLDER / "VOCdevkit" / "VOC2007"
    if not root.is_dir():
        raise ConfigError("name the pictures, videos or folders to look at")
    return [sample.path for sample in open_folder(root).read("test")[: common.EXAMPLES_SHOWN]]


class _Run:
    """One run of the command: what it draws and writes, and what it has seen so far."""

    def __init__(self, args, model, settings: dict, screen: terminal.Screen, stop: signals.Stop):
        from yolo.inference import predictor
        from yolo.inference.writers import WRITERS

        self.args, self.model, self.settings, self.screen = args, model, settings, screen
        asked = {name: settings[name] for name in ("score_threshold", "max_detections")}
        self.shown = predictor.shown(model, tile=args.tile).chosen(**asked)
        kinds = dict.fromkeys(("json", *args.save))
        if "coco" in kinds:  # whose data set is to correct: what is to be scored lies beside it
            kinds["coco-results"] = None
        if "coco-results" in kinds:  # which has the ranking below what is shown, too
            ranked = predictor.ranked(model, tile=args.tile).chosen(**asked)
            settings.update({name: getattr(ranked, name) for name in asked}, clip=False)
        self.stop, self.ended = stop, lambda: stop.requested
        self.out = Path(args.out)
        self.writers = [WRITERS[kind](self.out, model.classes) for kind in kinds]
        self.failed, self.looked_at, self.counts = [], Counter(), Counter()
        self.names: set[str] = set()
        self.predict_there = None  # on a cluster, if one is asked for

    def look_at(self, found: list[Path | int]) -> None:
        """Go through all pictures, then all videos and cameras, until told to end."""
        from yolo.inference.sources import is_video, pictures_among

        pictures = pictures_among(found)
        # Drawn pictures never take the name of one that is read.
        self.names |= {path.name.lower() for path in found if _is_in(path, self.out)}
        if pictures and not self._pictures(pictures):
            return
        for source in found:
            if self.ended():
                return
            if is_video(source):
                try:
                    if not self._video(source):
                        return
                except DatasetError as error:
                    self._fail(source, error)

    def _of_others(self, name: str) -> bool:
        """Tell whether a file in the way of a drawn one is none that an earlier run drew."""
        from yolo.inference.writers import is_drawn

        path = self.out / name
        return not self.args.no_draw and path.exists() and not is_drawn(path)

    def _pictures(self, paths: list[Path]) -> bool:
        """Detect in picture files; tell whether to go on."""
        from yolo.inference import predictor

        progress = terminal.Progress(self.screen, len(paths), "pictures")
        look = self.predict_there or predictor.predict
        results = look(self.model, paths, on_error=self._fail, ended=self.ended, **self.settings)
        for number, (path, image, ranked) in enumerate(results, 1):
            found, ranked = self._shown(ranked, image)
            name = common.free_name(path, self.names, of_others=self._of_others)
            drawn, stem = None if self.args.no_draw else self.out / name, Path(name).stem
            more = self._take(image, found, source=printable(path), stem=stem, path=path,
                              drawn=drawn, ranked=ranked)  # fmt: skip
            self.screen.write(f"{printable(path)}: {found.summary()}")
            self.looked_at["picture"] += 1
            self.counts.update(found.counts)
            if not more:
                return False
            if self.screen.live and len(paths) > 1:
                progress.step(number + len(self.failed))
        return True

    def _video(self, source: Path | int) -> bool:
        """Detect in every frame of a video or a camera; tell whether to go on."""
        from yolo.inference import predictor, video
        from yolo.inference.writers import MARK

        with contextlib.closing(video.Video(source)) as frames:
            path = Path(f"camera_{source}") if frames.camera else source
            others = {"ended": self.ended}
            if frames.camera:
                others |= {"batch_size": 1, "ahead": 1}
            name = common.free_name(path, self.names, ".mp4", of_others=self._of_others)
            progress = terminal.Progress(self.screen, frames.count, f"frames of {frames.name}")
            counts, number, more = Counter(), -1, True
            with contextlib.ExitStack() as stack:
                writer = None
                if not self.args.no_draw:
                    writer = stack.enter_context(
                        video.VideoWriter(self.out / name, frames.rate, comment=MARK)
                    )
                results = predictor.predict_frames(self.model, frames, **self.settings | others)
                for number, (image, ranked) in enumerate(results):
                    found, ranked = self._shown(ranked, image)
                    stem = f"{Path(name).stem}_frame_{number:06d}"
                    more = self._take(image, found, source=frames.name, stem=stem, frame=number,
                                      video=writer, ranked=ranked)  # fmt: skip
                    counts.update(found.counts)
                    self.looked_at["frame"] += 1
                    progress.step(number + 1)
                    if not more:
                        break
        text = ", ".join(f"{count} {name}" for name, count in counts.most_common())
        self.screen.write(
            f"{frames.name}: {number + 1} frames, in all of them {text or 'nothing found'}"
        )
        if writer is not None and writer.frames:
            self.screen.write(f"drawn: {writer.path}")
        return more

    def _shown(self, ranked, image):
        """Return what is drawn, counted and written of all that is scored, and that, both cut."""
        found = ranked.where(score=self.shown.score_threshold)[: self.shown.max_detections]
        return (one.clipped(image.shape[:2]) for one in (found, ranked))

    def _take(self, image, found, *, video=None, drawn=None, **about) -> bool:
        """Draw, show and write one result; tell whether to go on."""
        from yolo.inference import window
        from yolo.inference.results import Result
        from yolo.inference.writers import MARK
        from yolo.pictures.files import write_image

        picture = None
        if drawn is not None or video is not None or self.args.show:
            picture = self._drawn(image, found)
        if drawn is not None:
            write_image(drawn, picture, MARK)
        if video is not None:
            video.write(picture)
        result = Result(image=image, found=found, drawn=drawn, **about)
        for writer in self.writers:
            writer.add(result)
        if not self.args.show or self.ended():
            return True  # what else the batch holds is taken, too
        goes_on = window.show(picture, wait=result.frame is None, ended=self.ended)
        return goes_on or self.ended()

    def _drawn(self, image, found):
        from yolo.boxes.draw import draw_detections

        tile, wanted = self.settings["tile"], self.settings["classes"]
        if self.args.heatmap:
            from yolo.inference import heatmap, tiles

            heat = heatmap.confidence_map(
                self.model, image,
                windows=None if tile is None else tiles.windows(image.shape[:2], tile),
                class_ids=wanted and [self.model.classes.index(name) for name in wanted],
            )  # fmt: skip
            image = heatmap.lay_over(image, heat)
        # Labels in proportion to a 6000 x 4000 picture would hide the objects that tiles find.
        return draw_detections(image, found, scale=tile and min(*image.shape[:2], *tile))

    def _fail(self, source, error: Exception) -> None:
        self.failed.append(source)
        self.screen.write(f"{terminal.colored('error:', 'red', self.screen.stream)} {error}")

    def close(self) -> None:
        """Write what is written at the end; after an interrupt, what there is so far."""
        with contextlib.ExitStack() as stack:  # one that fails keeps no other from its end
            for writer in reversed(self.writers):
                stack.callback(writer.close)

    def report(self) -> None:
        """Say what was looked at, what was found, and where it is written."""
        from yolo.inference.sources import is_video

        looked = ", ".join(terminal.counted(n, what) for what, n in self.looked_at.items())
        text = ", ".join(f"{count} {name}" for name, count in self.counts.most_common())
        if self.looked_at["picture"] > 1:
            self.screen.write(f"all together: {text or 'nothing found'}")
        drawn = "" if self.args.no_draw or not looked else ", drawn beside it"
        self.screen.write(f"{looked or 'no picture'}, results in {self.writers[0].path}{drawn}")
        for writer in self.writers[1:]:
            self.screen.write(f"written: {writer.path}")
        if self.failed:
            videos = any(map(is_video, self.failed))
            failed = terminal.counted(len(self.failed), "source" if videos else "picture")
            self.screen.write(f"{failed} left out, not readable")


def _is_in(path: Path | int, folder: Path) -> bool:
    if isinstance(path, int):
        return False
    try:
        return path.resolve().parent == folder.resolve()
    except (OSError, RuntimeError, ValueError):  # links in a circle, a NUL: the reader says so
        return False
