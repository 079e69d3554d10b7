"""torchvision's checkpoints: whole RetinaNets, and ResNets as their backbones.

Read are `.pth` files (through PyTorch, data only), and the same names in `.safetensors` or
`.npz` files without PyTorch. Reference: torchvision 0.28, models/detection/retinanet.py.
"""

from __future__ import annotations

import json
import logging
import re
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from yolo.classes import COCO_CATEGORIES
from yolo.errors import WeightsError
from yolo.models.retinanet.settings import from_profile
from yolo.system.reading import (
    MAX_BYTES,
    ZIP_DAMAGE,
    open_regular,
    printable,
    read_regular,
    reason,
    regular_file,
    shortened,
)
from yolo.weights import heads
from yolo.weights.convolutions import UNKNOWN
from yolo.weights.description import Description
from yolo.weights.heads import Meaning

log = logging.getLogger("yolo")

SUFFIXES = (".pth", ".pt", ".safetensors", ".npz")
# torchvision runs its first published COCO weights with batch norm's epsilon at 0
# (models/detection/retinanet.py, `overwrite_eps(model, 0.0)`); all others with 1e-5.
EPSILON_0 = re.compile(r"retinanet_resnet50_fpn_coco")
# Fields of the settings that say which boxes the outputs mean
_MEANING = ("anchor_offset", "rounded_anchors", "p6_from")
_HEADER_LIMIT = 100 * 2**20
_DTYPES = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "I64": "<i8", "I32": "<i4"}


def read(path: str | Path) -> TorchvisionFile:
    """Read a checkpoint, once.

    Args:
        path: `.pth`, `.safetensors` or `.npz`.

    Raises:
        WeightsError: the file is missing, damaged, or holds anything but tensors.
    """
    path = Path(path)
    epsilon = 0.0 if EPSILON_0.match(path.name) else 1e-5
    return TorchvisionFile(path, _plain_names(read_tensors(path)), epsilon)


@dataclass(frozen=True, eq=False)
class TorchvisionFile:
    """A checkpoint that was read.

    Args:
        path: where it lies.
        tensors: by "<layer of ours>.<part>".
        norm_epsilon: batch norm's epsilon that they are meant for.
    """

    path: Path
    tensors: dict[str, np.ndarray]
    norm_epsilon: float

    def describe(self) -> Description | None:
        """Return the RetinaNet that a checkpoint holds, None for a ResNet alone.

        Raises:
            WeightsError: its class logits have another shape than any RetinaNet's.
        """
        outputs = self._class_outputs()
        if outputs is None:
            return None
        block = re.compile(r"backbone_layer3_\d+\.conv1\.weight")
        third = sum(1 for name in self.tensors if block.fullmatch(name))
        depth = {6: "r50", 23: "r101", 36: "r152"}.get(third, "r50")
        if "backbone_layer1_0.conv3.weight" not in self.tensors:
            depth = "r34" if third == 6 else "r18"
        version = "v2" if "class_subnet_0_norm.weight" in self.tensors else "v1"
        return Description(
            f"retinanet-{depth}", outputs // 9, (COCO_CATEGORIES,), (640, 640),
            {"profile": f"torchvision-{version}"},
        )  # fmt: skip

    def fill(self, model, theirs: Meaning = UNKNOWN) -> int:
        """Give a RetinaNet with a ResNet all that the checkpoint has for it, or nothing.

        A checkpoint for other classes gives everything but the class logits of names that it does
        not know, which start fresh; one of a ResNet alone (ImageNet) gives the backbone. Given is
        what `DarknetFile.fill` is given; returned the number of layers filled.

        Raises:
            WeightsError: it lacks a tensor, has one of another shape or one that nothing takes,
                or holds values that no network has.
        """
        network = getattr(model, "network", model)
        if not any(layer.name == "backbone_conv1" for layer in network.layers):
            raise WeightsError(
                f"{self.path}: torchvision's weights fit a RetinaNet with a ResNet; this model is "
                f"{network.name} with another backbone"
            )
        classes, tensors = self._class_outputs(), dict(self.tensors)
        if classes is not None:
            self._refuse_other_anchors(model)
        layers = [layer for layer in network.layers if layer.weights]
        fresh = []
        if classes is None:
            fresh = ["feature pyramid", "class subnet", "box subnet"]
            layers = [layer for layer in layers if layer.name.startswith("backbone_")]
        else:
            ours = getattr(model, "classes", ())
            logits = network.get_layer("class_logits")
            other_names = bool(ours and theirs.classes) and tuple(ours) != theirs.classes
            if other_names or classes != logits.kernel.shape[-1]:
                heads.tell_shared(self.path, ours, theirs.classes)
                kernel, bias = (tensors.get(f"class_logits.{p}") for p in ("weight", "bias"))
                if kernel is not None and bias is not None:
                    found = heads.logits_by_name(
                        logits, (kernel.transpose(2, 3, 1, 0), bias), ours, theirs.classes
                    )
                    tensors["class_logits.weight"] = found[0].transpose(3, 2, 0, 1)
                    tensors["class_logits.bias"] = found[1]
                if not heads.shared_classes(ours, theirs.classes):
                    fresh = ["class_logits"]
        values = [_arrays_of(layer, tensors, self.path, self.norm_epsilon) for layer in layers]
        if tensors:
            raise WeightsError(
                f"{self.path}: nothing in this network takes {_some(tensors)}; torchvision's "
                "retinanet_resnet50_fpn needs profile='torchvision-v1', its _v2 'torchvision-v2'"
            )
        for layer, arrays in zip(layers, values, strict=True):
            layer.set_weights(arrays)
        log.info(
            "%s: loaded %d layers; fresh: %s",
            self.path.name, len(layers), ", ".join(fresh) or "none",
        )  # fmt: skip
        return len(layers)

    def _refuse_other_anchors(self, model) -> None:
        """Refuse a RetinaNet whose outputs mean other boxes than those of the file.

        A ResNet alone fits every profile: all have torchvision's.

        Raises:
            WeightsError: its anchors stand elsewhere, or P6 is made from another map.
        """
        found, architecture = self.describe(), getattr(model, "architecture", None)
        if found is None or architecture is None:
            return
        profile = found.options["profile"]
        theirs = from_profile(profile)
        wrong = [name for name in _MEANING if getattr(architecture, name) != getattr(theirs, name)]
        if wrong:
            raise WeightsError(
                f"{printable(self.path)}: is of the profile {profile}, whose {wrong[0]} is "
                f"{getattr(theirs, wrong[0])!r}, not {getattr(architecture, wrong[0])!r}: choose "
                f"--profile {profile}"
            )

    def _class_outputs(self) -> int | None:
        """Return the outputs that predict classes, 9 for each; None for a ResNet alone."""
        if "class_logits.weight" not in self.tensors:
            return None
        shape = self.tensors["class_logits.weight"].shape
        if len(shape) != 4 or shape[0] % 9 or not shape[0]:
            raise WeightsError(
                f"{printable(self.path)}: class_logits.weight has the shape {shape}; expected four "
                "dimensions, the first 9 for each class; the file is damaged"
            )
        return shape[0]


def read_tensors(path: Path) -> dict[str, np.ndarray]:
    """Return every tensor of a checkpoint by its name, as NumPy arrays.

    Raises:
        WeightsError: the file is missing, damaged, or holds anything but tensors.
    """
    readers = {".npz": _read_npz, ".safetensors": _read_safetensors, ".pth": _read_torch,
               ".pt": _read_torch}  # fmt: skip
    if path.suffix not in readers:
        raise WeightsError(f"{printable(path)}: expected one of {', '.join(SUFFIXES)}")
    regular_file(path, error=WeightsError)
    tensors = readers[path.suffix](path)
    for name, tensor in tensors.items():
        if tensor.dtype.kind not in "fiu":
            raise WeightsError(
                f"{printable(path)}: {shortened(name)} is {tensor.dtype}, no tensor of numbers"
            )
    return tensors


def _read_npz(path: Path) -> dict[str, np.ndarray]:
    try:
        with open_regular(path, error=WeightsError) as file:
            with zipfile.ZipFile(file) as archive:
                members = archive.infolist()
            unpacked = sum(member.file_size for member in members)
            if unpacked > MAX_BYTES:
                raise ValueError(f"{unpacked} bytes when unpacked")
            kinds = {member.compress_type for member in members}
            if not kinds <= {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}:
                raise ValueError("packed as NumPy does not pack")
            file.seek(0)
            with np.load(file, allow_pickle=False) as arrays:
                return {name: arrays[name] for name in arrays.files}
    # A header may claim an array that no memory holds.
    except (*ZIP_DAMAGE, MemoryError) as error:
        raise WeightsError(
            f"{printable(path)}: not a whole .npz archive of arrays ({reason(error)})"
        ) from None


def _read_torch(path: Path) -> dict[str, np.ndarray]:
    import pickle

    try:
        import torch
    except ImportError as error:
        raise WeightsError(
            f"{path}: reading .pth needs PyTorch: pip install torch; or convert the file "
            "to .safetensors"
        ) from error
    try:
        found = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, ValueError, OSError) as error:
        raise WeightsError(
            f"{path}: not a PyTorch file of tensors alone ({reason(error)})"
        ) from error
    if not isinstance(found, dict) or not all(torch.is_tensor(t) for t in found.values()):
        raise WeightsError(f"{path}: expected a state dict, names to tensors")
    tensors = {}
    for name, tensor in found.items():
        tensor = tensor.detach()  # a parameter
        try:
            # NumPy has no bfloat16, whose every number is one of float32, too.
            plain = tensor.float() if tensor.dtype is torch.bfloat16 else tensor
            tensors[str(name)] = plain.numpy()
        except (TypeError, RuntimeError) as error:
            raise WeightsError(
                f"{printable(path)}: {shortened(str(name))} is {tensor.dtype}, {tensor.layout}, "
                f"which NumPy does not have ({reason(error)}); save plain tensors"
            ) from None
    return tensors


def _read_safetensors(path: Path) -> dict[str, np.ndarray]:
    """Read the format of github.com/huggingface/safetensors: length, JSON header, bytes."""
    data = read_regular(path, error=WeightsError)
    size = int.from_bytes(data[:8], "little")
    if len(data) < 8 or size > min(_HEADER_LIMIT, len(data) - 8):
        raise WeightsError(f"{path}: not a whole .safetensors file ({len(data)} bytes)")
    try:
        header = json.loads(data[8 : 8 + size].decode("utf-8"))
        if not isinstance(header, dict):
            raise ValueError("its header is no object")
        header.pop("__metadata__", None)
        entries = sorted(header.items(), key=lambda item: item[1]["data_offsets"])
        body, position, tensors = memoryview(data)[8 + size :], 0, {}
        for name, entry in entries:
            start, end = entry["data_offsets"]
            dtype, shape = np.dtype(_DTYPES[entry["dtype"]]), tuple(entry["shape"])
            if start != position or end - start != dtype.itemsize * int(
                np.prod(shape, dtype=object)
            ):
                raise ValueError(f"tensor {name!r} does not fill its place")
            tensors[name] = np.frombuffer(body[start:end], dtype).reshape(shape)
            position = end
        if position != len(body):
            raise ValueError(f"{len(body) - position} bytes belong to no tensor")
    # JSON of other fields and values than these, or too deep
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
        raise WeightsError(
            f"{printable(path)}: not a valid .safetensors file ({reason(error)})"
        ) from None
    return tensors


# Places where torchvision's names and ours differ. Files from before torchvision 0.13 lack the
# ".0" of its wrapped convolutions and count the activations between those of the subnets.
_RENAMED = (
    (r"backbone\.body\.", ""),
    (r"(conv1|bn1)\.", r"backbone_\1."),
    (r"layer(\d)\.(\d+)\.", r"backbone_layer\1_\2."),
    (r"backbone\.fpn\.inner_blocks\.(\d)(?:\.0)?\.", lambda m: f"fpn_inner_{3 + int(m[1])}."),
    (r"backbone\.fpn\.layer_blocks\.(\d)(?:\.0)?\.", lambda m: f"fpn_output_{3 + int(m[1])}."),
    (r"backbone\.fpn\.extra_blocks\.p", "fpn_p"),
    (r"head\.classification_head\.cls_logits\.", "class_logits."),
    (r"head\.regression_head\.bbox_reg\.", "box_deltas."),
)
_SUBNET = re.compile(r"head\.(class|reg)\w+_head\.conv\.(\d)\.(?:(\d)\.)?(weight|bias)")


def _plain_names(tensors: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return the tensors under "<layer of ours>.<part>", without those that predict classes."""
    renamed = {}
    for name, tensor in tensors.items():
        if name.startswith("fc.") or name.endswith("num_batches_tracked"):
            continue
        subnet = _SUBNET.fullmatch(name)
        if subnet:
            kind, index, inner, part = subnet.groups()
            kind = "class" if kind == "class" else "box"
            index = int(index) // 2 if inner is None else int(index)
            renamed[f"{kind}_subnet_{index}{'_norm' if inner == '1' else ''}.{part}"] = tensor
            continue
        for pattern, new in _RENAMED:
            name, count = re.subn(f"^{pattern}", new, name)
            if count and not name.startswith(("conv1", "bn1", "layer")):
                break
        renamed[name] = tensor
    return renamed


def _arrays_of(layer, tensors, path: Path, norm_epsilon: float) -> list[np.ndarray]:
    """Take a layer's tensors out of the dict, in the order of its `weights`, and check them."""
    if hasattr(layer, "norm"):  # a ConvNorm: its kernel and norm have two names in torchvision
        owner, _, part = layer.name.rpartition("_")
        if layer.name == "backbone_conv1":
            kernel, norm = "backbone_conv1", "backbone_bn1"
        elif part == "downsample":
            kernel, norm = f"{owner}.downsample.0", f"{owner}.downsample.1"
        else:
            kernel, norm = f"{owner}.{part}", f"{owner}.{part.replace('conv', 'bn')}"
        names = {
            "kernel": f"{kernel}.weight", "gamma": f"{norm}.weight", "beta": f"{norm}.bias",
            "moving_mean": f"{norm}.running_mean", "moving_variance": f"{norm}.running_var",
        }  # fmt: skip
    else:
        names = {"kernel": f"{layer.name}.weight", "gamma": f"{layer.name}.weight",
                 "bias": f"{layer.name}.bias", "beta": f"{layer.name}.bias"}  # fmt: skip
    arrays = {}
    for weight in layer.weights:
        name = names[weight.name]
        if name not in tensors:
            raise WeightsError(f"{path}: lacks {name} for the layer {layer.name}")
        with np.errstate(over="ignore"):  # what becomes infinite is refused below
            array = np.asarray(tensors.pop(name), "float32")
        if array.ndim == 4:
            array = array.transpose(2, 3, 1, 0)  # torchvision: out, in, height, width
        if array.shape != tuple(weight.shape):
            raise WeightsError(
                f"{path}: {name} has the shape {array.shape} where {layer.name} has "
                f"{tuple(weight.shape)} (height, width, in, out); the file is for another network"
            )
        if not np.isfinite(array).all():
            raise WeightsError(f"{path}: {name} is not finite; the file is damaged")
        arrays[weight.name] = array
    if "moving_variance" in arrays:
        variance = arrays["moving_variance"].astype("float64")
        if (variance < 0).any() or (norm_epsilon == 0 and (variance == 0).any()):
            raise WeightsError(f"{path}: a variance of {layer.name} is no variance")
        if norm_epsilon != layer.norm.epsilon:
            # The same scale as with the file's epsilon, under this network's.
            factor = np.sqrt((variance + layer.norm.epsilon) / (variance + norm_epsilon))
            with np.errstate(over="ignore"):
                arrays["gamma"] = (arrays["gamma"] * factor).astype("float32")
            if not np.isfinite(arrays["gamma"]).all():
                raise WeightsError(f"{path}: the scales of {layer.name} are out of range")
    return [arrays[weight.name] for weight in layer.weights]


def _some(names) -> str:
    names = [printable(name)[:80] for name in sorted(names)]
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
