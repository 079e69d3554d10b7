"""`python -m yolo shards`: copy a data set into TFRecord shards."""

from __future__ import annotations

from yolo.cli import common
from yolo.errors import ConfigError
from yolo.settings.train import TrainConfig
from yolo.system import terminal


def shards(args, screen: terminal.Screen) -> int:
    """Run the command and return its exit code."""
    config = TrainConfig(**common.settings_given(args))
    if not (config.data or config.train_list or config.val_list):
        raise ConfigError("name the data set to copy: --data DIR")
    terminal.import_tensorflow_quietly(verbose=args.verbose)
    from yolo.data.formats.tfrecord_writer import write_shards
    from yolo.training import data_check

    data = data_check.accepted(*data_check.read_and_check(config))
    splits = data_check.splits_of(data, config)
    progress = terminal.Progress(screen, None, "pictures")
    counts = write_shards(
        splits, data.classes, args.out, shard_bytes=args.shard_size << 20,
        num_shards=args.num_shards, on_progress=progress.step,
    )  # fmt: skip
    for name, samples in splits.items():
        pictures = common.count_pictures(len(samples))
        screen.write(f"{name}: {pictures} in {common.counted(counts[name], 'shard')}")
    screen.write(f"written: {args.out}; train with --data {common.quoted(args.out)}")
    return 0
