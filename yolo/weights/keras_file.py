"""Our own `.keras` files, read as data: the config checked by us, the weights as plain arrays.

Keras's loader builds whatever a file's config names, and its safeguards have had a hole every few
months. Here a file can only describe a `Detector`: its config is compared with the fields that
we know, nothing that it names is imported, and of its HDF5 member contiguous float arrays are
read, which have the places and shapes of the network that we built.
"""

from __future__ import annotations

import io
import json
import math
import re
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import h5py
import keras
import numpy as np

from yolo.detector import Detector
from yolo.errors import WeightsError, YoloError
from yolo.models.darknet_cfg.sections import MAX_BYTES
from yolo.models.families import FAMILIES
from yolo.models.thresholds import notes_fit
from yolo.pictures.color import WHITE, is_color
from yolo.pictures.sizes import RESIZE_MODES
from yolo.system import hdf5
from yolo.system.reading import ZIP_DAMAGE, open_regular, printable, reason, shortened
from yolo.weights.transfer import transfer

MAX_ARCHIVE_BYTES = 1 << 33
MAX_CONFIG_BYTES = 1 << 22
MAX_CLASSES = 20_000
MAX_SIDE = 8192
CONFIG, WEIGHTS = "config.json", "model.weights.h5"
_FIELDS = {"family", "architecture", "classes", "image_size", "resize", "notes", "name"}
# What JSON gives for each kind of setting
_KINDS = {"str": (str,), "int": (int,), "float": (int, float), "bool": (bool,), "tuple": (list,)}
_OF_KERAS = {"dtype", "trainable"}  # what Keras adds to any config


def read(path: str | Path) -> KerasFile:
    """Read a `.keras` file of ours, once; the state of an optimizer in it is not looked at.

    Raises:
        WeightsError: one line: the file is missing, damaged or describes anything else.
    """
    with open_regular(path, max_bytes=MAX_ARCHIVE_BYTES, error=WeightsError) as file:
        if not zipfile.is_zipfile(file):
            size = file.seek(0, 2)
            raise _not_ours(path, f"{size} bytes that are no .keras archive or a part of one")
        try:
            config, weights = _members(file)
        except ZIP_DAMAGE as error:
            raise _not_ours(path, reason(error)) from None
    return KerasFile(Path(path), parse_config(config, path), weights)


@dataclass(frozen=True, eq=False)
class KerasFile:
    """A `.keras` file of ours that was read.

    Args:
        path: where it lies.
        config: what it says of itself, the checked arguments of a `Detector`.
        weights: the bytes of its HDF5 member.
    """

    path: Path
    config: dict[str, Any]
    weights: bytes

    def detector(self) -> Detector:
        """Return the detector of the file, not compiled, with all its weights.

        Raises:
            WeightsError: config and weights do not make one.
        """
        model = build(self.config, len(self.weights), self.path)
        restore(model, self.weights, self.path)
        return model

    def fill(self, model: Detector) -> int:
        """Give another detector, perhaps of other classes, the layers that fit it, or nothing.

        Returns:
            The number of layers filled.

        Raises:
            WeightsError: config and weights do not make a detector, or no layer of it fits.
        """
        return transfer(model, self.detector(), self.path)


def parse_config(data: bytes, path: str | Path) -> dict:
    """Return the arguments of a `Detector` from the JSON that Keras put into the archive, checked.

    Raises:
        WeightsError: the config describes something else, or with other fields.
    """
    try:
        found = json.loads(data.decode("utf-8"), object_pairs_hook=_without_duplicates)
    except (ValueError, RecursionError) as error:
        raise _not_ours(path, f"its config: {reason(error)}") from None
    if not isinstance(found, dict):
        raise _not_ours(path, "its config is no object")
    kind = (found.get("module"), found.get("class_name"), found.get("registered_name"))
    if kind != ("yolo.detector", "Detector", "yolo>Detector"):
        what = found.get("class_name")
        raise WeightsError(
            f"{printable(path)}: holds a {what if _is_word(what) else 'model'}, not a detector"
        )
    config = found.get("config")
    if not isinstance(config, dict) or not _FIELDS <= set(config) <= _FIELDS | _OF_KERAS:
        keys = set(config) if isinstance(config, dict) else set()
        odd = sorted(keys - _FIELDS - _OF_KERAS) or sorted(_FIELDS - keys)
        raise _not_ours(path, f"its config has other fields: {shortened(odd[0])}")
    wrong = next((name for name, good in _tests(config) if not good), None)
    if wrong:
        raise _not_ours(path, f"{wrong} {shortened(config[wrong])}")
    return {name: config[name] for name in _FIELDS}


def build(config: dict, weight_bytes: int, path: str | Path) -> Detector:
    """Build a detector from a checked config; its weights are still fresh.

    A network that needs more weights than the file has bytes of them is not built.

    Raises:
        WeightsError: the values do not make a network, or one that the weights cannot fill.
    """
    config = dict(config)
    try:
        architecture = FAMILIES[config.pop("family")].settings(**config.pop("architecture"))
        least = 4 * architecture.least_parameters(len(config["classes"]))
        if least > weight_bytes:
            raise WeightsError(
                f"{printable(path)}: its classes ({len(config['classes'])}), anchors and channels "
                f"need at least {least} bytes of weights, it holds {weight_bytes}; the file is "
                "damaged"
            )
        return Detector(architecture, **config)
    except (ValueError, TypeError, KeyError, OverflowError, YoloError) as error:
        if isinstance(error, WeightsError):
            raise
        raise _not_ours(path, reason(error)) from None


def restore(model: Detector, weights: bytes, path: str | Path) -> None:
    """Give the detector that a file describes all weights of its HDF5 member, or none.

    Raises:
        WeightsError: a tensor is missing, left over, of another shape or kind, not finite, or a
            negative variance; the model is as it was.
    """
    places = dict(layout(model))
    try:
        with h5py.File(io.BytesIO(weights), "r") as file:
            arrays = {place: _array(file, place, places[place]) for place in places}
            extra = sorted(_tensors(file) - set(places))
    except hdf5.Unfit as error:
        raise WeightsError(f"{printable(path)}: {error}; the file is damaged") from None
    except hdf5.DAMAGE as error:
        raise _not_ours(path, f"its weights: {reason(error)}") from None
    if extra:
        raise WeightsError(
            f"{printable(path)}: {len(extra)} tensors that this model does not have, the first "
            f"{printable(extra[0])[:120]}; the file is damaged"
        )
    for place, variable in places.items():
        variable.assign(arrays[place])


def layout(model: Detector) -> Iterator[tuple[str, keras.Variable]]:
    """Yield where Keras's saved form keeps each variable of a detector's network.

    Layers are counted by class in the order of the network, as Keras 3 has named them since its
    first version; within a layer its own variables are numbered, and layers that it holds go by
    the names of their attributes.
    """
    parts = [model.network] if model.loss_state is None else [model.network, model.loss_state]
    yield from _numbered(parts, "layers")


def _numbered(layers, place: str) -> Iterator[tuple[str, keras.Variable]]:
    counts: dict[str, int] = {}
    for layer in layers:
        name = re.sub(r"(?<=.)(?=[A-Z][a-z])|(?<=[a-z])(?=[A-Z])", "_", type(layer).__name__)
        name = name.lower()
        count = counts[name] = counts.get(name, -1) + 1
        yield from _places(layer, f"{place}/{name}" + (f"_{count}" * (count > 0)))


def _places(layer, place: str) -> Iterator[tuple[str, keras.Variable]]:
    if isinstance(layer, keras.Model):  # a backbone of keras.applications
        yield from _numbered(layer.layers, f"{place}/layers")
        return
    inner = {n: v for n, v in vars(layer).items() if isinstance(v, keras.layers.Layer)}
    # `weights` leaves out the state of random numbers, which prediction has no use for.
    theirs = {id(v) for part in inner.values() for v in part.weights}
    own = [v for v in layer.weights if id(v) not in theirs]
    own.sort(key=lambda variable: not variable.trainable)  # Keras saves these first
    yield from ((f"{place}/vars/{i}", variable) for i, variable in enumerate(own))
    for name, part in inner.items():
        yield from _places(part, f"{place}/{name}")


def _array(file: h5py.File, place: str, variable) -> np.ndarray:
    """Return a tensor, reached over plain links only and stored in one piece in this file."""
    try:
        found = hdf5.dataset(file, place)
    except hdf5.Unfit as error:
        raise hdf5.Unfit(f"{error} ({variable.path})") from None
    shape, kind = tuple(variable.shape), np.dtype(variable.dtype)
    if found.shape != shape or found.dtype != kind or found.dtype.byteorder not in "=|<":
        raise hdf5.Unfit(
            f"the tensor {place} ({variable.path}) is {found.dtype}{list(found.shape or ())}, "
            f"not {kind}{list(shape)}"
        )
    array = found[()]
    if not np.isfinite(array).all():
        raise hdf5.Unfit(f"the tensor {place} ({variable.path}) is not finite")
    if variable.path.endswith("moving_variance") and (array < 0).any():
        raise hdf5.Unfit(f"a variance of {place} ({variable.path}) is negative")
    return array


def _tensors(file: h5py.File) -> set[str]:
    """Return the places of all tensors of layers in the file."""
    found: set[str] = set()

    def note(name: str, item) -> None:
        if isinstance(item, h5py.Dataset) and "/seed_generator/" not in name:
            found.add(f"layers/{name}")

    file["layers"].visititems(note)
    return found


def _members(file) -> tuple[bytes, bytes]:
    """Return config and weights of an archive; nothing else in it is read or unpacked."""
    with zipfile.ZipFile(file) as archive:
        read = []
        for name, limit in ((CONFIG, MAX_CONFIG_BYTES), (WEIGHTS, MAX_ARCHIVE_BYTES)):
            found = [member for member in archive.infolist() if member.filename == name]
            if len(found) != 1:
                raise ValueError(f"{len(found)} members {name}")
            if found[0].compress_type != zipfile.ZIP_STORED or found[0].file_size > limit:
                raise ValueError(f"{name} is packed or too large")
            read.append(archive.read(found[0]))  # which compares its checksum
        return read[0], read[1]


def _tests(config: dict) -> Iterator[tuple[str, bool]]:
    """Yield for each field whether its value is of the kind that we write."""
    family, architecture = config["family"], config["architecture"]
    yield "family", isinstance(family, str) and family in FAMILIES
    settings = FAMILIES[family].settings
    known = {field.name: field.type.partition("[")[0] for field in fields(settings)}
    good = isinstance(architecture, dict) and set(architecture) <= set(known)
    yield (
        "architecture",
        good
        and all(
            type(value) in _KINDS[known[name]]
            and (_is_plain(value) or (name == "cfg" and len(value) <= MAX_BYTES))
            for name, value in architecture.items()
        ),
    )
    names = config["classes"]
    good = isinstance(names, list) and 0 < len(names) <= MAX_CLASSES
    yield "classes", good and all(isinstance(n, str) and 0 < len(n) <= 1000 for n in names)
    size = config["image_size"]
    good = isinstance(size, list) and len(size) == 2
    yield "image_size", good and all(type(n) is int and 32 <= n <= MAX_SIDE for n in size)
    yield "resize", config["resize"] in RESIZE_MODES
    notes = config["notes"]
    yield (
        "notes",
        isinstance(notes, dict)
        and type(notes.get("split_seed", 0)) is int
        and is_color(notes.get("background", list(WHITE)))
        and notes_fit(notes),
    )
    yield "name", _is_word(config["name"])


def _is_plain(value, depth: int = 0) -> bool:
    """Tell whether a value is a short text, a finite number or a short list of such."""
    if isinstance(value, list):
        return depth < 3 and len(value) <= 1000 and all(_is_plain(v, depth + 1) for v in value)
    if isinstance(value, str):
        return len(value) <= 100
    return isinstance(value, int | float) and math.isfinite(value) and abs(value) < 1e9


def _is_word(value) -> bool:
    return isinstance(value, str) and re.fullmatch(r"\w{1,100}", value) is not None


def _without_duplicates(pairs: list[tuple[str, object]]) -> dict:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a key stands twice")
    return found


def _not_ours(path: str | Path, words: str) -> WeightsError:
    return WeightsError(f"{printable(path)}: not a complete model saved by this program ({words})")
