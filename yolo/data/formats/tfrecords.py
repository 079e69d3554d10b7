"""Data sets in shards: TFRecord files of pictures, and an index that says what is where.

A shard is an ordinary TFRecord file of `tf.train.Example`s. Training reads it by the index, picture
by picture at any place: the order of an epoch is a permutation of single pictures, and mosaic joins
any four, so that reading in the order of the file would give other batches than the pictures' own
files do.
"""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import os
import re
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from yolo.data.dataset import DataSet, Part
from yolo.data.division import drawn
from yolo.data.findings import Findings
from yolo.data.sample import Sample
from yolo.data.source import Source
from yolo.errors import ConfigError, DatasetError
from yolo.pictures.header import allowed_megapixels, header_of
from yolo.system.checked_json import pack, read_sealed, seal, unpack
from yolo.system.reading import (
    MAX_WHOLE_BYTES,
    FilePart,
    inside,
    open_regular,
    printable,
    read_regular,
    regular_file,
    shortened,
)
from yolo.system.writing import free_folder, write_folder, write_text

INDEX, FORMAT = "shards.json", "keras-focal shards 1"
MEND = "write the shards again (python -m yolo shards)"
SHARD_NAME = re.compile(r"[A-Za-z0-9_.-]+-\d{5}-of-\d{5}\.tfrecord")
SHARD_BYTES = 256 << 20
# A record's bytes are framed by their number, its checksum, and theirs.
_BEFORE, _AFTER = 12, 4
# What the index holds of each picture: where it lies, its checksum, and what its header says.
_PLACES = {"starts": np.int64, "lengths": np.int64, "crc32": np.uint32, "plain": np.uint8}
_FLAGS = ("difficult", "truncated", "crowd")  # of each object


# ---------------------------------------------------------------------------------- to read


def recognise(source: Source) -> bool:
    """Tell whether a folder holds a data set in shards."""
    return source.file is None and (source.root / INDEX).exists()


class Shards(DataSet):
    """A data set in shards, opened: its index is read and its files are there in full.

    Raises:
        DatasetError: the index or a shard is missing, damaged or cut short, or the index says
            what cannot be.
    """

    def __init__(self, root: str | os.PathLike):
        root = Path(root)
        index = read_sealed(root / INDEX, format=FORMAT, mend=MEND)
        self.root = root
        with self._sense():
            self._splits = index["splits"]
            if not self._splits:
                raise ValueError("no splits")
            super().__init__(root, dict.fromkeys(_texts(list(self._splits)), ()), kind="shards")
            self._classes = _texts(index["classes"])
            self._shards = {
                name: [_Shard(root, entry) for entry in split["shards"]]
                for name, split in self._splits.items()
            }

    @contextlib.contextmanager
    def _sense(self) -> Iterator[None]:
        """Refuse an index that says what cannot be."""
        try:
            yield
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            what = f"no {error}" if isinstance(error, KeyError) else shortened(str(error))
            place = printable(self.root / INDEX)
            raise DatasetError(f"{place}: makes no sense ({what}): {MEND}") from None

    def listed(self, name: str) -> Part:
        """Return the pictures of a list as samples, in the order in which they were written."""
        with self._sense():
            samples = self._written(self._splits[name], self._shards[name])
        return Part(f"{printable(self.root)}, split {name}", samples, self._classes)

    def part(self, split: str, seed: int = 0) -> Part:
        """Return a split, all of whose pictures are labelled."""
        whole = self.listed(self.lists[0] if self.divided else split)
        if not self.draws(split):
            return whole
        pictures = drawn(whole.pictures, split, seed, lambda one: one.image_id)
        return replace(whole, what=f"{printable(self.root)}, split {split}", pictures=pictures)

    def _samples(
        self, part: Part, ids: Mapping[str, int], first_pixel: str, findings: Findings
    ) -> list[Sample]:
        """Return the samples with the class ids that are asked for; nothing else needs a check."""
        numbers = np.array([ids.get(name, -1) for name in part.classes], np.int32)
        found = []
        for sample in part.pictures:
            class_ids = numbers[sample.class_ids]
            for i in np.flatnonzero(class_ids < 0):
                name = part.classes[sample.class_ids[i]]
                findings.others.setdefault(name, []).append(sample.place(int(i)))
            found.append(sample.with_class_ids(class_ids).select(class_ids >= 0))
        return found

    def damaged(self) -> list[str]:
        """Read all shards and return a line for each whose bytes are not those written."""
        return [
            f"{printable(shard.path)}: damaged (its SHA-256 differs from the index): {MEND}"
            for shards in self._shards.values()
            for shard in shards
            if _digest(shard.path) != shard.sha256
        ]

    def _written(self, split: dict, shards: list[_Shard]) -> list[Sample]:
        count = sum(shard.pictures for shard in shards)
        names, ids = _texts(split["names"]), _texts(split["ids"])
        if not len(names) == len(ids) == count == split["pictures"]:
            raise ValueError(f"{len(names)} names for {count} pictures")
        if strange := next((name for name in names if Path(name).name != name), None):
            raise ValueError(f"a picture named {strange}")
        starts, lengths, crcs, plain = (unpack(split[k], _PLACES[k], (count,)) for k in _PLACES)
        sizes = unpack(split["sizes"], np.int32, (count, 2))
        counts = unpack(split["counts"], np.int32, (count,)).astype(np.int64)
        owners = np.repeat(np.arange(len(shards)), [shard.pictures for shard in shards])
        room = np.array([shard.bytes for shard in shards], np.int64)[owners] - starts
        if ((starts < 0) | (lengths < 1) | (lengths > room)).any():
            raise ValueError("a picture that leaves its shard")
        self._check_sizes(sizes, names)
        ends, total = np.cumsum([0, *counts]), int(counts.sum())
        if (counts < 0).any() or total != split["objects"]:
            raise ValueError("not as many objects as it says")
        boxes = unpack(split["boxes"], np.float32, (total, 4))
        class_ids = unpack(split["class_ids"], np.int32, (total,))
        areas = unpack(split["areas"], np.float64, (total,))
        flags = [unpack(split[flag], np.uint8, (total,)).astype(bool) for flag in _FLAGS]
        limits = np.repeat(sizes[:, ::-1], counts, axis=0)  # (objects, 2), width and height
        good = (boxes[:, :2] >= 0) & (boxes[:, :2] < boxes[:, 2:]) & (boxes[:, 2:] <= limits)
        if not good.all() or not ((class_ids >= 0) & (class_ids < len(self._classes))).all():
            raise ValueError("an object outside its picture, or of no class")
        if not (np.isfinite(areas) & (areas >= 0)).all():
            raise ValueError("an object whose area is none")
        samples = []
        for i in range(count):
            place = int(starts[i]), int(lengths[i]), int(crcs[i]), names[i]
            mine = slice(ends[i], ends[i + 1])
            difficult, truncated, crowd = (flag[mine] for flag in flags)
            height, width = map(int, sizes[i])
            samples.append(Sample(
                FilePart(shards[owners[i]].path, *place), boxes[mine], class_ids[mine],
                difficult, truncated, size=(height, width), image_id=ids[i],
                plain_jpeg=bool(plain[i]), crowd=crowd, areas=areas[mine],
            ))  # fmt: skip
        return samples

    def _check_sizes(self, sizes: np.ndarray, names: tuple[str, ...]) -> None:
        if (sizes < 1).any():
            raise ValueError("a picture without pixels")
        large = np.flatnonzero(sizes.astype(np.int64).prod(axis=1) > allowed_megapixels() * 1e6)
        if len(large):
            height, width = sizes[large[0]]
            raise DatasetError(
                f"{printable(self.root)}: {printable(names[large[0]])}: {width}x{height} pixels; "
                f"expected at most {allowed_megapixels():g} megapixels: raise --max-megapixels"
            )


class _Shard:
    """One TFRecord file as the index describes it."""

    def __init__(self, root: Path, entry: dict):
        (name,) = _texts([entry["file"]])
        if not SHARD_NAME.fullmatch(name):
            raise ValueError(f"a shard named {name}")
        self.path = root / name
        self.pictures, self.bytes, self.sha256 = (entry[k] for k in ("pictures", "bytes", "sha256"))
        if not all(isinstance(n, int) and n >= 1 for n in (self.pictures, self.bytes)):
            raise ValueError(f"{name} without pictures")
        if not inside(self.path, root):
            raise DatasetError(
                f"{printable(self.path)}: a link that leads out of {printable(root)}: put the "
                "shard itself there, or make the whole folder the link"
            )
        size = regular_file(self.path, max_bytes=MAX_WHOLE_BYTES).st_size
        if size != self.bytes:
            raise DatasetError(
                f"{printable(self.path)}: {size} bytes; its index says {self.bytes}: copy it "
                f"again, or {MEND}"
            )


def _digest(path: Path) -> str:
    """Return the SHA-256 of a file's bytes."""
    with open_regular(path, max_bytes=MAX_WHOLE_BYTES) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _texts(values: object) -> tuple[str, ...]:
    if not isinstance(values, list):
        raise ValueError("no list of names")
    if not all(isinstance(value, str) and "\0" not in value for value in values):
        raise ValueError("a name that is none")
    return tuple(values)


# --------------------------------------------------------------------------------- to write


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
    `image/object/class/text`, `image/object/difficult`, `image/object/truncated`,
    `image/object/is_crowd` and `image/object/area` (square pixels, of its mask where it has one).
    Pictures are added to a shard until it has `shard_bytes`, or each split gets `num_shards`, as
    far as it has pictures.

    Returns:
        The number of shards of each split.
    """
    for name in splits:
        if not SHARD_NAME.fullmatch(f"{name}-00000-of-00001.tfrecord"):
            raise ConfigError(
                f"the split {name!r} cannot name files: rename its list (letters, digits, _ . -)"
            )
    out = free_folder(out)
    total, done, counts = sum(map(len, splits.values())), itertools.count(1), {}

    def count_one() -> None:
        if on_progress is not None:
            on_progress(next(done), total)

    def write(folder: Path) -> None:
        index: dict[str, Any] = {"format": FORMAT, "classes": list(classes), "splits": {}}
        for name, samples in splits.items():
            plan = plan_shards(samples, shard_bytes=shard_bytes, num_shards=num_shards)
            shards, places = list[dict](), list[tuple]()
            for number, chosen in enumerate(plan):
                path = folder / f"{name}-{number:05d}-of-{len(plan):05d}.tfrecord"
                part = samples[chosen.start : chosen.stop]
                places += _write_shard(path, part, classes, count_one)
                shards.append({
                    "file": path.name, "pictures": len(part), "bytes": path.stat().st_size,
                    "sha256": _digest(path),
                })  # fmt: skip
            index["splits"][name], counts[name] = _entry(samples, shards, places), len(plan)
        write_text(folder / INDEX, seal(index))

    write_folder(out, write)
    return counts


def plan_shards(
    samples: Sequence[Sample], *, shard_bytes: int = SHARD_BYTES, num_shards: int | None = None
) -> list[range]:
    """Return which pictures each shard of a split takes: all of them, in order.

    A shard is full from `shard_bytes` of pictures on; with `num_shards` they differ by one picture
    at most.
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


def _write_shard(
    path: Path, samples: Sequence[Sample], classes: Sequence[str], count_one: Callable[[], None]
) -> Iterator[tuple]:
    """Write one shard, and yield `_PLACES` of each picture in it."""
    import tensorflow as tf

    position = 0
    with tf.io.TFRecordWriter(os.fsencode(path)) as writer:
        for sample in samples:
            data = read_regular(sample.path)
            record = _example(sample, data, classes)
            writer.write(record)
            start = position + _BEFORE + record.index(data)
            plain = header_of(data, sample.path).plain_jpeg
            yield start, len(data), zlib.crc32(data), plain
            position += _BEFORE + len(record) + _AFTER
            count_one()


def _entry(samples: Sequence[Sample], shards: list[dict], places: list[tuple]) -> dict:
    """Return a split's part of the index."""
    counts = [len(sample.class_ids) for sample in samples]

    def joined(field: str, dtype: Any) -> str:
        parts = [np.asarray(getattr(sample, field), dtype).ravel() for sample in samples]
        return pack(np.concatenate([np.zeros(0, dtype), *parts]))

    return {
        "pictures": len(samples),
        "objects": sum(counts),
        "shards": shards,
        "names": [_name(sample) for sample in samples],
        "ids": [str(sample.image_id) for sample in samples],
        **{
            key: pack(np.array([place[i] for place in places], dtype))
            for i, (key, dtype) in enumerate(_PLACES.items())
        },
        "sizes": joined("size", np.int32),
        "counts": pack(np.array(counts, np.int32)),
        "boxes": joined("boxes_xyxy", np.float32),
        "class_ids": joined("class_ids", np.int32),
        "areas": joined("areas", np.float64),
        **{flag: joined(flag, np.uint8) for flag in _FLAGS},
    }


def _example(sample: Sample, data: bytes, classes: Sequence[str]) -> bytes:
    import tensorflow as tf

    def numbers(values):
        return tf.train.Feature(int64_list=tf.train.Int64List(value=map(int, values)))

    def texts(values):
        return tf.train.Feature(bytes_list=tf.train.BytesList(value=map(os.fsencode, values)))

    boxes = np.asarray(sample.boxes_xyxy, np.float32).ravel().tolist()
    feature = {
        "image/encoded": texts([data]),
        "image/filename": texts([_name(sample)]),
        "image/source_id": texts([str(sample.image_id)]),
        "image/height": numbers([sample.size[0]]),
        "image/width": numbers([sample.size[1]]),
        "image/object/boxes_xyxy": tf.train.Feature(float_list=tf.train.FloatList(value=boxes)),
        "image/object/class/label": numbers(sample.class_ids),
        "image/object/class/text": texts([classes[i] for i in sample.class_ids]),
        "image/object/difficult": numbers(sample.difficult),
        "image/object/truncated": numbers(sample.truncated),
        "image/object/is_crowd": numbers(sample.crowd),
        "image/object/area": tf.train.Feature(float_list=tf.train.FloatList(value=sample.areas)),
    }
    example = tf.train.Example(features=tf.train.Features(feature=feature))
    return example.SerializeToString(deterministic=True)


def _name(sample: Sample) -> str:
    return re.sub(r"[/\\\0]", "_", sample.path.name)
