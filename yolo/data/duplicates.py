"""Pictures that are the same file twice, and splits that share them."""

from __future__ import annotations

import hashlib
import os
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from yolo.data.pairing import grouped
from yolo.data.sample import Sample
from yolo.errors import DatasetError
from yolo.pictures.header import printable
from yolo.system.reading import FilePart, read_regular

HEAD_BYTES = 1 << 16
_READERS = 4
NAMED = 4  # of a group, in a line


def same_pictures(
    splits: Mapping[str, Sequence[Sample]],
) -> list[list[tuple[str, os.PathLike]]]:
    """Find pictures whose files hold the same bytes.

    Only files of one size can be equal; of these the first 64 KB are compared by hash, and all
    bytes of those that still agree. So most files are not read at all, and the time is linear.

    Returns:
        Groups of two and more (split, picture), in the order of the splits. A picture that
        stands in two splits is a group, too.
    """
    places: dict[os.PathLike, list[str]] = defaultdict(list)
    for name, samples in splits.items():
        for sample in samples:
            places[sample.path].append(name)
    groups = [list(places)]
    with ThreadPoolExecutor(_READERS) as pool:
        for key in (_size, _head, _digest):
            groups = [part for group in groups for part in _divide(group, key, pool)]
    twin = {path: group for group in groups for path in group}
    found, seen = [], set()
    for path in places:
        group = twin.get(path, [path])
        members = [(name, member) for member in group for name in places[member]]
        if len(members) > 1 and path not in seen:
            seen.update(group)
            found.append(members)
    return found


def describe(group: list[tuple[str, os.PathLike]]) -> str:
    """Return one line that names the members of a group and their splits."""
    shown = [f"{printable(path)} ({name})" for name, path in group[:NAMED]]
    rest = f" and {len(group) - NAMED} more" if len(group) > NAMED else ""
    return " = ".join(shown) + rest


def _divide(
    group: list[os.PathLike], key: Callable, pool: ThreadPoolExecutor
) -> Iterable[list[os.PathLike]]:
    """Yield the parts of a group that agree in `key`, and hold more than one."""
    values = dict(zip(group, pool.map(key, group), strict=True))
    parts = grouped((path for path in group if values[path] is not None), values.__getitem__)
    return (part for part in parts.values() if len(part) > 1)


def _size(path: os.PathLike) -> int | None:
    if isinstance(path, FilePart):
        return path.length
    try:
        return Path(path).stat().st_size
    except OSError:  # reported where it is decoded
        return None


def _head(path: os.PathLike) -> bytes | None:
    return _digest(path, HEAD_BYTES)


def _digest(path: os.PathLike, count: int = -1) -> bytes | None:
    try:
        if isinstance(path, FilePart):
            return hashlib.blake2b(read_regular(path)[: None if count < 0 else count]).digest()
        with Path(path).open("rb") as file:
            return hashlib.blake2b(file.read(count)).digest()
    except (OSError, DatasetError):
        return None
