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
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from yolo.classes import common_name
from yolo.data.findings import nearest, short_list, tell_left_out
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


def is_shards(root: str | os.PathLike) -> bool:
    """Tell whether a folder holds a data set in shards."""
    return (Path(root) / INDEX).exists()


class Shards:
    """A data set in shards, opened: its index is read and its files are there in full.

    Args:
        root: the folder, as `shard_writer.write_shards` filled it.

    Raises:
        DatasetError: the index or a shard is missing, damaged or cut short, or the index says
            what cannot be.
    """

    def __init__(self, root: str | os.PathLike):
        self.root = Path(root)
        index = read_sealed(self.root / INDEX, format=FORMAT, mend=MEND)
        try:
            self.classes = _texts(index["classes"])
            self._splits = {_text(name): split for name, split in index["splits"].items()}
            if not self._splits:
                raise ValueError("no splits")
            self._shards = {
                name: [_Shard(self.root, entry) for entry in split["shards"]]
                for name, split in self._splits.items()
            }
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise self._refuse(error) from None

    @property
    def splits(self) -> list[str]:
        """The names of the splits, as they were written."""
        return list(self._splits)

    def read_split(
        self, split: str, *, classes: Sequence[str] | None = None, only_classes: bool = False
    ) -> list[Sample]:
        """Return the pictures of a split, in the order in which they were written.

        Args:
            split: its name.
            classes: class names in the order of their ids; those of the shards if None. COCO's
                names and Darknet's mean the same.
            only_classes: leave out objects of other classes instead of refusing them.

        Raises:
            DatasetError: there is no such split, the index says what cannot be, a picture is
                larger than `pictures.header.allow_megapixels` lets it be, or it has objects of a
                class that is not in `classes`.
        """
        if split not in self._splits:
            raise DatasetError(
                f"{printable(self.root)}: no split {split!r}; expected one of "
                f"{short_list(self.splits)}"
            )
        try:
            samples = self._samples(self._splits[split], self._shards[split])
        except (KeyError, TypeError, ValueError) as error:
            raise self._refuse(error) from None
        if classes is None:
            return samples
        if only_classes:
            samples = self._only(samples, split, tuple(classes))
        return self._with_classes(samples, tuple(classes))

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

    def _samples(self, split: dict, shards: list[_Shard]) -> list[Sample]:
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
        if not good.all() or not ((ids >= 0) & (ids < len(self.classes))).all():
            raise ValueError("an object outside its picture, or of no class")
        return np.cumsum([0, *counts]), [boxes, ids, *(flag.astype(bool) for flag in flags)]

    def _only(self, samples: list[Sample], split: str, classes: tuple[str, ...]) -> list[Sample]:
        """Return the samples with objects of some classes alone."""
        wanted = {common_name(name) for name in classes}
        kept = np.array([common_name(name) in wanted for name in self.classes])
        counts = sum(
            (np.bincount(s.class_ids, minlength=len(kept)) for s in samples),
            np.zeros(len(kept), np.int64),
        )
        what = f"{printable(self.root)}, split {split}"
        tell_left_out(what, {
            name: int(count)
            for name, keep, count in zip(self.classes, kept, counts, strict=True)
            if count and not keep
        })  # fmt: skip
        return [sample.select(kept[sample.class_ids]) for sample in samples]

    def _with_classes(self, samples: list[Sample], classes: tuple[str, ...]) -> list[Sample]:
        """Return the samples with class ids that count `classes`."""
        if classes == self.classes:
            return samples
        wanted = {common_name(name): i for i, name in enumerate(classes)}
        lookup = np.array([wanted.get(common_name(name), -1) for name in self.classes], np.int32)
        found = []
        for sample in samples:
            class_ids = lookup[sample.class_ids]
            if (class_ids < 0).any():
                name = self.classes[sample.class_ids[class_ids.argmin()]]
                raise DatasetError(
                    f"{printable(self.root)}: class {shortened(name)} is not among "
                    f"{short_list(map(printable, classes))}{nearest(name, classes)}: name it, "
                    "too, write shards of those classes, or leave such objects out with "
                    "--only-classes"
                )
            found.append(sample.with_class_ids(class_ids))
        return found


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
