"""A data set written in another format, its pictures linked or copied."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from yolo.data.formats import coco, tfrecords, voc, yolo_text
from yolo.data.sample import Named, Sample
from yolo.errors import ConfigError
from yolo.system.reading import FilePart, printable, read_regular
from yolo.system.writing import free_folder, numbered, write_folder


class Writer(NamedTuple):
    """How a format is written.

    Args:
        place: where below the folder a picture of a split lies.
        write_labels: writes all else into the folder, from the samples of each split with the names
            of their pictures, and class names in the order of their ids; returns how much of what
            the format cannot hold.
    """

    place: str
    write_labels: Callable[[Path, Named, Sequence[str]], dict[str, int]]


# Shards have a writer of their own, see `convert`.
WRITERS = {
    "voc": Writer("JPEGImages/{name}", voc.write_labels),
    "coco": Writer("images/{name}", coco.write_labels),
    "yolo": Writer("images/{split}/{name}", yolo_text.write_labels),
}
FORMATS = (*WRITERS, "tfrecord")


def convert(
    splits: Mapping[str, Sequence[Sample]],
    classes: Sequence[str],
    out: str | os.PathLike,
    to: str,
    *,
    on_progress: Callable[[int, int], None] | None = None,
) -> dict[str, int]:
    """Write a data set into a new folder, all of it or nothing.

    A picture keeps its name, with a number behind it where another has that name. Its file is
    linked (a hard link: the same file under two names) where the system can, else copied. The
    folder must not exist, or be empty; empty splits are left out.

    Returns:
        What the format cannot hold, in words, and how often that occurred.
    """
    splits = {name: samples for name, samples in splits.items() if samples}
    if to == "tfrecord":
        tfrecords.write_shards(splits, classes, out, on_progress=on_progress)
        return {}
    for split in splits:
        if not re.fullmatch(r"\w[\w .-]*", split):
            raise ConfigError(
                f"the split {printable(split)} cannot name files: rename its list (letters, "
                "digits, _ . -)"
            )
    writer, names = WRITERS[to], _names(splits)
    named = {name: [(names[s.path], s) for s in samples] for name, samples in splits.items()}
    places = {
        writer.place.format(split=split, name=name): sample.path
        for split, samples in named.items()
        for name, sample in samples
    }
    lost = dict[str, int]()

    def write(folder: Path) -> None:
        lost.update(writer.write_labels(folder, named, classes))
        for done, (place, path) in enumerate(places.items(), 1):
            _place(path, folder / place)
            if on_progress is not None:
                on_progress(done, len(places))

    write_folder(free_folder(out), write)
    return {what: count for what, count in lost.items() if count}


def _names(splits: Mapping[str, Sequence[Sample]]) -> dict[Path | FilePart, str]:
    """Return a name for each picture; no two differ in letter case or suffix alone."""
    names, taken = dict[Path | FilePart, str](), set[str]()
    for sample in (one for samples in splits.values() for one in samples):
        if sample.path in names:
            continue
        plain = re.sub(r'[\x00-\x1f<>:"/\\|?*\ud800-\udfff]', "_", Path(sample.path.name).name)
        plain = plain.strip() if plain.strip(". ") else f"_{plain}"
        free = (n for n in numbered(Path(plain)) if n.stem.casefold() not in taken)
        name = next(free)
        taken.add(name.stem.casefold())
        names[sample.path] = name.name
    return names


def _place(path: Path | FilePart, target: Path) -> None:
    """Put a picture's file at a place: linked where the system can, else copied."""
    target.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(path, FilePart):
        target.write_bytes(read_regular(path))
        return
    try:
        os.link(path.resolve(), target)
    except OSError:  # another disk, or a file system without links
        shutil.copyfile(path, target)
