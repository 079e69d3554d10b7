"""`python -m yolo models`: the zoo, and the well-known cfgs of Darknet, as tables."""

from __future__ import annotations

from yolo.cli.option_values import Parser, count, image_size, make_parser
from yolo.errors import ConfigError
from yolo.system import signals, terminal


def parser() -> Parser:
    """Return the parser of the command's options."""
    parser = make_parser("List the models: parameters, arithmetic, strides, weights.")
    parser.add_argument("--image-size", type=image_size, default=(416, 416), metavar="SIZE",
        help="pictures that the arithmetic is counted for (default: 416)")  # fmt: skip
    parser.add_argument("names", nargs="*", metavar="MODEL",
        help="which, or a Darknet .cfg file; all without any")  # fmt: skip
    parser.add_argument("--num-classes", type=count, default=80, metavar="N",
        help="how many classes they tell apart (default: %(default)s)")  # fmt: skip
    return parser


def run(args, screen: terminal.Screen, stop: signals.Stop) -> int:
    """Run the command and return its exit code."""
    terminal.import_tensorflow_quietly(verbose=args.verbose)

    from yolo.models.darknet_cfg.known import KNOWN
    from yolo.models.names import ZOO
    from yolo.models.yolov4.from_cfg import is_cfg

    for name in args.names:
        if name not in {**ZOO, **KNOWN} and not is_cfg(name):
            known = ", ".join({**ZOO, **KNOWN})
            raise ConfigError(f"no model is called {name!r}; there are {known}, and .cfg files")
    built = [name for name in args.names if name in ZOO or is_cfg(name)]
    told = [name for name in args.names if name in KNOWN and name not in ZOO]
    if not args.names:
        built, told = list(ZOO), [name for name in KNOWN if name not in ZOO]
    if built:
        _show_built(built, args, screen)
    if told:
        _show_known(told, args, screen)
    return 0


def _show_built(names: list[str], args, screen: terminal.Screen) -> None:
    """Show the models that are built here from their name or their cfg."""
    from yolo.export.graph import multiply_adds
    from yolo.zoo import build

    classes = [f"class {number}" for number in range(1, args.num_classes + 1)]
    size = args.image_size
    shown = "x".join(str(side) for side in size)
    screen.write(
        f"{args.num_classes} classes, pictures of {shown}; GFLOPs are two a multiply-add, MB "
        "those of the parameters in float32"
    )
    screen.write(
        f"{'model':<18}{'parameters':>13}{'GFLOPs':>9}{'MB':>8}  {'strides':<20}--weights to be had"
    )
    for name in names:
        detector = build(name, classes=classes, image_size=size)
        strides = ", ".join(str(stride) for stride in detector.architecture.strides)
        flops = 2 * multiply_adds(detector.network, size)
        count = detector.count_params()
        screen.write(
            f"{name:<18}{count:>13,}{flops / 1e9:>9.2f}{4 * count / 1e6:>8.1f}  "
            f"{strides:<20}{_weights_of(name)}"
        )


def _show_known(names: list[str], args, screen: terminal.Screen) -> None:
    """Show the well-known networks of Darknet's cfgs."""
    from yolo.models.darknet_cfg.known import KNOWN

    screen.write(
        "built from Darknet's cfg of that name, with the weights beside it or --cfg FILE; GFLOPs "
        "at the cfg's size, AP and AP50 of COCO test-dev as published"
    )
    screen.write(
        f"{'cfg':<40}{'parameters':>13}{'GFLOPs':>8}{'size':>11}{'AP':>6}{'AP50':>6}  "
        f"{'published in':<44}--weights to be had"
    )
    for name in names:
        known = KNOWN[name]
        size = "x".join(map(str, known.image_size))
        ap = "" if known.ap is None else f"{known.ap:.1f}"
        screen.write(
            f"{name:<40}{known.parameters(args.num_classes):>13,}{known.gflops:>8.1f}{size:>11}"
            f"{ap:>6}{known.ap50:>6.1f}  {known.source:<44}{_weights_of(f'{name}.cfg')}"
        )


def _weights_of(model: str) -> str:
    """Return the names of the published weights of a model of the zoo or a cfg."""
    from yolo.weights.catalog import CATALOG

    return ", ".join(key for key, entry in CATALOG.items() if model in entry.models)
