"""`python -m yolo merge`: what the shards of one run found, as if one process had found it."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np

from yolo import terminal
from yolo.cli import common
from yolo.cli.evaluate import show_scores
from yolo.errors import ConfigError, DatasetError


def merge(args, screen: terminal.Screen) -> int:
    """Run the command and return its exit code."""
    from yolo.inference import shards

    files = shards.find_shards(args.shards)
    run, entries, failed = shards.read_shards(files)
    found = [shards.unpack_detections(entry, run.classes) for entry in entries]
    screen.write(f"{common.count_pictures(run.pictures)} in {common.counted(len(files), 'shard')}")
    if run.kind == "evaluate":
        if args.out:
            raise ConfigError("--out belongs to the shards of predict.py; here --json FILE")
        samples = [shards.unpack_sample(entry, run.classes) for entry in entries]
        show_scores(
            found, samples, run.classes, screen, json=args.json,
            match_iou=run.settings["match_iou"],
            inclusive_pixels=run.settings["inclusive_pixels"],
        )  # fmt: skip
        return 0
    if args.json:
        raise ConfigError("--json belongs to the shards of evaluate.py; here --out DIR")
    out = Path(args.out) if args.out else files[0].parent
    return _write_predictions(out, run, list(zip(entries, found, strict=True)), failed, screen)


def _write_predictions(out: Path, run, pairs: list, failed: list[str], screen) -> int:
    """Write the files that list all pictures; each picture's own were written by its shard."""
    from yolo.inference.writers import LISTS, WRITERS

    results = [_result(entry, found) for entry, found in pairs]
    for kind in run.settings["save"]:
        if kind not in LISTS:
            continue
        writer = WRITERS[kind](out, run.classes)
        for result in results:
            writer.add(result)
        writer.close()
        screen.write(f"written: {writer.path}")
    counts: Counter[str] = Counter()
    for _, found in pairs:
        counts.update(found.counts)
    text = ", ".join(f"{count} {name}" for name, count in counts.most_common())
    screen.write(f"all together: {text or 'nothing found'}")
    if failed:
        screen.write(f"{common.count_pictures(len(failed))} left out, not readable")
    return 1 if failed else 0


def _result(entry: dict, found):
    from yolo.inference.writers import Result

    try:
        height, width = (int(side) for side in entry["size"])
        names = [entry[name] for name in ("file", "stem", "path")]
        drawn = entry["drawn"]
        if not all(isinstance(name, str) for name in (*names, drawn or "")):
            raise ValueError("a name that is none")
        # Nothing but its size is asked of the picture: one number stands for all.
        image = np.broadcast_to(np.uint8(0), (height, width, 3))
    except (KeyError, TypeError, ValueError) as error:
        raise DatasetError(f"a shard's pictures make no sense ({error!r}): run it again") from None
    file, stem, path = names
    return Result(file, stem, image, found, path=Path(path), drawn=drawn and Path(drawn))
