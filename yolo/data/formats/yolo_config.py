"""What describes a data set with YOLO's labels: class names, and the pictures of each split.

That is a data.yaml of Ultralytics or Roboflow, Darknet's obj.data, or mere lists beside the labels.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import yaml

from yolo.classes import as_names
from yolo.data.findings import short_list
from yolo.data.source import Source
from yolo.data.split_names import role_of
from yolo.errors import DatasetError
from yolo.pictures.header import PICTURE_SUFFIXES
from yolo.system.reading import printable, read_lines_of, read_regular, reason, shortened

log = logging.getLogger("yolo")

MAX_BYTES = 1 << 20
CLASS_FILES = ("classes.txt", "obj.names", "classes.names", "_darknet.labels", "labels.txt")
DESCRIPTIONS = ("data.yaml", *CLASS_FILES)
_YAML = re.compile(rb"^(names|nc|train|val)\s*:", re.MULTILINE)
_DARKNET = re.compile(rb"^\s*(train|valid|names)\s*=", re.MULTILINE)
# Makes texts, lists and mappings of any file and nothing else: a class may be called "no" or "12".
_LOADER = getattr(yaml, "CBaseLoader", yaml.BaseLoader)


@dataclass(frozen=True)
class YoloConfig:
    """What the files beside the labels say.

    Args:
        kind: the layout, for the line that says what was recognised.
        names: class names in the order of their ids, None where no file has them.
        names_file: where they stand, for messages.
        splits: the folders and lists of each split, relative names; {} where nothing says.
        keypoints: how many numbers of keypoints follow the box in a line.
    """

    kind: str
    names: tuple[str, ...] | None
    names_file: str
    splits: Mapping[str, Sequence[str]] = field(default_factory=dict)
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
    """Read what describes a data set."""
    name, config = find_config(source), YoloConfig("YOLO labels", *_class_names(source))
    if name is None:
        return replace(config, splits={n.rpartition("/")[2][:-4]: [n] for n in _lists(source)})
    of = _of_darknet if name.lower().endswith(".data") else _of_yaml
    config = of(source, name, config)
    return replace(config, splits=_places(source, name, config.splits))


def _of_darknet(source: Source, name: str, config: YoloConfig) -> YoloConfig:
    path, entries = source.own_path(name), dict[str, list[str]]()
    for number, line in enumerate(read_lines_of(path, max_bytes=MAX_BYTES), 1):
        text = line.partition("#")[0].strip()
        key, sign, value = (part.strip() for part in text.partition("="))
        if text and not sign:
            raise DatasetError(
                f"{printable(path)}:{number}: {shortened(text)}; expected key = value: correct "
                "the line"
            )
        if value and (key == "names" or role_of(key)):
            entries[key] = [value]
    names, file = config.names, config.names_file
    if listed := entries.pop("names", None):
        found = named_in(frozenset(source.names), name, listed[0])
        if found is None:
            raise DatasetError(
                f"{printable(path)}: names = {shortened(listed[0])}: no such file below "
                f"{printable(source.root)}: correct it"
            )
        names, file = read_names(source, found), printable(source.path(found))
    return YoloConfig("YOLO labels by Darknet", names, file, entries)


# -------------------------------------------------------------------------------- data.yaml


def _of_yaml(source: Source, name: str, config: YoloConfig) -> YoloConfig:
    path = source.own_path(name)
    values, splits = read_yaml(path), dict[str, list[str]]()
    folder = values.get("path")
    for key in filter(role_of, values):
        entries = values[key] if isinstance(values[key], list) else [values[key]]
        if not all(isinstance(one, str) for one in entries):
            raise DatasetError(f"{printable(path)}: {printable(key)}: expected folders or lists")
        if any(entries):
            before = f"{folder}/" if isinstance(folder, str) and folder else ""
            splits[key] = [before + one for one in entries if one]
    names, file = _names_of(values, path), printable(path)
    if names is None:
        names, file = config.names, config.names_file
    kind = "YOLO labels by Roboflow" if "roboflow" in values else "YOLO labels"
    return YoloConfig(kind, names, file, splits, _keypoints(values, path))


def read_yaml(path: Path) -> dict[str, Any]:
    """Read a YAML file of up to a megabyte as texts, lists and mappings.

    Raises:
        DatasetError: it is no YAML in UTF-8, or no mapping.
    """
    data = read_regular(path, max_bytes=MAX_BYTES)
    try:
        values = yaml.load(data.decode("utf-8-sig"), _LOADER)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f"{printable(path)}:{mark.line + 1}" if mark else printable(path)
        what = printable(getattr(error, "problem", None) or reason(error))
        raise DatasetError(f"{where}: no readable YAML in UTF-8 ({what})") from None
    if not isinstance(values, dict) or not all(isinstance(key, str) for key in values):
        raise DatasetError(f"{printable(path)}: expected settings such as train and names")
    return values


def _names_of(values: dict, path: Path) -> tuple[str, ...] | None:
    """Return the class names of a data.yaml, a list or a mapping of numbers; None without any."""
    names, count = values.get("names"), values.get("nc")
    if isinstance(names, dict):
        try:
            numbers = {int(key): value for key, value in names.items()}
        except ValueError:
            raise DatasetError(f"{printable(path)}: names: a key that is no number") from None
        if sorted(numbers) != list(range(len(names))):
            raise DatasetError(
                f"{printable(path)}: names: the numbers {short_list(map(str, sorted(numbers)))}; "
                f"expected 0 to {len(names) - 1}, each once"
            )
        names = [numbers[number] for number in range(len(numbers))]
    if names in (None, "", []):
        return None
    if not isinstance(names, list) or not all(isinstance(one, str) for one in names):
        found = shortened(names)
        raise DatasetError(f"{printable(path)}: names: {found}; expected a list of names")
    if isinstance(count, str) and count and count != str(len(names)):
        raise DatasetError(
            f"{printable(path)}: nc is {shortened(count)}, but there are {len(names)} names: "
            "correct one of them"
        )
    return _checked_names(names, path)


def _keypoints(values: dict, path: Path) -> int:
    shape = values.get("kpt_shape")
    if not shape:
        return 0
    try:
        points, numbers = map(int, shape)
    except (TypeError, ValueError):
        points = numbers = -1
    if not (0 <= points <= 10_000 and numbers in (2, 3)):
        raise DatasetError(f"{printable(path)}: kpt_shape: expected two numbers, such as [17, 3]")
    return points * numbers


# ------------------------------------------------------------------------------ class names


def class_files(source: Source) -> list[str]:
    """Return the files that by their names hold class names."""
    usual = [name for name in source.names if name.rpartition("/")[2].lower() in CLASS_FILES]
    return usual or source.with_suffix(".names")


def _class_names(source: Source) -> tuple[tuple[str, ...] | None, str]:
    """Return the class names of a file that usually holds them, and that file."""
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
    """Read a list of class names that lies in a data set, one a line."""
    lines = read_lines_of(source.own_path(name), max_bytes=MAX_BYTES)
    return _checked_names([line.strip() for line in lines if line.strip()], source.path(name))


def _checked_names(names: Sequence[str], path: Path) -> tuple[str, ...]:
    try:
        return as_names(names)
    except ValueError as error:
        raise DatasetError(f"{printable(path)}: {error}") from None


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


def may_be_labels(name: str) -> bool:
    """Tell whether a text file may hold labels, by its name."""
    last = name.rpartition("/")[2].lower()
    return not (last in CLASS_FILES or last.startswith("readme") or role_of(last[:-4]))


def named_in(names: Container[str], by: str, text: str) -> str | None:
    """Return which relative name a path means that stands in a file, None for none.

    It is the path from the file's folder or from the root, or what is left of it without its first
    folders, the longest that there is: such files are written for other places and computers. The
    name of a split is never left out.
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
    """Return what the entries of each split mean: folders and lists, by their relative names."""
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
