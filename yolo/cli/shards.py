"""`python -m yolo shards`: copy a data set into TFRecord shards."""

from __future__ import annotations

from yolo.cli import common, options
from yolo.cli.option_values import Parser, count, make_parser
from yolo.errors import ConfigError
from yolo.settings.train import TrainConfig
from yolo.system import signals, terminal
from yolo.system.writing import free_folder


def parser() -> Parser:
    """Return the parser of the command's options."""
    parser = make_parser(
        "Copy a data set into TFRecord shards with an index, for train.py --data. Batches are the "
        "same as from the files.",
    )
    options.data_options(parser, names=("seed",))
    parser.add_argument("--out", required=True, metavar="DIR",
        help="the folder to make; what is there already is never replaced")  # fmt: skip
    how = parser.add_mutually_exclusive_group()
    how.add_argument("--shard-size", type=count, default=256, metavar="MB",
        help="fill each shard up to this size (default: %(default)s)")  # fmt: skip
    how.add_argument("--num-shards", type=count, metavar="N",
        help="divide each split into N shards instead")  # fmt: skip
    return parser


def run(args, screen: terminal.Screen, stop: signals.Stop) -> int:
    """Run the command and return its exit code."""
    config = TrainConfig(**common.settings_given(args))
    if not (config.data or config.train_list or config.val_list):
        raise ConfigError("name the data set to copy: --data DIR")
    free_folder(args.out)  # a place that will not do is said before anything is read
    terminal.import_tensorflow_quietly(verbose=args.verbose)
    from yolo.data.formats.tfrecords import write_shards
    from yolo.training import data_check

    data = data_check.accepted(*data_check.read_and_check(config, to_train=False))
    splits = data_check.splits_of(data, config)
    progress = terminal.Progress(screen, None, "pictures")
    counts = write_shards(
        splits, data.classes, args.out, shard_bytes=args.shard_size << 20,
        num_shards=args.num_shards, on_progress=progress.step,
    )  # fmt: skip
    for name, samples in splits.items():
        pictures = terminal.counted(len(samples), "picture")
        screen.write(f"{name}: {pictures} in {terminal.counted(counts[name], 'shard')}")
    screen.write(f"written: {args.out}; train with --data {terminal.quoted(args.out)}")
    return 0
