"""The names of layers and weights in a Keras 2 weights file, read where a damaged one does no harm.

Keras 2 lists them in attributes of the groups. Those that it wrote with h5py 2 have a fixed length.
Those of h5py 3 have any length and lie in a heap elsewhere in the file, and the HDF5 library may
walk a damaged heap without end: a child process reads them, which the system stops.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np

from yolo.system import hdf5, process
from yolo.system.reading import reason

SECONDS = 2  # of processor time; a whole file takes some milliseconds
LONGEST = 60  # seconds by the clock, where no processor time can be limited


class _OfAnyLength(Exception):
    """Names lie in the file's heap."""


def read(file: h5py.File, path: Path, place: str) -> dict[str, list[str]]:
    """Return the weights' names of each layer that the group `place` lists, in the file's order.

    Raises:
        hdf5.Unfit: the lists are damaged.
        hdf5.DAMAGE: the same, as h5py says it.
    """
    try:
        return _names(file, place, any_length=False)
    except _OfAnyLength:
        return _by_child(path, place)


def _names(file: h5py.File, place: str, *, any_length: bool) -> dict[str, list[str]]:
    root, found = file[place], {}
    for name in _texts(root, "layer_names", any_length):
        if not isinstance(root.get(name, getlink=True), h5py.HardLink):
            raise hdf5.Unfit(f"no layer {name[:80]}")
        found[name] = _texts(root[name], "weight_names", any_length)
    return found


def _texts(group, attribute: str, any_length: bool) -> list[str]:
    stored = group.attrs.get_id(attribute)
    if 0 in (stored.shape or ()):
        return []
    if stored.dtype.kind != "S" and not any_length:
        raise _OfAnyLength
    values = np.ravel(group.attrs[attribute]).tolist()
    return [value.decode("utf-8") if isinstance(value, bytes) else str(value) for value in values]


def _by_child(path: Path, place: str) -> dict[str, list[str]]:
    try:
        ended = subprocess.run(
            process.command(__name__, str(path), place),
            stdin=subprocess.DEVNULL, capture_output=True, timeout=LONGEST, check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        raise hdf5.Unfit("its lists of names have no end") from None
    if ended.returncode:
        raise hdf5.Unfit("its lists of names have no end, or crash the HDF5 library")
    answer = json.loads(ended.stdout)
    if isinstance(answer, str):
        raise hdf5.Unfit(answer)
    return answer


def serve(path: str, place: str) -> None:
    """Print the names as JSON, or what is wrong with them: the child's side of `read`."""
    try:
        import resource
    except ImportError:  # Windows has no such limit
        pass
    else:
        resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS))
    try:
        with h5py.File(path, "r") as file:
            answer: dict[str, list[str]] | str = _names(file, place, any_length=True)
    except hdf5.Unfit as error:
        answer = str(error)
    except hdf5.DAMAGE as error:
        answer = reason(error)
    json.dump(answer, sys.stdout)
