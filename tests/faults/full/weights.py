"""Files of weights to damage, all of small networks; an error must leave the model as it was."""

from __future__ import annotations

import io
import json
import re
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np

from tests.faults.full import small
from tests.faults.full.mutants import mutate, write
from yolo.errors import WeightsError

SPECIAL = [struct.pack("<f", x) for x in (np.nan, np.inf, -np.inf, -1.0, 3e38, 0.0)]
VALUES = (
    "null", "[]", "1e999", "-1", '"x"', "4294967296", "[[0]]", "true", '"builtins"', "0",
    "[-1, -1]",
)  # fmt: skip


def _chain():
    import yolo
    from yolo.models.yolov4 import network

    network.build_network = small.build_chain
    return yolo.build("yolov4-tiny", classes=["a", "b"], image_size=(64, 64))


def darknet(folder: Path):
    """Make mutants of a Darknet file: its length, its header, its values."""
    from yolo.weights import darknet as reader

    model, path = _chain(), folder / "mutant.weights"
    reader.save(model, path)
    good = path.read_bytes()

    def one(rng: np.random.Generator, number: int):
        data = bytearray(good)
        if number % 4 == 0:
            change = int(rng.choice([-20, -5, -4, -1, 1, 4, 8, 4096, -len(good) // 2, -len(good)]))
            data = data[: max(0, len(good) + change)] + bytes(max(0, change))
        elif number % 4 == 1:
            data[:20] = mutate(good[:20], rng)[:20]
        elif number % 4 == 2:
            place = 20 + 4 * int(rng.integers((len(good) - 20) // 4))
            data[place : place + 4] = SPECIAL[int(rng.integers(len(SPECIAL)))]
        else:
            data = mutate(good, rng)
        write(path, bytes(data), number)
        return _unchanged(model, lambda: reader.load(model, path)), path.name

    return one


def keras(folder: Path):
    """Make mutants of our `.keras` files: the archive, its config, its HDF5 structure.

    Those of the config and of HDF5 go around the archive's checksums, as a malicious file would.
    """
    from yolo.weights import keras_file, loading

    model, path = _chain(), folder / "mutant.keras"
    model.save(path)
    good = path.read_bytes()
    with zipfile.ZipFile(io.BytesIO(good)) as opened:
        config = opened.read(keras_file.CONFIG)
        weights = opened.read(keras_file.WEIGHTS)
    structure = _not_tensors(weights)

    def one(rng: np.random.Generator, number: int):
        if number % 4 == 0:
            write(path, _archive_damaged(good, rng), number)
            return _unchanged(model, lambda: loading.start_from(model, path)), path.name
        if number % 4 == 1:
            found = list(re.finditer(rb"(?<=: )[^\s,{}]+", config))
            start, end = found[int(rng.integers(len(found)))].span()
            text = config[:start] + str(rng.choice(VALUES)).encode() + config[end:]
            text = text if rng.random() < 0.5 else mutate(config, rng)
            return lambda: keras_file.build(
                keras_file.parse_config(text, path), len(weights), path
            ), path.name  # fmt: skip
        data = _hdf5_damaged(weights, structure, rng)
        return _unchanged(model, lambda: keras_file.restore(model, data, path)), path.name

    return one


def h5(folder: Path):
    """Make mutants of a tutorial's `.h5` file: bytes, HDF5's structure, tensors of other shapes."""
    import h5py

    from yolo.weights import tutorial

    model, path = _chain(), folder / "mutant.h5"
    good = _tutorials_file(model)
    structure = _not_tensors(good)
    odd = (np.zeros((), "f4"), np.zeros(0, "f4"), np.zeros(7, "f4"), np.full(3, np.nan, "f4"),
           np.full(3, -1, "f4"), np.array(b"text"), np.zeros((2, 2), "i8"))  # fmt: skip

    def one(rng: np.random.Generator, number: int):
        if number % 4 == 0:
            data = mutate(good, rng)
        elif number % 4 == 1:  # one tensor is another
            buffer = io.BytesIO(good)
            with h5py.File(buffer, "r+") as file:
                names: list[str] = []
                file.visit(names.append)
                name = str(rng.choice([n for n in names if isinstance(file[n], h5py.Dataset)]))
                del file[name]
                file[name] = odd[int(rng.integers(len(odd)))]
            data = buffer.getvalue()
        else:
            data = _hdf5_damaged(good, structure, rng)
        write(path, data, number)
        return _unchanged(model, lambda: tutorial.read(path).fill(model)), path.name

    return one


def npz(folder: Path):
    """Make mutants of torchvision's tensors in an `.npz`: the archive, an array, a name."""

    def save(tensors: dict) -> bytes:
        buffer = io.BytesIO()
        np.savez(buffer, **tensors)
        return buffer.getvalue()

    return _torchvisions(folder / "mutant.npz", save, _archive_damaged)


def safetensors(folder: Path):
    """Make mutants of torchvision's tensors in a `.safetensors`: bytes, header, an array."""

    def save(tensors: dict) -> bytes:
        header, body = {}, b""
        for name, tensor in tensors.items():
            part = np.ascontiguousarray(tensor, "<f4").tobytes()
            place = [len(body), len(body) + len(part)]
            header[name] = {"dtype": "F32", "shape": list(np.shape(tensor)), "data_offsets": place}
            body += part
        return _with_length(json.dumps(header).encode()) + body

    def damaged(good: bytes, rng: np.random.Generator) -> bytes:
        size = int.from_bytes(good[:8], "little")
        header, body = good[8 : 8 + size], good[8 + size :]
        if rng.random() < 0.3:
            return mutate(good, rng, head=8 + size)
        found = list(re.finditer(rb"(?<=[:\[,] )[^\s,{}\[\]]+", header))
        start, end = found[int(rng.integers(len(found)))].span()
        return _with_length(header[:start] + str(rng.choice(VALUES)).encode() + header[end:]) + body

    return _torchvisions(folder / "mutant.safetensors", save, damaged)


def _torchvisions(path: Path, save: Callable, damaged: Callable):
    """Return the maker for a network with four of torchvision's layers."""
    import keras as keras_

    from yolo.models.layers import ConvNorm
    from yolo.weights import torchvision

    images = keras_.Input((None, None, 3))
    x = ConvNorm(4, 3, name="backbone_conv1")(images)
    x = keras_.layers.Conv2D(4, 1, name="fpn_p6")(x)
    outputs = [keras_.layers.Conv2D(9 * n, 1, name=name)(x)
               for name, n in (("class_logits", 2), ("box_deltas", 4))]  # fmt: skip
    model = keras_.Model(images, outputs)
    rng = np.random.default_rng(0)
    shapes = {
        "backbone.body.conv1.weight": (4, 3, 3, 3), "backbone.body.bn1.weight": (4,),
        "backbone.body.bn1.bias": (4,), "backbone.body.bn1.running_mean": (4,),
        "backbone.body.bn1.running_var": (4,), "backbone.fpn.extra_blocks.p6.weight": (4, 4, 1, 1),
        "backbone.fpn.extra_blocks.p6.bias": (4,),
        "head.classification_head.cls_logits.weight": (18, 4, 1, 1),
        "head.classification_head.cls_logits.bias": (18,),
        "head.regression_head.bbox_reg.weight": (36, 4, 1, 1),
        "head.regression_head.bbox_reg.bias": (36,),
    }  # fmt: skip
    tensors = {name: rng.uniform(0, 1, shape).astype("f4") for name, shape in shapes.items()}
    good = save(tensors)
    odd = (np.zeros(()), np.zeros(0), np.zeros(7), np.full(4, np.nan), np.full(4, -1.0))
    if path.suffix == ".npz":
        odd += (np.array("text"), np.zeros(4, "c16"), np.zeros(4, "i4,f4"), np.zeros(4, "M8[s]"))

    def one(rng: np.random.Generator, number: int):
        if number % 3:
            data = damaged(good, rng)
        else:
            name = str(rng.choice(list(tensors)))
            data = save({**tensors, name: odd[int(rng.integers(len(odd)))]})
        write(path, data, number)

        def read():
            found = torchvision.read(path)
            found.describe()
            found.fill(model)

        return _unchanged(model, read), path.name

    return one


def _with_length(header: bytes) -> bytes:
    return len(header).to_bytes(8, "little") + header


def _archive_damaged(good: bytes, rng: np.random.Generator) -> bytes:
    """Flip a bit of a zip file, every second time near its end, where its directory is."""
    data = bytearray(good)
    place = int(rng.integers(len(data))) if rng.random() < 0.5 else -int(rng.integers(1, 700))
    data[place] ^= 1 << int(rng.integers(8))
    if rng.random() < 0.3:
        del data[int(rng.integers(len(data))) :]
    return bytes(data)


def _hdf5_damaged(good: bytes, structure, rng: np.random.Generator) -> bytes:
    data = bytearray(good)
    for _ in range(int(rng.integers(1, 5))):
        start, end = structure[int(rng.integers(len(structure)))]
        data[int(rng.integers(start, end))] = int(rng.choice([0, 1, 127, 255, rng.integers(256)]))
    return bytes(data)


def _not_tensors(weights: bytes) -> list[tuple[int, int]]:
    """Return the stretches of an HDF5 file that are structure, not values."""
    import h5py

    tensors: list[tuple[int, int]] = []

    def note(_name, item):
        if isinstance(item, h5py.Dataset):
            tensors.append((item.id.get_offset(), item.id.get_offset() + item.nbytes))

    with h5py.File(io.BytesIO(weights)) as file:
        file.visititems(note)
    edges = [0, *(edge for tensor in sorted(tensors) for edge in tensor), len(weights)]
    pairs = zip(edges[::2], edges[1::2], strict=True)
    return [(start, end) for start, end in pairs if end > start]


def _tutorials_file(model) -> bytes:
    """Return what Keras 2 and h5py 2 wrote for a network with these convolutions."""
    import h5py

    from yolo.weights.convolutions import convolutions_of

    buffer, layers, norms = io.BytesIO(), {}, 0
    for number, found in enumerate(convolutions_of(model)):
        kernel, *bias = found.plain.get_weights()
        name = f"conv2d_{number}" if number else "conv2d"
        layers[name] = {"kernel:0": kernel, **({"bias:0": bias[0]} if bias else {})}
        if found.has_norm:
            gamma, beta, mean, variance = found.layer.norm.get_weights()
            name = f"batch_normalization_{norms}" if norms else "batch_normalization"
            layers[name] = {"gamma:0": gamma, "beta:0": beta, "moving_mean:0": mean,
                            "moving_variance:0": variance}  # fmt: skip
            norms += 1
    with h5py.File(buffer, "w") as file:
        file.attrs["layer_names"] = np.array([name.encode() for name in layers])
        for name, arrays in layers.items():
            group = file.create_group(name)
            group.attrs["weight_names"] = np.array([f"{name}/{part}".encode() for part in arrays])
            for part, array in arrays.items():
                group[f"{name}/{part}"] = array
    return buffer.getvalue()


def _unchanged(model, read: Callable[[], object]) -> Callable[[], None]:
    """Return the reader, which fails if it raises and the model is not as it was."""
    variables = getattr(model, "network", model).variables
    before = [v.numpy().copy() for v in variables]

    def checked() -> None:
        try:
            read()
        except WeightsError:
            now = [v.numpy() for v in variables]
            if not all(
                np.array_equal(a, b, equal_nan=True) for a, b in zip(before, now, strict=True)
            ):
                raise AssertionError("a refused file changed the model") from None
            raise
        for variable, value in zip(variables, before, strict=True):
            if not np.isfinite(variable.numpy()).all():
                raise AssertionError(f"{variable.path} is not finite")
            variable.assign(value)

    return checked
