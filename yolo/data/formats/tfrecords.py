"""Data sets in shards: TFRecord files of pictures, and an index that says what is where.

A shard is an ordinary TFRecord file of `tf.train.Example`s. Training reads it by the index, picture
by picture at any place: the order of an epoch is a permutation of single pictures, and mosaic joins
any four, so that reading in the order of the file would give other batches than the pictures' own
files do.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from yolo.data.dataset import DataSet, Part
from yolo.data.findings import Findings
from yolo.data.sample import Sample
from yolo.errors import DatasetError
from yolo.pictures.header import allowed_megapixels
from yolo.system.checked_json import read_sealed, unpack
from yolo.system.reading import (
    MAX_WHOLE_BYTES,
    FilePart,
    inside,
    open_regular,
    printable,
    regular_file,
    shortened,
)

INDEX, FORMAT = "shards.json", "keras-focal shards 1"
MEND = "write the shards again (python -m yolo shards)"
SHARD_NAME = re.compile(r"[A-Za-z0-9_.-]+-\d{5}-of-\d{5}\.tfrecord")


def recognise(root: Path) -> bool:
    """Tell whether a folder holds a data set in shards."""
    return (root / INDEX).exists()


class Shards(DataSet):
    """A data set in shards, opened: its index is read and its files are there in full.

    Args:
        root: the folder, as `tfrecord_writer.write_shards` filled it.

    Raises:
        DatasetError: the index or a shard is missing, damaged or cut short, or the index says
            what cannot be.
    """

    def __init__(self, root: str | os.PathLike):
        root = Path(root)
        index = read_sealed(root / INDEX, format=FORMAT, mend=MEND)
        super().__init__(root, {})
        try:
            self._classes = _texts(index["classes"])
            self._splits = {_text(name): split for name, split in index["splits"].items()}
            self.names = tuple(self._splits)
            if not self.names:
                raise ValueError("no splits")
            self._shards = {
                name: [_Shard(root, entry) for entry in split["shards"]]
                for name, split in self._splits.items()
            }
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise self._refuse(error) from None

    def part(self, split: str, seed: int = 0) -> Part:
        """Return the pictures of a split as samples, in the order in which they were written.

        Raises:
            DatasetError: the index says what cannot be, or a picture is larger than
                `pictures.header.allow_megapixels` lets it be.
        """
        try:
            samples = self._written(self._splits[split], self._shards[split])
        except (KeyError, TypeError, ValueError) as error:
            raise self._refuse(error) from None
        return Part(f"{printable(self.root)}, split {split}", samples, self._classes)

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
            if shard.digest() != shard.sha256
        ]

    def _refuse(self, error: Exception) -> DatasetError:
        what = f"no {error}" if isinstance(error, KeyError) else shortened(str(error))
        return DatasetError(f"{printable(self.root / INDEX)}: makes no sense ({what}): {MEND}")

    def _written(self, split: dict, shards: list[_Shard]) -> list[Sample]:
        count = sum(shard.pictures for shard in shards)
        names, ids = _texts(split["names"]), _texts(split["ids"])
        if not len(names) == len(ids) == count == split["pictures"]:
            raise ValueError(f"{len(names)} names for {count} pictures")
        starts, lengths = (unpack(split[k], np.int64, (count,)) for k in ("starts", "lengths"))
        crcs = unpack(split["crc32"], np.uint32, (count,))
        sizes = unpack(split["sizes"], np.int32, (count, 2))
        plain = unpack(split["plain"], np.uint8, (count,)).astype(bool)
        owners = np.repeat(np.arange(len(shards)), [shard.pictures for shard in shards])
        ends = np.array([shard.bytes for shard in shards], np.int64)[owners]
        if count and ((starts < 0) | (lengths < 1) | (lengths > ends - starts)).any():
            raise ValueError("a picture that leaves its shard")
        self._check_sizes(sizes, names)
        ends, arrays = self._objects(split, count, sizes)
        samples = []
        for i in range(count):
            if Path(names[i]).name != names[i]:
                raise ValueError(f"a picture named {names[i]}")
            part = FilePart(
                shards[owners[i]].path, int(starts[i]), int(lengths[i]), int(crcs[i]), names[i]
            )
            mine = slice(ends[i], ends[i + 1])
            boxes, class_ids, difficult, truncated = (array[mine] for array in arrays)
            samples.append(
                Sample(
                    part,
                    boxes,
                    class_ids,
                    difficult,
                    truncated,
                    size=(int(sizes[i, 0]), int(sizes[i, 1])),
                    image_id=ids[i],
                    plain_jpeg=bool(plain[i]),
                )
            )
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

    def _objects(self, split: dict, count: int, sizes: np.ndarray) -> tuple[np.ndarray, list]:
        """Return where the objects of each picture end, and boxes, classes and flags of all."""
        counts = unpack(split["counts"], np.int32, (count,)).astype(np.int64)
        if (counts < 0).any() or counts.sum() != split["objects"]:
            raise ValueError("not as many objects as it says")
        total = int(counts.sum())
        boxes = unpack(split["boxes"], np.float32, (total, 4))
        ids = unpack(split["class_ids"], np.int32, (total,))
        flags = [unpack(split[k], np.uint8, (total,)) for k in ("difficult", "truncated")]
        limits = np.repeat(sizes[:, ::-1], counts, axis=0)  # (objects, 2), width and height
        good = (boxes[:, :2] >= 0) & (boxes[:, :2] < boxes[:, 2:]) & (boxes[:, 2:] <= limits)
        if not good.all() or not ((ids >= 0) & (ids < len(self._classes))).all():
            raise ValueError("an object outside its picture, or of no class")
        return np.cumsum([0, *counts]), [boxes, ids, *(flag.astype(bool) for flag in flags)]


class _Shard:
    """One TFRecord file as the index describes it."""

    def __init__(self, root: Path, entry: dict):
        name = _text(entry["file"])
        if not SHARD_NAME.fullmatch(name):
            raise ValueError(f"a shard named {name}")
        self.path = root / name
        self.pictures, self.bytes = entry["pictures"], entry["bytes"]
        self.sha256 = entry["sha256"]
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

    def digest(self) -> str:
        """Return the SHA-256 of the file's bytes."""
        with open_regular(self.path, max_bytes=MAX_WHOLE_BYTES) as file:
            return hashlib.file_digest(file, "sha256").hexdigest()


def _text(value: object) -> str:
    if not isinstance(value, str) or "\0" in value:
        raise ValueError(f"{value!r}, no name")
    return value


def _texts(values: object) -> tuple[str, ...]:
    if not isinstance(values, list):
        raise ValueError("no list of names")
    return tuple(map(_text, values))
