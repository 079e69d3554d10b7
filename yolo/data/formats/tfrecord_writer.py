"""Write a data set into shards: TFRecord files of a chosen size, and the index over them."""

from __future__ import annotations

import hashlib
import os
import re
import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from yolo.data.formats.tfrecords import FORMAT, INDEX, SHARD_NAME
from yolo.data.sample import Sample
from yolo.errors import ConfigError
from yolo.pictures.header import header_of
from yolo.system.checked_json import pack, seal
from yolo.system.reading import FilePart, printable, read_regular, regular_file
from yolo.system.writing import write_folder, write_text

SHARD_BYTES = 256 << 20
# A record's bytes are framed by their number, its checksum, and theirs.
_BEFORE, _AFTER = 12, 4


def write_shards(
    splits: Mapping[str, Sequence[Sample]],
    classes: Sequence[str],
    out: str | os.PathLike,
    *,
    shard_bytes: int = SHARD_BYTES,
    num_shards: int | None = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> dict[str, int]:
    """Write the splits of a data set into a folder of shards, all of it or nothing.

    Pictures are copied byte for byte. Each record is a `tf.train.Example` with `image/encoded`,
    `image/filename`, `image/source_id`, `image/height`, `image/width` (as displayed),
    `image/object/boxes_xyxy` (half-open pixels, 4 a box), `image/object/class/label` (from 0),
    `image/object/class/text`, `image/object/difficult` and `image/object/truncated`.

    Args:
        splits: split name to its samples.
        classes: class names.
        out: the folder; it must not exist, or be empty.
        shard_bytes: pictures are added to a shard until it is this large.
        num_shards: the number of shards of each split instead, as far as it has pictures.
        on_progress: called with the pictures written and their number.

    Returns:
        The number of shards of each split.

    Raises:
        ConfigError: `out` holds something, or a split's name cannot name files.
        DatasetError: a picture cannot be read.
        YoloError: the folder cannot be written.
    """
    _check_names(splits)
    out = _free_folder(out)
    total, done, counts = sum(map(len, splits.values())), 0, {}

    def count_one() -> None:
        nonlocal done
        done += 1
        if on_progress is not None:
            on_progress(done, total)

    def write(folder: Path) -> None:
        index: dict[str, Any] = {"format": FORMAT, "classes": list(classes), "splits": {}}
        for name, samples in splits.items():
            plan = plan_shards(samples, shard_bytes=shard_bytes, num_shards=num_shards)
            split = _Split(name, samples, classes)
            for number, chosen in enumerate(plan):
                file = f"{name}-{number:05d}-of-{len(plan):05d}.tfrecord"
                split.write(folder / file, chosen, count_one)
            index["splits"][name], counts[name] = split.entry(), len(plan)
        write_text(folder / INDEX, seal(index))

    write_folder(out, write)
    return counts


def _free_folder(out: str | os.PathLike) -> Path:
    """Return the path of a folder to make; an empty one that stands there is taken away."""
    out = Path(out)
    if out.is_dir() and not any(out.iterdir()):
        out.rmdir()
    if out.exists() or out.is_symlink():
        raise ConfigError(
            f"{printable(out)}: is there already; name another --out, or remove it first"
        )
    return out


def _check_names(splits: Iterable[str]) -> None:
    """Refuse splits whose names cannot be part of a shard's."""
    for name in splits:
        if not SHARD_NAME.fullmatch(f"{name}-00000-of-00001.tfrecord"):
            raise ConfigError(
                f"the split {name!r} cannot name files: rename its list (letters, digits, _ . -)"
            )


def plan_shards(
    samples: Sequence[Sample], *, shard_bytes: int = SHARD_BYTES, num_shards: int | None = None
) -> list[range]:
    """Return which pictures each shard of a split takes: all of them, in order.

    Args:
        samples: the pictures.
        shard_bytes: of pictures, from which on a shard is full.
        num_shards: the number of shards instead; they differ by one picture at most.
    """
    count = len(samples)
    if num_shards is not None:
        parts = min(num_shards, count)
        return [range(count * i // parts, count * (i + 1) // parts) for i in range(parts)]
    ends, size = [0], 0
    for i, sample in enumerate(samples, 1):
        path = sample.path
        size += path.length if isinstance(path, FilePart) else regular_file(path).st_size
        if size >= shard_bytes or i == count:
            ends.append(i)
            size = 0
    return [range(*pair) for pair in zip(ends, ends[1:], strict=False)]


@dataclass(frozen=True)
class _Place:
    """Where a picture lies in its shard, and what its header says."""

    start: int
    length: int
    crc32: int
    plain: bool


class _Split:
    """One split on its way into shards."""

    def __init__(self, name: str, samples: Sequence[Sample], classes: Sequence[str]):
        self.name, self.samples, self.classes = name, samples, classes
        self.shards: list[dict] = []
        self.places: list[_Place] = []

    def write(self, path: Path, chosen: range, count_one: Callable[[], None]) -> None:
        """Write one shard and note what it holds."""
        import tensorflow as tf

        position = 0
        with tf.io.TFRecordWriter(os.fsencode(path)) as writer:
            for i in chosen:
                data = read_regular(self.samples[i].path)
                record = self._example(self.samples[i], data)
                writer.write(record)
                header = header_of(data, self.samples[i].path)
                self.places.append(
                    _Place(
                        start=position + _BEFORE + record.index(data),
                        length=len(data),
                        crc32=zlib.crc32(data),
                        plain=header.whole and header.orientation == 1,
                    )
                )
                position += _BEFORE + len(record) + _AFTER
                count_one()
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        size = path.stat().st_size
        self.shards.append(
            {"file": path.name, "pictures": len(chosen), "bytes": size, "sha256": digest}
        )

    def entry(self) -> dict:
        """Return the split's part of the index."""
        samples, places = self.samples, self.places
        counts = np.array([len(sample.class_ids) for sample in samples], np.int32)
        nothing = np.zeros(0)
        none = Sample(Path(), np.zeros((0, 4)), nothing, nothing, nothing, (1, 1), "")
        objects = [none, *samples]
        return {
            "pictures": len(samples),
            "objects": int(counts.sum()),
            "shards": self.shards,
            "names": [_name(sample) for sample in samples],
            "ids": [str(sample.image_id) for sample in samples],
            "starts": pack(np.array([place.start for place in places], np.int64)),
            "lengths": pack(np.array([place.length for place in places], np.int64)),
            "crc32": pack(np.array([place.crc32 for place in places], np.uint32)),
            "plain": pack(np.array([place.plain for place in places], np.uint8)),
            "sizes": pack(np.array([sample.size for sample in samples], np.int32)),
            "counts": pack(counts),
            "boxes": _joined([s.boxes_xyxy for s in objects], np.float32),
            "class_ids": _joined([s.class_ids for s in objects], np.int32),
            "difficult": _joined([s.difficult for s in objects], np.uint8),
            "truncated": _joined([s.truncated for s in objects], np.uint8),
        }

    def _example(self, sample: Sample, data: bytes) -> bytes:
        import tensorflow as tf

        def numbers(values):
            values = [int(value) for value in values]
            return tf.train.Feature(int64_list=tf.train.Int64List(value=values))

        def texts(values):
            return tf.train.Feature(bytes_list=tf.train.BytesList(value=values))

        boxes = np.asarray(sample.boxes_xyxy, np.float32).ravel().tolist()
        labels = [os.fsencode(self.classes[i]) for i in sample.class_ids]
        feature = {
            "image/encoded": texts([data]),
            "image/filename": texts([os.fsencode(_name(sample))]),
            "image/source_id": texts([os.fsencode(str(sample.image_id))]),
            "image/height": numbers([sample.size[0]]),
            "image/width": numbers([sample.size[1]]),
            "image/object/boxes_xyxy": tf.train.Feature(float_list=tf.train.FloatList(value=boxes)),
            "image/object/class/label": numbers(sample.class_ids),
            "image/object/class/text": texts(labels),
            "image/object/difficult": numbers(sample.difficult),
            "image/object/truncated": numbers(sample.truncated),
        }
        example = tf.train.Example(features=tf.train.Features(feature=feature))
        return example.SerializeToString(deterministic=True)


def _name(sample: Sample) -> str:
    path = sample.path
    return re.sub(r"[/\\\0]", "_", path.name)


def _joined(arrays, dtype) -> str:
    return pack(np.concatenate([np.asarray(array, dtype) for array in arrays]))
