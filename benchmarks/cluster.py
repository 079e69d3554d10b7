"""What Ray costs on this machine: training and prediction in one process and by Ray's workers.

`python -m benchmarks.cluster training`, and `prediction`, print the rows of docs/scale.md; both
need the extra `[ray]`. What Ray takes to start is left out: of a training the first epoch, of a
prediction what few pictures take.
"""

from __future__ import annotations

import argparse
import csv
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import yolo
from yolo.data import demo
from yolo.data.demo_pictures import SHAPES_CLASSES
from yolo.evaluation.text_table import text_table

ROOT = Path(__file__).resolve().parents[1]
BATCH = 8
WAYS = {"one process": [], **{f"Ray, workers {n}": ["--engine", "ray", "--workers", str(n)]
                              for n in (1, 2)}}  # fmt: skip


def command(folder: Path, *words: str) -> float:
    """Run one of the commands in a folder and return its seconds."""
    start = time.perf_counter()
    done = subprocess.run(
        [sys.executable, str(ROOT / words[0]), *words[1:]], cwd=folder, capture_output=True,
        text=True,
    )  # fmt: skip
    if done.returncode:
        sys.exit(f"{' '.join(words)}: {done.stdout}{done.stderr}")
    return time.perf_counter() - start


def training(folder: Path, way: str, pictures: int) -> float:
    """Return the seconds of a step, the median of the epochs but the first."""
    command(folder, "train.py", "--data", "shapes", "--name", way, "--image-size", "128x160",
            "--weights", "none", "--batch-size", str(BATCH), "--epochs", "3", "--precision",
            "float32", "--mosaic", "0", "--epochs-between-evaluations", "0",
            *WAYS[way])  # fmt: skip
    with (folder / "logs" / way / "results.csv").open(encoding="utf-8", newline="") as file:
        seconds = [float(row["seconds"]) for row in csv.DictReader(file)]
    return statistics.median(seconds[1:]) / -(-pictures // BATCH)


def prediction(folder: Path, way: str, counts: tuple[int, int]) -> float:
    """Return the seconds of a picture: what many take more than few."""
    taken = [
        command(folder, "predict.py", f"first-{count}", "--no-draw", "--out",
                f"{way}-{count}", "--weights", "model.keras", *WAYS[way])
        for count in counts
    ]  # fmt: skip
    return (taken[1] - taken[0]) / (counts[1] - counts[0])


def main(arguments: list[str] | None = None) -> None:
    """Measure, and print the rows of the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=("training", "prediction"))
    parser.add_argument("--pictures", type=int, default=64, help="of an epoch (%(default)s)")
    parser.add_argument("--detect", type=int, nargs=2, default=(64, 576), help="%(default)s")
    args = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        demo.write_shapes(folder / "shapes", train=args.pictures, val=4, test=4)
        paths = sorted((folder / "shapes").rglob("*.jpg"))
        for count in args.detect:
            (folder / f"first-{count}").mkdir()
            for number in range(count):  # a path that is named twice is looked at once
                link = folder / f"first-{count}" / f"{number:06d}.jpg"
                link.hardlink_to(paths[number % len(paths)])
        if args.what == "training":
            seconds = [training(folder, way, args.pictures) for way in WAYS]
            unit, each = "step", BATCH
        else:
            yolo.build("yolov4-tiny", classes=SHAPES_CLASSES, image_size=(128, 160)).save(
                folder / "model.keras"
            )
            seconds = [prediction(folder, way, args.detect) for way in WAYS]
            unit, each = "picture", 1
    rates = [f"{each / one:.1f}" for one in seconds]
    more = [f"{1000 * (one - seconds[0]):+.1f}" for one in seconds[1:]]
    rows = [[f"{args.what}, pictures/s", *rates], [f"ms a {unit} more", "", *more]]
    print(text_table(["", *WAYS], rows))


if __name__ == "__main__":
    main()
