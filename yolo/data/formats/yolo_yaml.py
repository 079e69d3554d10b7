"""data.yaml, as Ultralytics and Roboflow put it beside YOLO's labels."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from yolo.classes import as_names
from yolo.data.findings import short_list
from yolo.data.split_names import role_of
from yolo.errors import DatasetError
from yolo.system.reading import printable, read_regular, reason, shortened

MAX_BYTES = 1 << 20
# Makes texts, lists and mappings of any file and nothing else: a class may be called "no" or "12".
_LOADER = getattr(yaml, "CBaseLoader", yaml.BaseLoader)


class DataYaml(NamedTuple):
    """What a data.yaml says.

    Args:
        names: class names in the order of their ids, None where it has none.
        splits: what each split is said to be: folders, or lists of pictures.
        keypoints: how many numbers of keypoints follow the box in a line.
        by: who wrote it, "" where that shows nowhere.
    """

    names: tuple[str, ...] | None
    splits: dict[str, list[str]]
    keypoints: int = 0
    by: str = ""


def read_data_yaml(path: Path) -> DataYaml:
    """Read a data.yaml.

    Raises:
        DatasetError: it is no YAML, or a value is not what it should be.
    """
    values, splits = read_yaml(path), dict[str, list[str]]()
    folder = values.get("path")
    for key in filter(role_of, values):
        entries = values[key] if isinstance(values[key], list) else [values[key]]
        if not all(isinstance(one, str) for one in entries):
            raise DatasetError(f"{printable(path)}: {printable(key)}: expected folders or lists")
        if any(entries):
            before = f"{folder}/" if isinstance(folder, str) and folder else ""
            splits[key] = [before + one for one in entries if one]
    by = " by Roboflow" if "roboflow" in values else ""
    return DataYaml(_names(values, path), splits, _keypoints(values, path), by)


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


def _names(values: dict, path: Path) -> tuple[str, ...] | None:
    names, count = values.get("names"), values.get("nc")
    if isinstance(names, dict):
        names = _in_order(names, path)
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
    return checked_names(names, printable(path))


def _in_order(names: dict, path: Path) -> list:
    try:
        numbers = {int(key): value for key, value in names.items()}
    except ValueError:
        raise DatasetError(f"{printable(path)}: names: a key that is no number") from None
    if sorted(numbers) != list(range(len(names))):
        raise DatasetError(
            f"{printable(path)}: names: the numbers {short_list(map(str, sorted(numbers)))}; "
            f"expected 0 to {len(names) - 1}, each once"
        )
    return [numbers[number] for number in range(len(numbers))]


def checked_names(names: Sequence[str], file: str) -> tuple[str, ...]:
    """Return class names as a tuple.

    Raises:
        DatasetError: there are none, or one stands there twice; `file` begins the message.
    """
    try:
        return as_names(names)
    except ValueError as error:
        raise DatasetError(f"{file}: {error}") from None


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
