"""Darknet's `.weights` files, whole or cut off after some layer: read, checked and written.

A file is a header (three int32: major, minor, revision; then the number of pictures seen, as
uint64 from version 0.2 on, as uint32 before) and, for each convolution in the order of the
`.cfg`, little-endian float32: bias or beta (n); with batch norm gamma, mean and variance (n
each); the kernel (out, in, height, width). Reference: darknet/src/parser.c.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from yolo.classes import COCO_CLASSES
from yolo.errors import WeightsError
from yolo.models.yolov4.settings import TINY_MASKS, YOLOV4_TINY_ANCHORS
from yolo.system.reading import open_regular, read_regular
from yolo.system.writing import write_bytes

log = logging.getLogger("yolo")

# Convolutions in the files that end early: darknet's `partial` command names them by the number
# of layers they keep (yolov4-tiny.conv.29; csdarknet53-omega's conv.105, yolov4.conv.137).
PARTIAL_FILES = {21: (17,), 110: (72, 92)}
# Networks that have only the backbone's convolutions, the first ones of each of these files.
BACKBONES = {15: "yolov4-tiny", 72: "yolov4"}
_HEADER = np.array([0, 2, 5], "<i4").tobytes() + bytes(8)


@dataclass(frozen=True)
class Convolution:
    """One convolution of the network and the number of floats it has in a file.

    Attributes:
        layer: a `ConvNorm`, or a head's Keras convolution.
        filters: output channels.
        inputs: input channels.
        size: side of the kernel.
    """

    layer: Any
    filters: int
    inputs: int
    size: int

    @property
    def has_norm(self) -> bool:
        """Whether batch norm follows; heads have a bias instead."""
        return hasattr(self.layer, "norm")

    @property
    def floats(self) -> int:
        """The numbers it has in a Darknet file."""
        return self.filters * ((4 if self.has_norm else 1) + self.inputs * self.size**2)


def load(model, path: str | Path) -> int:
    """Load a Darknet weights file into a YOLOv4 or YOLOv4-tiny model.

    A whole file of another class count gives everything but the class logits of the heads,
    which start fresh; a partial file gives the layers that it has. The log says which. The
    file is read and checked completely before the first weight changes.

    Args:
        model: a `Detector` or its `network`.
        path: `yolov4.weights`, `yolov4-tiny.weights`, `yolov4.conv.137`, `yolov4-tiny.conv.29`
            or one of the same layout.

    Returns:
        The number of convolutions loaded.

    Raises:
        WeightsError: the file cannot be read, has too few or too many bytes for the network,
            or holds values that no network has (not finite, a negative variance).
    """
    path = Path(path)
    convolutions = convolutions_of(model)
    if len(convolutions) in BACKBONES:
        return _load_backbone(convolutions, path)
    ends = np.cumsum([convolution.floats for convolution in convolutions])
    floats = _read_floats(path, f"{20 + 4 * ends[-1]:d} for this network")
    partial = [n for n in PARTIAL_FILES.get(len(convolutions), ()) if ends[n - 1] == len(floats)]
    file_classes = None
    if partial:
        convolutions = convolutions[: partial[0]]
    else:
        file_classes = _class_count(convolutions, len(floats), path)
        if file_classes == len(COCO_CLASSES):
            warn_of_other_masks(model, path, "Darknet's COCO weights", YOLOV4_TINY_ANCHORS)
    values = _split(convolutions, floats, file_classes, path)
    for convolution, arrays in zip(convolutions, values, strict=True):
        assign(convolution, arrays)
    _report(path, convolutions, file_classes, model)
    return len(convolutions)


def _load_backbone(convolutions, path: Path) -> int:
    """Load the first convolutions of a file, whole or partial, into a network that has no more."""
    network = BACKBONES[len(convolutions)]
    own = sum(convolution.floats for convolution in convolutions)
    floats = _read_floats(path, f"{20 + 4 * own} or more, those of {network}")
    base, per_class = _FLOATS[network]
    classes, left = divmod(len(floats) - base, per_class)
    whole = left == 0 and classes >= 1
    if len(floats) not in (own, _PARTIAL_FLOATS[network]) and not whole:
        raise WeightsError(
            f"{path}: expected a file of {network}, whole or cut off after its backbone, for this "
            f"network; found {path.stat().st_size} bytes, which fit none; the file is damaged or "
            "belongs to another network"
        )
    values = _split(convolutions, floats[:own], None, path)
    for convolution, arrays in zip(convolutions, values, strict=True):
        assign(convolution, arrays)
    log.info(
        "%s: loaded the backbone, %d convolutions; fresh: all others",
        path.name, len(convolutions),
    )  # fmt: skip
    return len(convolutions)


def count_classes(path: str | Path) -> tuple[str, int] | None:
    """Tell which network a whole Darknet file is for, and how many classes it has.

    Args:
        path: a Darknet file.

    Returns:
        ("yolov4" or "yolov4-tiny", number of classes), or None for a partial file.

    Raises:
        WeightsError: the size fits neither network.
    """
    floats = _count_floats(Path(path), _USUAL_SIZES)
    if floats in _PARTIAL_FLOATS.values():
        return None
    for name, (base, per_class) in _FLOATS.items():
        classes, left = divmod(floats - base, per_class)
        if left == 0 and classes >= 1:
            return name, classes
    raise WeightsError(
        f"{path}: expected {_USUAL_SIZES} (other class counts have other sizes), found "
        f"{Path(path).stat().st_size} bytes, which fit no class count of either; the file is "
        "damaged or belongs to another network"
    )


# Floats of a whole file: without any class, and for each class (3 anchors on each head).
_FLOATS = {
    "yolov4": (64_429_405 - 80 * 3 * (257 + 513 + 1025), 3 * (257 + 513 + 1025)),
    "yolov4-tiny": (6_062_814 - 80 * 3 * (257 + 513), 3 * (257 + 513)),
}
_USUAL_SIZES = "257717640 bytes for yolov4 or 24251276 for yolov4-tiny with 80 classes"
_PARTIAL_FLOATS = {"yolov4": (170_038_676 - 20) // 4, "yolov4-tiny": (19_789_716 - 20) // 4}


def save(model, path: str | Path) -> None:
    """Write a model as a Darknet weights file, complete or not at all.

    Args:
        model: a YOLOv4 `Detector` or its `network`.
        path: the file to write; it is replaced only when the new one is complete.

    Raises:
        WeightsError: the network has parts that Darknet's format has no place for.
        YoloError: the file cannot be written.
    """
    convolutions = convolutions_of(model)
    if len(convolutions) in BACKBONES:
        raise WeightsError(f"{path}: Darknet has no RetinaNet; save the model as .keras")
    attention = _attention_layers(model)
    if attention:
        raise WeightsError(
            f"{path}: Darknet's format has no place for attention ({', '.join(attention)}); "
            "save the model as .keras"
        )
    parts = [_HEADER]
    for convolution in convolutions:
        parts += [np.ascontiguousarray(array, "<f4").tobytes() for array in _arrays(convolution)]
    write_bytes(path, b"".join(parts))


def _attention_layers(model) -> list[str]:
    """Return the layers with weights that no Darknet file knows."""
    network = getattr(model, "network", model)
    return [layer.name for layer in network.layers if layer.weights and "_conv_" not in layer.name]


def convolutions_of(model) -> list[Convolution]:
    """Return the convolutions of a model or its network in the order of Darknet's file.

    Raises:
        WeightsError: it is another network than YOLOv4 or YOLOv4-tiny.
    """
    network = getattr(model, "network", model)
    found = [layer for layer in network.layers if "_conv_" in layer.name]
    found.sort(key=lambda layer: int(layer.name.rsplit("_", 1)[1]))
    if len(found) not in (*PARTIAL_FILES, *BACKBONES):
        raise WeightsError(
            "Darknet weights fit yolov4, yolov4-tiny and RetinaNets with their backbones; this "
            f"model is {network.name!r} with {len(found)} numbered convolutions"
        )
    convolutions = []
    for layer in found:
        size, _, inputs, filters = _plain(layer).kernel.shape
        convolutions.append(Convolution(layer, filters, inputs, size))
    return convolutions


def _plain(layer):
    """Return the Keras convolution of a numbered layer: its own, or itself in a head."""
    return getattr(layer, "convolution", layer)


def _read_floats(path: Path, expected: str) -> np.ndarray:
    """Return the floats behind the header; `expected` words the size for an error."""
    data = read_regular(path, error=WeightsError)
    return np.frombuffer(data, "<f4", offset=_header_bytes(path, data[:20], len(data), expected))


def _count_floats(path: Path, expected: str) -> int:
    """Return the number of floats behind the header without reading them."""
    with open_regular(path, error=WeightsError) as file:
        start, size = file.read(20), file.seek(0, 2)
    return (size - _header_bytes(path, start, size, expected)) // 4


def _header_bytes(path: Path, start: bytes, size: int, expected: str) -> int:
    """Return the length of a file's header, 16 or 20, if the file can be one of Darknet's."""
    if size < 20:
        raise WeightsError(
            f"{path}: expected {expected}, found {size} bytes, fewer than a Darknet header; "
            "download it again"
        )
    major, minor, _ = np.frombuffer(start, "<i4", 3)
    if not (0 <= major <= 1 and 0 <= minor <= 10):
        raise WeightsError(
            f"{path}: not a Darknet weights file (version {major}.{minor} in its header); "
            "a web page saved under this name looks like that too"
        )
    header = 20 if major * 10 + minor >= 2 else 16
    if (size - header) % 4:
        raise WeightsError(
            f"{path}: expected {expected}, found {size} bytes, which are not a {header}-byte "
            "header and whole float32 values of 4 bytes; the file is damaged, download it again"
        )
    return header


def _class_count(convolutions, found: int, path: Path) -> int:
    """Return C of a whole file with `found` floats, or explain why there is none."""
    heads = [convolution for convolution in convolutions if not convolution.has_norm]
    rest = sum(convolution.floats for convolution in convolutions if convolution.has_norm)
    anchors = [_anchors_of(convolution) for convolution in heads]
    per_output = [
        count * (convolution.inputs + 1) for count, convolution in zip(anchors, heads, strict=True)
    ]
    classes, left = divmod(found - rest - 5 * sum(per_output), sum(per_output))
    if left or classes < 1:
        expected = sum(convolution.floats for convolution in convolutions)
        raise WeightsError(
            f"{path}: expected {20 + 4 * expected} bytes for this network (or the size for "
            f"another class count), found {path.stat().st_size}; the file is cut short, "
            "has bytes left over, or belongs to another network"
        )
    return classes


def _anchors_of(head: Convolution) -> int:
    """Return the anchors of a cell, which the network's builder notes on each head layer."""
    return head.filters // head.layer.outputs_per_anchor


def _split(convolutions, floats, file_classes, path) -> list[dict[str, np.ndarray]]:
    """Cut the floats into named arrays, kernels as (height, width, in, out), and check them."""
    values, start = [], 0

    def take(*shape):
        nonlocal start
        count = int(np.prod(shape))
        start += count
        return floats[start - count : start].reshape(shape)

    for number, convolution in enumerate(convolutions):
        n, arrays = convolution.filters, {}
        if convolution.has_norm:
            for name in ("beta", "gamma", "mean", "variance"):
                arrays[name] = take(n)
        else:
            if file_classes is not None:
                n = _anchors_of(convolution) * (5 + file_classes)
            arrays["beta"] = take(n)
        kernel = take(n, convolution.inputs, convolution.size, convolution.size)
        arrays["kernel"] = kernel.transpose(2, 3, 1, 0)
        for name, array in arrays.items():
            wrong = None
            if not np.isfinite(array).all():
                wrong = "is not finite"
            elif name == "variance" and (array < 0).any():
                wrong = "is negative"
            if wrong:
                raise WeightsError(
                    f"{path}: a {name} of convolution {number} {wrong}; the file is damaged"
                )
        values.append(arrays)
    return values


def assign(convolution: Convolution, arrays: dict[str, np.ndarray]) -> None:
    """Give a convolution its arrays; a head of another class count keeps its class logits.

    Args:
        convolution: where they go.
        arrays: "kernel" (height, width, in, out), "beta" and, with norm, "gamma", "mean" and
            "variance", each (out,).
    """
    plain = _plain(convolution.layer)
    if convolution.has_norm:
        norm = convolution.layer.norm
        norm.beta.assign(arrays["beta"])
        norm.gamma.assign(arrays["gamma"])
        norm.moving_mean.assign(arrays["mean"])
        norm.moving_variance.assign(arrays["variance"])
        plain.kernel.assign(arrays["kernel"])
        return
    kernel, bias = arrays["kernel"], arrays["beta"]
    if kernel.shape[-1] != convolution.filters:
        keep_classes_fresh(convolution.layer, kernel, bias)
        return
    plain.kernel.assign(kernel)
    plain.bias.assign(bias)


def keep_classes_fresh(head, kernel: np.ndarray, bias: np.ndarray) -> None:
    """Give a head the box and objectness outputs of another one; leave its class logits.

    Args:
        head: the layer, of a network with as many anchors a cell.
        kernel: (1, 1, inputs, anchors * (5 + any number of classes)).
        bias: (anchors * (5 + any number of classes),).
    """
    anchors = head.filters // head.outputs_per_anchor
    weights = head.get_weights()
    for new, old in zip(weights, (kernel, bias), strict=True):
        new_parts = new.reshape(*new.shape[:-1], anchors, -1)
        new_parts[..., :5] = old.reshape(*old.shape[:-1], anchors, -1)[..., :5]
    head.set_weights(weights)


def _arrays(convolution: Convolution) -> list[np.ndarray]:
    """Return a convolution's arrays in the order and layout of a file."""
    kernel, *bias = _plain(convolution.layer).get_weights()
    first = bias
    if convolution.has_norm:
        gamma, beta, mean, variance = convolution.layer.norm.get_weights()
        first = [beta, gamma, mean, variance]
    return [*first, kernel.transpose(3, 2, 0, 1)]


def warn_of_other_masks(model, path: Path, whose: str, anchors: tuple | None = None) -> None:
    """Say when whole weights of yolov4-tiny meet masks or anchors that they were not trained with.

    `whose` begins the sentence; `anchors` are those of the training, None where not known.
    """
    architecture = getattr(model, "architecture", None)
    if architecture is None or architecture.variant != "yolov4-tiny":
        return
    here = tuple((int(w), int(h)) for w, h in architecture.anchors)
    if architecture.masks != TINY_MASKS["coco"] or anchors not in (None, here):
        log.warning(
            "%s: %s of yolov4-tiny belong to masks='coco'; with other anchors "
            "or masks the boxes of the finer map are off until it is trained",
            path.name, whose,
        )  # fmt: skip


def _report(path, loaded, file_classes, model) -> None:
    everything = convolutions_of(model)
    fresh = [convolution.layer.name for convolution in everything[len(loaded) :]]
    extra = _attention_layers(model)
    head = next(convolution for convolution in everything if not convolution.has_norm)
    classes = head.layer.outputs_per_anchor - 5
    if file_classes is not None and file_classes != classes:
        fresh = [
            f"{convolution.layer.name} (class logits)"
            for convolution in everything
            if not convolution.has_norm
        ]
        log.info(
            "%s is for %d classes and this model has %d: its class logits were left out",
            path.name, file_classes, classes,
        )  # fmt: skip
    log.info(
        "%s: loaded %d of %d convolutions, %s to %s; fresh: %s",
        path.name, len(loaded), len(everything), loaded[0].layer.name, loaded[-1].layer.name,
        ", ".join([*fresh, *extra]) or "none",
    )  # fmt: skip
