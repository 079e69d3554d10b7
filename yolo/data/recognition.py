"""Which format labelled pictures are in, and where below or above a folder they lie."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from yolo.data import foreign
from yolo.data.dataset import DataSet
from yolo.data.findings import nearest, short_list
from yolo.data.formats import (
    coco,
    cvat,
    tables,
    tfrecords,
    tutorial_lists,
    voc,
    voc_layout,
    yolo_text,
)
from yolo.data.formats.yolo_config import class_files
from yolo.data.pairing import LABEL_FOLDERS, PICTURE_FOLDERS
from yolo.data.source import Source
from yolo.errors import ConfigError, DatasetError
from yolo.settings.data import DATA_FORMATS
from yolo.system.reading import printable

log = logging.getLogger("yolo")

MOST_LEVELS = 4  # of folders that hold nothing but one folder, and of parts within each other


class Format(NamedTuple):
    """A format of labelled pictures.

    Args:
        name: as `--format` takes it.
        layout: what a data set of it holds, for messages.
        recognise: tells whether a source is of it, by names and by the first bytes of a few files.
        open_source: opens a source that is. A `DatasetError` says what is wrong with the files that
            describe the data set; what is wrong with a picture or an object shows when it is read.
    """

    name: str
    layout: str
    recognise: Callable[[Source], bool]
    open_source: Callable[[Source], DataSet]


# A source is of the first format that recognises it.
FORMATS = (
    Format("shards", "shards.json", tfrecords.recognise, lambda s: tfrecords.Shards(s.root)),
    Format("coco", "annotations/instances_*.json", coco.recognise, coco.open_source),
    Format("voc", "Annotations/*.xml and JPEGImages/*.jpg", voc_layout.recognise, voc.VocFolder),
    Format("cvat", "annotations.xml of CVAT", cvat.recognise, cvat.open_source),
    Format(
        "lists",
        "2007_train.txt of lines picture x1,y1,x2,y2,class",
        tutorial_lists.recognise,
        tutorial_lists.open_source,
    ),
    Format(
        "yolo", "data.yaml, or images/ and labels/*.txt", yolo_text.recognise, yolo_text.open_source
    ),
    Format("csv", "*.csv of pictures, boxes and classes", tables.recognise, tables.open_source),
)


Found = tuple[Format, Source]  # a format, and the source that is of it


def find_format(source: Source, name: str | None = None) -> Found | None:
    """Find out the format of a source, or of the one folder below or above it that has one.

    Where the name of a format was said, only the place is looked for.

    Returns:
        The format and what it is to open, None if there is none.
    """
    formats = FORMATS if name is None else (_named(name),)
    if source.file is not None:
        return _of(source.with_pictures(), formats)
    if (whole := _whole_of(source)) is not None and (found := _of(whole, formats)):
        log.info(
            "%s is a part of the data set in %s, which is taken",
            printable(source.root), printable(whole.root),
        )  # fmt: skip
        return found
    return _of(source, formats) or _below(source, formats, MOST_LEVELS)


def unknown(source: Source, name: str | None = None) -> DatasetError:
    """Return the error of a source that is in no known format: what was seen, what was expected."""
    wanted = [_named(one) for one in ([name] if name else DATA_FORMATS)]
    layouts = ", or ".join(f"{one.layout} ({one.name})" for one in wanted)
    place = printable(source.root if source.file is None else source.file)
    seen = (
        "this file is none (its folder?)" if source.file else f"this folder holds {source.seen()}"
    )
    return DatasetError(f"{place}: no data set: {seen}{foreign.hint(source)}; expected {layouts}")


def _named(name: str) -> Format:
    formats = {one.name: one for one in FORMATS}
    if name not in formats:
        raise ConfigError(
            f"--format {printable(name)}: expected one of {', '.join(formats)}"
            f"{nearest(name, formats)}"
        )
    return formats[name]


def _of(source: Source, formats: tuple[Format, ...]) -> Found | None:
    return next(((one, source) for one in formats if one.recognise(source)), None)


def _below(source: Source, formats: tuple[Format, ...], levels: int) -> Found | None:
    """Find the one data set in the folders of a folder."""
    if not levels:
        return None
    found = {}
    for folder in sorted(name for name in source.folders if name and "/" not in name):
        inner = source.below(folder)
        if (one := _of(inner, formats) or _below(inner, formats, levels - 1)) is not None:
            found[folder] = one
    if len(found) > 1:
        places = (inner.root.relative_to(source.root) for _, inner in found.values())
        raise DatasetError(
            f"{printable(source.root)}: it holds several data sets: "
            f"{short_list(map(printable, places))}: name one (in an archive: pack it alone)"
        )
    return next(iter(found.values()), None)


def _whole_of(source: Source) -> Source | None:
    """Return the folder above those of labels or of pictures alone, None for other folders."""
    root = Path(source.root).absolute()
    if source.with_suffix(".xml", ".txt", ".json", ".csv", ".yaml") and len(source.pictures):
        return None
    inner = {name.lower() for name in source.folders}
    if inner & LABEL_FOLDERS and any("/" not in name for name in class_files(source)):
        return None  # labels with their classes, without pictures
    above, parts = root, LABEL_FOLDERS | PICTURE_FOLDERS | {"main", "imagesets"}
    for _ in range(MOST_LEVELS):
        if above.name.lower() not in parts:
            break
        above = above.parent
    if above == root:
        return None
    whole = Source(above, images=source.images, classes=source.classes)
    part = root.relative_to(above).parts[0]
    if part.lower() in LABEL_FOLDERS:  # these labels are meant, not others of the same pictures
        tops = {name.partition("/")[0] for name in whole.folders}
        return whole.without(one for one in tops if one != part and one.lower() in LABEL_FOLDERS)
    return whole
