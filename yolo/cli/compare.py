"""`python -m yolo compare`: does another loss help on these pictures?"""

from __future__ import annotations

from pathlib import Path

from yolo.cli import common, options
from yolo.cli.option_values import Parser, count, make_parser
from yolo.settings.train import TrainConfig
from yolo.system import terminal
from yolo.system.signals import Stop

OUT = "logs/compare"


def parser() -> Parser:
    """Return the parser of the command's options."""
    parser = make_parser(
        "Train with several losses in turn, each with the same epochs and seeds, and say on one "
        "page whether their difference is larger than chance. The same command goes on where it "
        "stopped.",
    )
    parser.add_argument("--config", metavar="FILE", help="TOML file of settings")
    parser.add_argument("--losses", default="cross-entropy,focal,quality-focal", metavar="NAMES",
        help="what to compare, the others with the first; parameters behind a colon, "
        "focal:gamma=1.5:alpha=0.5 (default: %(default)s)")  # fmt: skip
    parser.add_argument("--seeds", type=count, default=3, metavar="N",
        help="runs of each, from --seed on (default: %(default)s)")  # fmt: skip
    parser.add_argument("--minutes", type=count, metavar="N",
        help="about how long all of it may take, in the place of --epochs")  # fmt: skip
    parser.add_argument("--out", default=OUT, metavar="DIR",
        help="folder for the runs, compare.html and compare.json (default: "
        "%(default)s)")  # fmt: skip
    options.settings_options(parser)
    return parser


def run(args, screen: terminal.Screen, stop: Stop) -> int:
    """Run the command and return its exit code."""
    common.refuse_idle(args, ("--loss", "--loss-options"), "is what --losses compares")
    common.refuse_idle(args, ("--name", "--save-dir"), "is made of --out here")
    if args.minutes:
        common.refuse_idle(args, ("--epochs",), "follows from --minutes")
    from yolo.reports import comparison
    from yolo.training import compare

    given, out = common.settings_given(args), Path(args.out)
    first = given.get("seed", TrainConfig.seed)
    arms, seeds = compare.arms_from(args.losses), range(first, first + args.seeds)
    found = compare.run_all(
        given, arms, seeds, out, minutes=args.minutes, write=screen.write, live=screen.live,
        stop=stop, command=args.command, verbose=args.verbose,
    )  # fmt: skip
    scores = {label: one["COCO_AP"] for label, one in found["arms"].items()}
    base = scores[arms[0].label]
    gains = {arm.label: compare.difference(base, scores[arm.label]) for arm in arms[1:]}
    said = compare.sentence(arms, scores)
    about = (
        f"{given.get('model', TrainConfig.model)}, {found['epochs']} epochs, "
        f"{terminal.counted(len(seeds), 'seed')}, {given.get('data', 'the data at hand')}"
    )
    page = comparison.write(out, found, gains, said, about)
    screen.write("")
    for label, values in scores.items():
        mean = sum(values) / len(values)
        screen.write(f"{label}: COCO AP {mean:.4f} ({' '.join(f'{v:.4f}' for v in values)})")
    screen.write(f"{said}\n\nwritten: {page}")
    return 0
