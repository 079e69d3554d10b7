"""How long it takes to open a large data set, in each format, beside the least that reading takes.

`python -m benchmarks.opening [PICTURES]` draws one small picture, links it under as many names,
writes the labels of each format, and prints processor seconds and memory.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from xml.etree import ElementTree

import numpy as np

from yolo.data.folder import open_folder
from yolo.data.formats import coco, voc, yolo_text
from yolo.data.sample import Sample
from yolo.evaluation.text_table import text_table
from yolo.pictures.files import write_image

CLASSES, SIZE = ("cat", "dog"), (96, 128)
BOXES = np.array([[5, 5, 40, 40], [60, 10, 100, 80]], np.float32)
FORMATS = ("voc", "coco", "yolo", "csv", "lists")


def write(root: Path, format: str, count: int) -> None:
    """Write a data set of `count` pictures, all of them the same file, into a folder."""
    first = root / "images" / "0.png"
    write_image(first, np.full((*SIZE, 3), 90, np.uint8))
    for n in range(1, count):
        if n % 30_000 == 0:  # a file has no more names than that on some disks
            first = first.with_name(f"{n}.png")
            first.write_bytes((root / "images" / "0.png").read_bytes())
        else:
            os.link(first, root / "images" / f"{n}.png")
    none, ids = np.zeros(2, bool), np.array([0, 1], np.int32)
    samples = [Sample(first, BOXES, ids, none, none, SIZE, str(n)) for n in range(count)]
    named = {"all": [(f"{n}.png", one) for n, one in enumerate(samples)]}
    if format == "voc":
        voc.write_labels(root, named, CLASSES)
    elif format == "coco":
        coco.write_labels(root, named, CLASSES)
    elif format == "yolo":
        yolo_text.write_labels(root / "written", named, CLASSES)
        (root / "written" / "labels" / "all").rename(root / "labels")
        (root / "classes.txt").write_text("\n".join(CLASSES), encoding="utf-8")
    else:
        rows = [(f"images/{n}.png", BOXES.astype(int).tolist()) for n in range(count)]
        if format == "csv":
            lines = [
                f"{name},{','.join(map(str, box))},{CLASSES[i]}\n"
                for name, boxes in rows
                for i, box in enumerate(boxes)
            ]
        else:
            lines = [
                name + "".join(f" {','.join(map(str, [*box, i]))}" for i, box in enumerate(boxes))
                + "\n"
                for name, boxes in rows
            ]  # fmt: skip
            (root / "classes.txt").write_text("\n".join(CLASSES), encoding="utf-8")
        (root / f"all.{'csv' if format == 'csv' else 'txt'}").write_text(
            "".join(lines), encoding="utf-8"
        )


def read_once(root: Path) -> None:
    """List a folder and parse its label files with what Python offers for their kind."""
    for folder, _, names in os.walk(root):
        for name in names:
            path = os.path.join(folder, name)  # noqa: PTH118
            if name.endswith(".xml"):
                ElementTree.parse(path)  # noqa: S314
            elif name.endswith(".json"):
                json.loads(Path(path).read_bytes())
            elif name.endswith((".txt", ".csv")):
                with open(path, encoding="utf-8", newline="") as file:  # noqa: PTH123
                    if name.endswith(".csv"):
                        list(csv.reader(file))
                    else:
                        [line.split() for line in file]


def measure(format: str, count: int) -> list:
    """Return a row of the table; run in a process of its own, whose memory it says."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        write(root, format, count)
        marks = [time.process_time()]
        read_once(root)
        marks.append(time.process_time())
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        opened = open_folder(root)
        assert sum(map(len, opened.splits().values())) == count
        marks.append(time.process_time())
        for split in opened.names:
            opened.read(split, classes=CLASSES)
        marks.append(time.process_time())
        grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    once, opening, reading = np.diff(marks).tolist()
    return [format, f"{once:.2f}", f"{opening:.2f}", f"{count / opening:.0f}",
            f"{reading:.2f}", f"{max(grown, 0):.0f}"]  # fmt: skip


def main() -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("pictures", type=int, nargs="?", default=50_000)
    parser.add_argument("--one", choices=FORMATS, help="print the row of a format as JSON")
    options = parser.parse_args()
    if options.one:
        print(json.dumps(measure(options.one, options.pictures)))
        return 0
    command = [sys.executable, "-m", "benchmarks.opening", str(options.pictures), "--one"]
    rows = [
        json.loads(subprocess.run([*command, one], check=True, capture_output=True).stdout)
        for one in FORMATS
    ]
    print(text_table(["format", "read once, s", "open, s", "files/s", "headers, s", "MB"], rows))
    return 0


if __name__ == "__main__":
    sys.exit(main())
