"""Many pictures looked at in shares: which are whose, what each found, and all of it together.

A shard of a run is one of n nearly equal parts. The pictures are cut between batches, so that the
model gets every picture in the very batch in which one process would give it: what n processes find
is what one finds, to the last bit on processors of one kind.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from yolo.data.sample import Sample
from yolo.errors import ConfigError, DatasetError
from yolo.files import write_text
from yolo.inference.runtimes import ExportedDetector
from yolo.reading import MAX_WHOLE_BYTES, open_regular, printable
from yolo.results import Detections
from yolo.sealed import pack, read_sealed, seal, unpack
from yolo.weights import catalog

FORMAT = "keras-focal results 1"
MEND = "run that shard again"
# What all shards of a run have in common, and what it means if they do not.
_SHARED = {
    "kind": "of another command than",
    "of": "of another division than",
    "model": "of another model than",
    "classes": "of other classes than",
    "data": "of other pictures or annotations than",
    "pictures": "of another number of pictures than",
    "settings": "of other settings than",
}


@dataclass(frozen=True)
class Shard:
    """One of `of` parts of a run, counted from 1.

    Example:
        >>> [list(Shard(i, 3).part(10, batch_size=2)) for i in (1, 2, 3)]
        [[0, 1], [2, 3, 4, 5], [6, 7, 8, 9]]
    """

    number: int
    of: int

    @property
    def file_name(self) -> str:
        """The name of the file that holds what it found."""
        return f"shard-{self.number}-of-{self.of}.json"

    def part(self, count: int, *, batch_size: int) -> range:
        """Return its pictures among `count`: whole batches, but for the last of all.

        Args:
            count: pictures of the run.
            batch_size: pictures per call of the model.
        """
        batches = -(-count // batch_size)
        ends = (batches * n // self.of * batch_size for n in (self.number - 1, self.number))
        return range(*(min(end, count) for end in ends))


@dataclass(frozen=True, eq=False)
class Run:
    """What makes shards parts of one run; files of different runs are never merged.

    Args:
        kind: "evaluate" or "predict".
        model: `model_digest` of the weights.
        data: `samples_digest` or `paths_digest` of all its pictures.
        pictures: their number.
        classes: the model's class names.
        settings: whatever else the result follows from, as plain values; `batch_size` is one.
    """

    kind: str
    model: str
    data: str
    pictures: int
    classes: tuple[str, ...]
    settings: dict

    def part(self, shard: Shard) -> range:
        """Return the pictures of a shard."""
        size = self.settings["batch_size"]
        return shard.part(self.pictures, batch_size=max(1, min(size, self.pictures)))


def write_shard(
    folder: str | os.PathLike, run: Run, shard: Shard, entries: list[dict], failed: Sequence = ()
) -> Path:
    """Write what one shard found, whole or not at all, and return the file.

    Args:
        folder: where to.
        run: the run that it is a part of.
        shard: which part.
        entries: for each of its pictures in order what `pack_detections` returned, and more.
        failed: names of pictures that could not be read.

    Raises:
        YoloError: the file cannot be written.
    """
    document = {
        "format": FORMAT, **vars(run), "classes": list(run.classes), "number": shard.number,
        "of": shard.of, "entries": entries, "failed": list(failed),
    }  # fmt: skip
    path = Path(folder) / shard.file_name
    write_text(path, seal(document))
    return path


def find_shards(arguments: Sequence[str]) -> list[Path]:
    """Return the files that were typed, and of folders those that shards wrote.

    Raises:
        ConfigError: a folder holds none.
    """
    found = []
    for argument in arguments:
        path = Path(argument)
        files = sorted(path.glob("shard-*-of-*.json")) if path.is_dir() else [path]
        if not files:
            raise ConfigError(f"{printable(path)}: holds no shard-*-of-*.json; name their folder")
        found += files
    return found


def read_shards(paths: Sequence[Path]) -> tuple[Run, list[dict], list[str]]:
    """Read all shards of a run and put them together in the order of its pictures.

    Args:
        paths: the files, in any order.

    Returns:
        The run, the entries of all its pictures, and the names of those that could not be read.

    Raises:
        DatasetError: a file is damaged, one is missing or there twice, or they are not of one
            run.
    """
    found: dict[int, tuple[Path, dict]] = {}
    first = None
    for path in paths:
        document = read_sealed(path, format=FORMAT, mend=MEND)
        try:
            run, shard = _run_of(document)
            if len(document["entries"]) + len(document["failed"]) != len(run.part(shard)):
                raise ValueError("not all its pictures")
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise DatasetError(f"{printable(path)}: makes no sense ({error!r}): {MEND}") from None
        first = first or (path, document)
        _compare(path, document, *first)
        if shard.number in found:
            twice = f"{printable(found[shard.number][0])} and {printable(path)}"
            raise DatasetError(
                f"shard {shard.number} of {shard.of} is there twice: {twice}; leave one out"
            )
        found[shard.number] = (path, document)
    for number in range(1, shard.of + 1):
        if number not in found:
            raise DatasetError(
                f"shard {number} of {shard.of} is missing ({len(run.part(Shard(number, shard.of)))}"
                f" of {run.pictures} pictures): run it with --shard {number}/{shard.of}, or name "
                "its file, too"
            )
    documents = [found[number][1] for number in sorted(found)]
    entries = [entry for document in documents for entry in document["entries"]]
    return run, entries, [name for document in documents for name in document["failed"]]


def _run_of(document: dict) -> tuple[Run, Shard]:
    shard = Shard(document["number"], document["of"])
    run = Run(**{name: document[name] for name in Run.__dataclass_fields__})
    numbers = (shard.number, shard.of, run.settings["batch_size"])
    if not all(type(n) is int for n in (*numbers, run.pictures)) or min(numbers) < 1:
        raise ValueError("a number that is none")
    if not all(isinstance(name, str) for name in run.classes):
        raise ValueError("a class without a name")
    if shard.number > shard.of or run.pictures < 0 or run.kind not in ("evaluate", "predict"):
        raise ValueError("no part of a run")
    return Run(**{**vars(run), "classes": tuple(run.classes)}), shard


def _compare(path: Path, document: dict, first_path: Path, first: dict) -> None:
    for key, words in _SHARED.items():
        if document[key] == first[key]:
            continue
        more = ""
        if key == "settings":
            names = [name for name in first[key] if document[key].get(name) != first[key][name]]
            more = "".join(
                f" ({name.replace('_', ' ')} {document[key].get(name)}, not {first[key][name]})"
                for name in names[:1]
            )
        raise DatasetError(
            f"{printable(path)}: {words} {printable(first_path)}{more}: merge the shards of one "
            "run only"
        )


# ----------------------------------------------------------------- what entries hold


def pack_detections(found: Detections) -> dict:
    """Return detections as plain values from which they come back to the bit."""
    return {
        "objects": len(found),
        "boxes": pack(found.boxes_xyxy),
        "scores": pack(found.scores),
        "class_ids": pack(found.class_ids),
    }


def unpack_detections(entry: dict, classes: tuple[str, ...]) -> Detections:
    """Return what `pack_detections` packed.

    Raises:
        DatasetError: the entry holds no detections.
    """
    try:
        count = entry["objects"]
        return Detections(
            unpack(entry["boxes"], np.float32, (count, 4)),
            unpack(entry["scores"], np.float32, (count,)),
            unpack(entry["class_ids"], np.int32, (count,)),
            classes,
        )
    except (KeyError, TypeError, ValueError) as error:
        raise DatasetError(f"a shard's detections make no sense ({error!r}): {MEND}") from None


def pack_sample(sample: Sample) -> dict:
    """Return what evaluation needs of a labelled picture as plain values."""
    return {
        "image_id": str(sample.image_id),
        "size": [int(side) for side in sample.size],
        "labelled": len(sample.class_ids),
        "true_boxes": pack(np.asarray(sample.boxes_xyxy, np.float32)),
        "true_class_ids": pack(np.asarray(sample.class_ids, np.int32)),
        "difficult": pack(np.asarray(sample.difficult, np.uint8)),
    }


def unpack_sample(entry: dict, classes: tuple[str, ...]) -> Sample:
    """Return what `pack_sample` packed; the picture itself is not known.

    Raises:
        DatasetError: the entry holds no labels of these classes.
    """
    try:
        count, (height, width) = entry["labelled"], entry["size"]
        class_ids = unpack(entry["true_class_ids"], np.int32, (count,))
        if not ((class_ids >= 0) & (class_ids < len(classes))).all():
            raise ValueError("a class without a name")
        return Sample(
            Path(),
            unpack(entry["true_boxes"], np.float32, (count, 4)),
            class_ids,
            unpack(entry["difficult"], np.uint8, (count,)).astype(bool),
            np.zeros(count, bool),
            size=(int(height), int(width)),
            image_id=str(entry["image_id"]),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise DatasetError(f"a shard's labels make no sense ({error!r}): {MEND}") from None


# ----------------------------------------------------------------- digests


def model_digest(model, weights: str | os.PathLike) -> str:
    """Return the SHA-256 of the files that a model was opened from.

    Args:
        model: the opened model.
        weights: what it was opened by.

    Raises:
        DatasetError: a file cannot be read.
    """
    path = model.path if isinstance(model, ExportedDetector) else catalog.locate(weights)
    files = sorted(file for file in path.rglob("*") if file.is_file()) if path.is_dir() else [path]
    if path.suffix == ".xml":  # OpenVINO keeps the numbers beside the graph
        files.append(path.with_suffix(".bin"))
    digest = hashlib.sha256()
    for file in files:
        with open_regular(file, max_bytes=MAX_WHOLE_BYTES) as opened:
            digest.update(hashlib.file_digest(opened, "sha256").digest())
    return digest.hexdigest()


def samples_digest(samples: Sequence[Sample]) -> str:
    """Return a SHA-256 of names, sizes and labels; the pixels are not looked at."""
    digest = hashlib.sha256()
    for sample in samples:
        digest.update(repr(pack_sample(sample)).encode("utf-8", "surrogateescape"))
    return digest.hexdigest()


def paths_digest(paths: Sequence[Path]) -> str:
    """Return a SHA-256 of the names of pictures, as they were typed or listed."""
    return hashlib.sha256(b"\0".join(os.fsencode(path) for path in paths)).hexdigest()
