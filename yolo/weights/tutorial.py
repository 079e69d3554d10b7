"""The `.h5` weight files of the YOLOv4 and YOLOv4-tiny tutorials for TensorFlow 2, read in order.

Such a file is what Keras 2's `save_weights` wrote: a group for each layer, named by Keras as it
was made: conv2d, conv2d_1, ... and batch_normalization, batch_normalization_1, ... The layers were
made in the order of Darknet's `.cfg`, which is the order of our numbered convolutions.
Reference: bubbliiiing/yolov4-tf2 and yolov4-tiny-tf2, nets/yolo.py and nets/attention.py.
"""

from __future__ import annotations

import logging
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from yolo.classes import COCO_CLASSES, VOC_CLASSES
from yolo.errors import WeightsError
from yolo.models.layers import NORM_EPSILON
from yolo.system import hdf5
from yolo.system.reading import open_regular, printable, reason, shortened
from yolo.weights import convolutions as numbered
from yolo.weights import heads, keras2_names
from yolo.weights.convolutions import BACKBONES, WHOLE
from yolo.weights.description import Description
from yolo.weights.heads import Meaning

log = logging.getLogger("yolo")

SUFFIXES = (".h5", ".hdf5")
# Keras's default, which the tutorials leave; Darknet and our networks have 1e-5.
_EPSILON = 1e-3
_NUMBERED = re.compile(r"(conv2d|batch_normalization)(?:_v\d)?(?:_(\d+))?")
_PLACES = {"feat1": "16", "feat2": "32", "P5_upsample": "up"}
_ATTENTION = {
    "se_block_one": ("se", "squeeze"),
    "se_block_two": ("se", "excite"),
    "channel_attention_shared_one": ("cbam", "squeeze"),
    "channel_attention_shared_two": ("cbam", "excite"),
    "spatial_attention": ("cbam", "places"),
    "eca_layer": ("eca", "mix"),
}


@dataclass(frozen=True, eq=False)
class TutorialFile:
    """A tutorial's file that was read.

    Args:
        path: where it lies.
        convolutions: their arrays by our names, in order.
        norms: likewise of the batch normalizations.
        attention: kernels by the names of our layers.
        kind: of the attention: "none", "se", "cbam" or "eca".
        unknown: layers that ours have no place for.
    """

    path: Path
    convolutions: list[dict[str, np.ndarray]]
    norms: list[dict[str, np.ndarray]]
    attention: dict[str, np.ndarray]
    kind: str
    unknown: list[str]

    def describe(self) -> Description | None:
        """Return the detector that a file holds, None for a backbone alone.

        Raises:
            WeightsError: it is of neither network, or has layers without which it cannot predict
                and that ours have no place for.
        """
        if len(self.convolutions) in BACKBONES:
            return None
        if len(self.convolutions) not in WHOLE:
            raise WeightsError(
                f"{self.path}: has {len(self.convolutions)} convolutions; expected 110 (yolov4) or "
                "21 (yolov4-tiny)"
            )
        if self.unknown:
            raise WeightsError(
                f"{self.path}: holds {', '.join(self.unknown[:4])}, for which there is no place "
                "here; it can start a training (train.py --weights), but not predict"
            )
        outputs = [len(arrays["beta"]) for arrays in self.convolutions if "beta" in arrays]
        classes = {count // 3 - 5 for count in outputs if count % 3 == 0}
        if len(classes) != 1 or min(classes) < 1:
            raise WeightsError(f"{self.path}: heads with {outputs} outputs are of no YOLOv4")
        name = WHOLE[len(self.convolutions)]
        options = {"masks": "coco", "attention": self.kind} if name == "yolov4-tiny" else {}
        return Description(name, classes.pop(), (COCO_CLASSES, VOC_CLASSES), options=options)

    def fill(self, model, theirs: Meaning = numbered.UNKNOWN) -> int:
        """Give a YOLOv4 or YOLOv4-tiny all that the file has for it, or nothing.

        The norms' epsilon, 1e-3 there, is folded into their variances. Class logits go by name,
        see `heads.fill_head`; a file of a backbone gives the backbone; the log says so, and names
        what found no place.

        Raises:
            WeightsError: it is of another network.
        """
        network = getattr(model, "network", model)
        ours = numbered.convolutions_of(model)
        kinds = {**WHOLE, **BACKBONES}
        if kinds.get(len(self.convolutions), "") != kinds.get(len(ours)):
            raise WeightsError(
                f"{self.path}: has {len(self.convolutions)} convolutions, {network.name} has "
                f"{len(ours)}; it is of another network"
            )
        # Either of the two may be a backbone alone, with which the other begins.
        norms = iter(_norms(self))
        pairs = []
        for number, (layer, arrays) in enumerate(zip(ours, self.convolutions, strict=False)):
            norm = next(norms) if layer.has_norm else {}
            pairs.append((layer, _checked(layer, {**arrays, **norm}, number, self.path)))
        layers = {layer.name: layer for layer in network.layers}
        known = {name: kernel for name, kernel in self.attention.items() if name in layers}
        for name, kernel in known.items():
            if layers[name].kernel.shape != kernel.shape:
                raise WeightsError(
                    f"{self.path}: {name} has the shape {kernel.shape}, not the network's"
                )
            if not np.isfinite(kernel).all():
                raise WeightsError(f"{self.path}: {name} holds numbers that are not finite")
        moved = [numbered.assign(layer, arrays, model, theirs) for layer, arrays in pairs]
        for name, kernel in known.items():
            layers[name].kernel.assign(kernel)
            if getattr(layers[name], "bias", None) is not None:
                layers[name].bias.assign(np.zeros(layers[name].bias.shape))  # theirs have none
        if not all(layer.has_norm for layer, _ in pairs):
            heads.tell_shared(self.path, getattr(model, "classes", ()), theirs.classes)
        if any(moved):
            heads.tell_moved(self.path)
        _report(self, pairs, network, known)
        return len(pairs)


def read(path: str | Path) -> TutorialFile:
    """Read a file, once, in the order in which its layers were made.

    Raises:
        WeightsError: the file cannot be read, or is no such file.
    """
    path = Path(path)
    numbered: dict[str, dict] = {"conv2d": {}, "batch_normalization": {}}
    attention, kinds, unknown = {}, set(), []
    for name, arrays in _layers(path):
        match = _NUMBERED.fullmatch(name)
        place = next((place for place in _PLACES if name.endswith(f"_{place}")), "")
        stem = name.removesuffix(f"_{place}")
        if match:
            numbered[match[1]][int(match[2] or 0)] = arrays
        elif stem in _ATTENTION and place and set(arrays) == {"kernel"}:
            kind, part = _ATTENTION[stem]
            kinds.add(kind)
            attention[f"attention_{_PLACES[place]}_{part}"] = arrays["kernel"]
        else:
            unknown.append(name)
    ordered = {
        kind: [layers[number] for number in sorted(layers)] for kind, layers in numbered.items()
    }
    if not ordered["conv2d"]:
        raise WeightsError(f"{path}: has no layer named conv2d; it is no file of the tutorial")
    return TutorialFile(
        path, ordered["conv2d"], ordered["batch_normalization"], attention,
        kinds.pop() if len(kinds) == 1 else "none", unknown,
    )  # fmt: skip


def _layers(path: Path):
    """Yield (name, {part: array}) for each layer with weights of a Keras 2 file."""
    with open_regular(path, error=WeightsError) as opened:
        try:
            with h5py.File(opened, "r") as file:
                plain = "model_weights" in file and file.get("model_weights", getlink=True)
                prefix = "model_weights/" if isinstance(plain, h5py.HardLink) else ""
                root = file[prefix or "/"]
                if not isinstance(root, h5py.Group) or "layer_names" not in root.attrs:
                    raise WeightsError(
                        f"{printable(path)}: not a weights file of Keras 2 (it has no "
                        "layer_names); a file of ours ends in .keras"
                    )
                names = keras2_names.read(file, path, prefix or "/")
                for name, parts in names.items():
                    arrays = {_part(part): _array(file, f"{prefix}{name}/{part}") for part in parts}
                    if arrays:
                        yield name, arrays
        except hdf5.Unfit as error:
            raise WeightsError(
                f"{printable(path)}: {printable(str(error))}; the file is damaged"
            ) from None
        except hdf5.DAMAGE as error:
            raise WeightsError(
                f"{printable(path)}: damaged, or no HDF5 file ({reason(error)})"
            ) from None


def _array(file: h5py.File, place: str) -> np.ndarray:
    found = hdf5.dataset(file, place)
    if found.dtype.kind != "f":
        raise hdf5.Unfit(f"the tensor {printable(place)[:120]} is {found.dtype}, no floats")
    with np.errstate(over="ignore"):  # what becomes infinite is refused with its number
        return np.asarray(found[()], "float32")


_PARTS = {"bias": "beta", "moving_mean": "mean", "moving_variance": "variance"}


def _part(name: str) -> str:
    """Return our name of a weight called like conv2d_3/kernel:0."""
    name = name.rpartition("/")[2].partition(":")[0]
    return _PARTS.get(name, name)


def _norms(found: TutorialFile) -> list[dict[str, Any]]:
    """Return the norms with our epsilon; every convolution without a bias has one."""
    wanted = sum("beta" not in arrays for arrays in found.convolutions)
    if len(found.norms) != wanted:
        raise WeightsError(
            f"{found.path}: has {len(found.norms)} batch normalizations, expected {wanted} for its "
            f"{len(found.convolutions)} convolutions; it is of another network"
        )
    if any((norm.get("variance", np.zeros(0)) < 0).any() for norm in found.norms):
        raise WeightsError(f"{printable(found.path)}: a variance is negative; the file is damaged")
    # What counts is variance + epsilon.
    shift = np.float32(_EPSILON - NORM_EPSILON)
    return [{**norm, "variance": norm.get("variance", 0) + shift} for norm in found.norms]


def _checked(layer, arrays, number: int, path: Path) -> dict[str, np.ndarray]:
    """Return a convolution's arrays if the network's layer can take them."""
    wanted = {"kernel", "beta"} | ({"gamma", "mean", "variance"} if layer.has_norm else set())
    kernel = arrays.get("kernel", np.zeros(0))
    filters = kernel.shape[-1] if kernel.ndim == 4 else 0
    fits = kernel.shape == (layer.size, layer.size, layer.inputs, filters)
    if layer.has_norm:
        fits = fits and filters == layer.filters
    else:
        fits = fits and filters % layer.anchors == 0 and filters // layer.anchors > 5
    others = wanted & set(arrays) - {"kernel"}
    fits = fits and all(arrays[name].shape == (filters,) for name in others)
    if set(arrays) != wanted or not fits:
        raise WeightsError(
            f"{path}: convolution {number} has {_shapes(arrays)}; "
            f"{layer.layer.name} takes {(layer.size, layer.size, layer.inputs, layer.filters)}"
        )
    if not all(np.isfinite(array).all() for array in arrays.values()):
        raise WeightsError(f"{path}: convolution {number} holds numbers that are not finite")
    return arrays


def _shapes(arrays: dict[str, np.ndarray]) -> str:
    """Return the arrays' names and shapes in words, the first five of them."""
    parts = [f"{shortened(name)} {array.shape}" for name, array in sorted(arrays.items())]
    return ", ".join(parts[:5]) or "nothing"


def _report(found: TutorialFile, pairs, network, attention) -> None:
    heads = [layer.layer for layer, _ in pairs if not layer.has_norm]
    fresh = [
        f"{layer.layer.name} (class logits)"
        for layer, arrays in pairs
        if not layer.has_norm and arrays["kernel"].shape[-1] != layer.filters
    ]
    taken = {layer.layer.name for layer, _ in pairs} | set(attention)
    fresh += [x.name for x in network.layers if x.weights and x.name not in taken]
    log.info(
        "%s: loaded %d convolutions and %d of attention; fresh: %s",
        found.path.name, len(pairs), len(attention), ", ".join(fresh) or "none",
    )  # fmt: skip
    left_out = [*found.unknown, *sorted(set(found.attention) - set(attention))]
    if left_out:
        log.warning("%s: no place here for %s", found.path.name, ", ".join(left_out))
    if heads and not fresh:
        log.info(
            "%s: the tutorial decodes without Darknet's scale_x_y; centres differ from its own by "
            "0.8 pixels at most", found.path.name,
        )  # fmt: skip
