"""The arithmetic of docs/scale.md.

`python -m benchmarks.scale` prints its tables; `python -m benchmarks.scale --measure BCCD` measures
what feeding costs, from a data set in VOC format and from shards of it.
"""

from __future__ import annotations

import argparse
import itertools
import sys
import tempfile
import time
from pathlib import Path

from yolo.evaluation.text_table import text_table
from yolo.settings.augmentation import AugmentConfig

# Of `python -m yolo models`: 80 classes, a picture of 416 x 416, two operations a multiply-add
FORWARD_GFLOPS = {"yolov4": 60.10, "yolov4-tiny": 6.91, "retinanet-r50": 79.20}
PARAMETERS = 64_429_405  # of yolov4
# Measured by --measure on two cores that had other work; see docs/scale.md
CORE_MS = {"files": 4.3, "shards": 5.1}

PEAK_FLOPS = 312e12  # A100, bfloat16, dense; NVIDIA's data sheet
NVLINK_BYTES = 300e9  # A100, each way; NVIDIA's data sheet (600 GB/s both ways)
# Assumptions
UTILISATION = 0.3  # of the peak that convolutions of a detector reach
STEP_FACTOR = 3  # a training step costs three forward passes: the backward pass two
NETWORK_BYTES = 100e9 / 8  # 100 Gbit/s, one card a machine
DEVICES_A_MACHINE = 8
THREADS = 16  # that read files at once

COCO_PICTURES, COCO_BYTES = 118_287, 18e9  # train2017; cocodataset.org
VOC_STEPS = 2000 * 20  # Darknet's README: 2000 steps a class; batch 64
COCO_STEPS = 555_000  # TensorFlow Model Garden's yolov4 at 512, AP 43.0 on val2017; batch 64
BATCH = 64
# What this package was seen to do on two cores with yolov4-tiny at 416: the README's run of focal
# loss on blood cells, 60 epochs of 25 steps of 8 pictures
CPU_PICTURES, CPU_MINUTES = 60 * 25 * 8, 17.5


def pictures_per_second(model: str = "yolov4", size: int = 416) -> float:
    """Return the pictures that one device trains on in a second, if nothing holds it up.

    Example:
        >>> round(pictures_per_second())
        519
    """
    step = STEP_FACTOR * FORWARD_GFLOPS[model] * 1e9 * (size / 416) ** 2
    return PEAK_FLOPS * UTILISATION / step


def files_per_picture() -> float:
    """Return how many files a training picture is made from on average, by default.

    Mosaic joins four, with its probability, in its share of the epochs.

    Example:
        >>> round(files_per_picture(), 2)
        2.05
    """
    usual = AugmentConfig()
    return 1 + 3 * usual.mosaic * usual.special_aug_ratio + usual.mixup


def all_reduce_bytes(devices: int) -> float:
    """Return the bytes that each device sends in a step, and receives, for its gradients.

    A ring sends all but one n-th of the gradient twice (Patarasuk and Yuan, 2009).

    Example:
        >>> all_reduce_bytes(1), round(all_reduce_bytes(2) / 1e6, 1)
        (0.0, 257.7)
    """
    return 2 * (devices - 1) / devices * PARAMETERS * 4


def all_reduce_seconds(devices: int) -> float:
    """Return how long that takes over the slowest link that the ring goes through."""
    link = NVLINK_BYTES if devices <= DEVICES_A_MACHINE else NETWORK_BYTES
    return all_reduce_bytes(devices) / link


def hours(pictures: float, devices: int, per_device: int, size: int) -> tuple[float, float]:
    """Return the hours that training on so many pictures takes, and the share spent computing.

    Nothing is overlapped: each step computes, then adds up gradients.

    Args:
        pictures: of the whole training, repeated ones counted again.
        devices: how many share a batch.
        per_device: pictures of a step on each.
        size: sides of the network's picture.
    """
    computing = per_device / pictures_per_second(size=size)
    step = computing + all_reduce_seconds(devices)
    return pictures / (devices * per_device) * step / 3600, computing / step


# ------------------------------------------------------------------------------ tables


def feeding_table() -> str:
    """Return what one device asks of the pipeline, by model."""
    rows = []
    for model, forward in FORWARD_GFLOPS.items():
        rate = pictures_per_second(model)
        cores = rate * CORE_MS["files"] / 1000
        rows.append([model, f"{forward:.2f}", f"{STEP_FACTOR * forward:.1f}", f"{rate:.0f}",
                     f"{rate * files_per_picture():.0f}", f"{cores:.1f}"])  # fmt: skip
    header = ["model, 416 x 416", "GFLOP forward", "a step", "pictures/s", "files/s", "cores"]
    return text_table(header, rows)


def storage_table() -> str:
    """Return how many files a second threads can open, by what one opening costs."""
    need = DEVICES_A_MACHINE * pictures_per_second() * files_per_picture()
    rows = [
        [name, f"{seconds * 1000:g}", f"{THREADS / seconds:.0f}", f"{need:.0f}",
         "yes" if THREADS / seconds >= need else "no"]
        for name, seconds in (("local disk", 1e-4), ("network file system", 1e-3),
                              ("object store", 1e-2))
    ]  # fmt: skip
    return text_table(["pictures lie on", "ms a file", "files/s", "needed", "enough"], rows)


def network_table() -> str:
    """Return what adding up gradients costs, by the number of devices."""
    rows = []
    for devices in (2, 8, 16, 64):
        link = "NVLink" if devices <= DEVICES_A_MACHINE else "100 Gbit/s"
        rows.append([str(devices), f"{all_reduce_bytes(devices) / 1e6:.1f}", link,
                     f"{all_reduce_seconds(devices) * 1000:.1f}"])  # fmt: skip
    return text_table(["devices", "MB a step, each way", "slowest link", "ms"], rows)


def time_table() -> str:
    """Return the hours to VOC and to COCO quality, by devices and pictures on each."""
    rows = []
    for devices, per_device in ((1, 8), (8, 8), (64, 8), (64, 32)):
        voc, share = hours(VOC_STEPS * BATCH, devices, per_device, 416)
        coco, coco_share = hours(COCO_STEPS * BATCH, devices, per_device, 512)
        rows.append([str(devices), str(devices * per_device), f"{voc:.2f}", f"{share:.0%}",
                     f"{coco:.2f}", f"{coco_share:.0%}"])  # fmt: skip
    header = ["devices", "batch", "VOC, hours", "computing", "COCO, hours", "computing"]
    return text_table(header, rows)


def cpu_line() -> str:
    """Return the same for two processor cores and yolov4-tiny, from a run that was seen."""
    rate = CPU_PICTURES / (CPU_MINUTES * 60)
    days = [steps * BATCH / rate / 86_400 for steps in (VOC_STEPS, COCO_STEPS)]
    return (
        f"{CPU_PICTURES:,} pictures in {CPU_MINUTES:g} minutes: {rate:.1f}/s; "
        f"VOC {days[0]:.1f} days, COCO {days[1]:.0f} days"
    )


def copy_line() -> str:
    """Return how shards compare with files when a data set is copied to where it is read."""
    shards = -(-COCO_BYTES // (256 << 20))
    one_by_one = COCO_PICTURES * 1e-3
    return (
        f"{COCO_PICTURES:,} files at 1 ms each: {one_by_one:.0f} s besides their bytes; "
        f"{shards:.0f} shards: {shards * 1e-3:.2f} s; the bytes at 1 GB/s: {COCO_BYTES / 1e9:.0f} s"
    )


TABLES = (feeding_table, storage_table, copy_line, network_table, time_table, cpu_line)

# ------------------------------------------------------------------------------ measured


def core_milliseconds(samples) -> float:
    """Return the processor time that one training picture costs, in ms: read, decoded, varied."""
    from yolo.data.pipeline import BatchPlan, training_dataset

    plan = BatchPlan(8, AugmentConfig(), epochs=1000)
    batches = iter(training_dataset(samples, plan, image_size=(416, 416)))
    for _ in itertools.islice(batches, 4):  # what is built once
        pass
    start = time.process_time()
    for _ in itertools.islice(batches, 50):
        pass
    return (time.process_time() - start) / (50 * 8) * 1000


def measure(root: str) -> str:
    """Return what a picture costs from files and from shards, each the least of three."""
    from yolo.data.folder import open_folder
    from yolo.data.formats.tfrecords import write_shards

    opened = open_folder(root)
    files = opened.read("train")
    with tempfile.TemporaryDirectory() as folder:
        write_shards({"train": files}, opened.classes, Path(folder) / "shards")
        shards = open_folder(Path(folder) / "shards").read("train")
        found = {"files": [], "shards": []}
        for _ in range(3):
            found["files"].append(core_milliseconds(files))
            found["shards"].append(core_milliseconds(shards))
    return ", ".join(f"{name} {min(values):.1f} ms" for name, values in found.items())


def main(argv: list[str]) -> int:
    """Print the tables, or what --measure finds."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scale", description=__doc__)
    parser.add_argument("--measure", metavar="DIR", help="a data set in VOC format")
    args = parser.parse_args(argv)
    texts = [measure(args.measure)] if args.measure else [table() for table in TABLES]
    print("\n\n".join(texts))  # noqa: T201
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
