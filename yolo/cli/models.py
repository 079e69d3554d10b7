"""`python -m yolo models`: the zoo as a table."""

from __future__ import annotations

from yolo.errors import ConfigError
from yolo.system import terminal


def models(args, screen: terminal.Screen) -> int:
    """Run the command and return its exit code."""
    terminal.import_tensorflow_quietly(verbose=args.verbose)
    from yolo.complexity import multiply_adds
    from yolo.models.names import ZOO
    from yolo.weights.catalog import CATALOG
    from yolo.zoo import build

    for name in args.names:
        if name not in ZOO:
            raise ConfigError(f"no model is called {name!r}; there are {', '.join(ZOO)}")

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
    for name in args.names or ZOO:
        detector = build(name, classes=classes, image_size=size)
        strides = ", ".join(str(stride) for stride in detector.architecture.strides)
        flops = 2 * multiply_adds(detector.network, size)
        weights = ", ".join(key for key, entry in CATALOG.items() if name in entry.models)
        count = detector.count_params()
        screen.write(
            f"{name:<18}{count:>13,}{flops / 1e9:>9.2f}{4 * count / 1e6:>8.1f}  "
            f"{strides:<20}{weights}"
        )
    return 0
