"""What describes a data set with YOLO's labels: class names, and the pictures of each split."""

from __future__ import annotations

import logging
import re
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from yolo.data.findings import short_list
from yolo.data.formats.yolo_yaml import MAX_BYTES, checked_names, read_data_yaml
from yolo.data.source import Source
from yolo.data.split_names import role_of
from yolo.errors import DatasetError
from yolo.pictures.header import PICTURE_SUFFIXES
from yolo.system.reading import printable, read_lines_of, shortened

log = logging.getLogger("yolo")

CLASS_FILES = ("classes.txt", "obj.names", "classes.names", "_darknet.labels", "labels.txt")
DESCRIPTIONS = ("data.yaml", *CLASS_FILES)
_YAML = re.compile(rb"^(names|nc|train|val)\s*:", re.MULTILINE)
_DARKNET = re.compile(rb"^\s*(train|valid|names)\s*=", re.MULTILINE)


@dataclass(frozen=True)
class YoloConfig:
    """What the files beside the labels say.

    Args:
        kind: the layout, for the line that says what was recognised.
        names: class names in the order of their ids, None where no file has them.
        names_file: where they stand, for messages.
        splits: the folders and lists of each split, relative names; {} where nothing says.
        not_labels: text files, relative names, that hold no labels.
        keypoints: how many numbers of keypoints follow the box in a line.
    """

    kind: str
    names: tuple[str, ...] | None
    names_file: str
    splits: Mapping[str, Sequence[str]] = field(default_factory=dict)
    not_labels: frozenset[str] = frozenset()
    keypoints: int = 0


def find_config(source: Source) -> str | None:
    """Return the data.yaml or obj.data of a data set, the file that was named before others.

    Raises:
        DatasetError: there are several, none of them with a usual name.
    """
    if source.file is not None:
        name = source.named
        return name if name.lower().endswith((".yaml", ".yml", ".data")) else None
    yamls = [name for name in source.with_suffix(".yaml", ".yml") if "/" not in name]
    found = [name for name in yamls if _YAML.search(source.head(name))]
    if not found:  # Darknet's usually lies in data/
        darknet = [name for name in source.with_suffix(".data") if name.count("/") < 2]
        found = [name for name in darknet if _DARKNET.search(source.head(name))]
    usual = [n for n in found if n.rpartition("/")[2] in ("data.yaml", "obj.data")]
    if len(usual or found) > 1:
        raise DatasetError(
            f"{printable(source.root)}: several files describe a data set: "
            f"{short_list(map(printable, found))}: name one"
        )
    return next(iter(usual or found), None)


def read_config(source: Source) -> YoloConfig:
    """Read what describes a data set.

    Raises:
        DatasetError: a file makes no sense; the message names it.
    """
    name = find_config(source)
    names, file = _class_names(source)
    if name is None:
        splits = {one.rpartition("/")[2][:-4]: [one] for one in _lists(source)}
        return YoloConfig("YOLO labels", names, file, splits, _not_labels(source))
    path = _path(source, name)
    if name.lower().endswith(".data"):
        entries, keypoints = _darknet(path), 0
        kind = "YOLO labels by Darknet"
        if listed := entries.pop("names", None):
            found = named_in(frozenset(source.names), name, listed[0])
            if found is None:
                raise DatasetError(
                    f"{printable(path)}: names = {shortened(listed[0])}: no such file below "
                    f"{printable(source.root)}: correct it"
                )
            names, file = read_names(source, found), printable(source.path(found))
    else:
        values = read_data_yaml(path)
        entries, keypoints = values.splits, values.keypoints
        kind = f"YOLO labels{values.by}"
        if values.names is not None:
            names, file = values.names, printable(path)
    places = _places(source, name, entries)
    return YoloConfig(kind, names, file, places, _not_labels(source), keypoints)


def _darknet(path: Path) -> dict[str, list[str]]:
    """Return what Darknet's obj.data says of splits, and under "names" its list of classes."""
    values = {}
    for number, line in enumerate(read_lines_of(path, max_bytes=MAX_BYTES), 1):
        text = line.partition("#")[0].strip()
        key, sign, value = (part.strip() for part in text.partition("="))
        if text and not sign:
            raise DatasetError(
                f"{printable(path)}:{number}: {shortened(text)}; expected key = value: correct "
                "the line"
            )
        if value and (key == "names" or role_of(key)):
            values[key] = [value]
    return values


def _path(source: Source, name: str) -> Path:
    if fault := source.leads_out(name):
        raise DatasetError(fault)
    return source.path(name)


# ------------------------------------------------------------------------------ class names


def class_files(source: Source) -> list[str]:
    """Return the files that by their names hold class names."""
    usual = [name for name in source.names if name.rpartition("/")[2].lower() in CLASS_FILES]
    return usual or source.with_suffix(".names")


def _class_names(source: Source) -> tuple[tuple[str, ...] | None, str]:
    """Return the class names of a file that usually holds them, and that file.

    Raises:
        DatasetError: there are several, and they differ.
    """
    files = class_files(source)
    lists = [read_names(source, name) for name in files]
    for name, names in zip(files, lists, strict=True):
        if names != lists[0]:
            raise DatasetError(
                f"{printable(source.path(files[0]))} and {printable(source.path(name))} name "
                "different classes: keep one of them"
            )
    return (lists[0], printable(source.path(files[0]))) if files else (None, "")


def read_names(source: Source, name: str) -> tuple[str, ...]:
    """Read a list of class names that lies in a data set, one a line.

    Raises:
        DatasetError: it cannot be read, is empty, or has a name twice.
    """
    lines = read_lines_of(_path(source, name), max_bytes=MAX_BYTES)
    names = [line.strip() for line in lines if line.strip()]
    return checked_names(names, printable(source.path(name)))


# ----------------------------------------------------------------------- folders and lists


def _lists(source: Source) -> list[str]:
    """Return the text files that name the pictures of a split, of the highest folder with such."""
    found = [
        name
        for name in source.with_suffix(".txt")
        if role_of(name.rpartition("/")[2][:-4]) and _names_a_picture(source.head(name))
    ]
    depth = min((name.count("/") for name in found), default=0)
    return [name for name in found if name.count("/") == depth]


def _names_a_picture(head: bytes) -> bool:
    first = head.decode("utf-8-sig", "replace").strip().partition("\n")[0].strip()
    return first.lower().endswith(PICTURE_SUFFIXES)


def _not_labels(source: Source) -> frozenset[str]:
    """Return the text files that by their names hold no labels."""
    return frozenset(
        name
        for name in source.with_suffix(".txt")
        if (last := name.rpartition("/")[2].lower()) in CLASS_FILES
        or last.startswith("readme")
        or role_of(last[:-4])
    )


def named_in(names: Container[str], by: str, text: str) -> str | None:
    """Return which relative name a path means that stands in a file, None for none.

    It is the path from the file's folder or from the root, or what is left of it without its first
    folders, the longest that there is: such files are written for other places and computers. The
    name of a split is never left out.

    Args:
        names: what there is.
        by: the relative name of the file that says so.
        text: the path, of any system.
    """
    parts = [p for p in text.strip().replace("\\", "/").split("/") if p not in ("", ".", "..")]
    for start in range(max(len(parts), 1)):
        if start and role_of(parts[start - 1]):  # valid/images is not images
            break
        for folder in dict.fromkeys((by.rpartition("/")[0], "")):
            found = "/".join([*filter(None, [folder]), *parts[start:]])
            if found in names:
                return found
    return None


def _places(source: Source, by: str, entries: Mapping[str, Sequence[str]]) -> dict[str, list[str]]:
    """Return what the entries of each split mean: folders and lists, by their relative names.

    Raises:
        DatasetError: what a training split names is not there.
    """
    files, places = frozenset(source.names), dict[str, list[str]]()
    shown = printable(source.path(by))
    for split, values in entries.items():
        for value in values:
            found = named_in({"", *source.folders}, by, value)
            if found is None:
                found = named_in(files, by, value)
            if found is not None:
                places.setdefault(split, []).append(found)
            elif role_of(split) == "train":
                raise DatasetError(
                    f"{shown}: {split}: {shortened(value)}: no such folder or list below "
                    f"{printable(source.root)}: correct it, or put this file beside the pictures' "
                    "folders"
                )
            else:  # Roboflow names three splits, whether there are pictures in them or not
                log.warning("%s: %s: no folder or list %s, passed over",
                            shown, split, shortened(value))  # fmt: skip
    return places
