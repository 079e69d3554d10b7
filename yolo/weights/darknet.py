"""Darknet's `.weights` files, whole or cut off after some layer: read, checked and written.

A file is a header (three int32: major, minor, revision; then the number of pictures seen, as
uint64 from version 0.2 on, as uint32 before) and, for each convolution in the order of the
`.cfg`, little-endian float32: bias or beta (n); with batch norm gamma, mean and variance (n
each); the kernel (out, in, height, width). Reference: darknet/src/parser.c.
"""

from __future__ import annotations

import logging
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from yolo.classes import COCO_CLASSES
from yolo.errors import WeightsError
from yolo.models.darknet_cfg.cfg import Cfg
from yolo.models.darknet_cfg.known import KNOWN
from yolo.system.reading import printable, read_regular
from yolo.system.writing import write_bytes
from yolo.weights import convolutions as numbered
from yolo.weights import heads
from yolo.weights.convolutions import BACKBONES, Convolution, backbone_of
from yolo.weights.description import Description
from yolo.weights.heads import Meaning

log = logging.getLogger("yolo")

# Convolutions in the files that end early: darknet's `partial` command names them by the number
# of layers they keep (yolov4-tiny.conv.29; csdarknet53-omega's conv.105, yolov4.conv.137).
PARTIAL_FILES = {21: (17,), 110: (72, 92)}
HEADER = np.array([0, 2, 5], "<i4").tobytes() + bytes(8)
_USUAL_SIZES = "257717640 bytes for yolov4 or 24251276 for yolov4-tiny with 80 classes"
_PARTIAL_FLOATS = {"yolov4": (170_038_676 - 20) // 4, "yolov4-tiny": (19_789_716 - 20) // 4}
OURS = ("yolov4", "yolov4-tiny")
HEADER_NOTE = "darknet_header"  # of a model that was opened from a file: its header in hex


def load(model, path: str | Path) -> int:
    """Load a Darknet weights file into a YOLOv4 or YOLOv4-tiny model, or one of a cfg.

    Args:
        model: a `Detector` or its `network`.
        path: `yolov4.weights`, `yolov4-tiny.weights`, `yolov4.conv.137`, `yolov4-tiny.conv.29`
            or the file of a model's cfg, whole or cut off behind any convolution.

    Returns:
        The number of convolutions loaded.

    Raises:
        WeightsError: the file cannot be read, or as `DarknetFile.fill`.
    """
    return read(path).fill(model)


def read(path: str | Path) -> DarknetFile:
    """Read a file, once.

    Raises:
        WeightsError: the file cannot be read, or is none of Darknet's.
    """
    data = read_regular(path, error=WeightsError)
    start = _header_bytes(path, data)
    floats = np.frombuffer(data, "<f4", offset=start)
    return DarknetFile(Path(path), floats, data[:start])


@dataclass(frozen=True, eq=False)
class DarknetFile:
    """A Darknet file that was read.

    Args:
        path: where it lies.
        floats: (N,) float32, what stands behind its header.
        header: the bytes before them: its version, and how many pictures it has seen.
    """

    path: Path
    floats: np.ndarray
    header: bytes

    @property
    def size(self) -> int:
        """The file's bytes."""
        return len(self.header) + 4 * len(self.floats)

    def describe(self, cfg: Cfg | None = None) -> Description | None:
        """Return the detector that a whole file holds, None for one that was cut off.

        It is used as Darknet does: pictures are stretched, not letterboxed, unless its cfg says so.

        Args:
            cfg: what it was trained with. Without it a file whose size admits one of our two
                networks and no other is taken for that one's.

        Raises:
            WeightsError: the size fits not the cfg, or no network that we know.
        """
        if cfg is not None:
            return self._of_cfg(cfg)
        if len(self.floats) in _PARTIAL_FLOATS.values():
            return None
        found = {name: count for name in KNOWN if (count := self._classes_of(name))}
        name = next(iter(found), "")
        if len(found) != 1 or name not in OURS:
            raise WeightsError(f"{self.path}: {self._unknown(found)}")
        options = {"resize": "stretch"}
        if name == "yolov4-tiny":
            # Darknet's COCO file was trained with yolov4-tiny.cfg; its author's advice for one's
            # own data is yolov4-tiny-custom.cfg.
            options["masks"] = "coco" if found[name] == len(COCO_CLASSES) else "custom"
        return Description(name, found[name], (COCO_CLASSES,), options=options)

    def is_of(self, cfg: Cfg) -> bool:
        """Tell whether its size is that of a cfg's weights, whole or cut off."""
        return len(self.floats) in np.cumsum(cfg.floats())

    def _of_cfg(self, cfg: Cfg) -> Description | None:
        ends = np.cumsum(cfg.floats())
        if len(self.floats) == ends[-1]:
            return Description(cfg, cfg.classes, (COCO_CLASSES,), cfg.image_size)
        if len(self.floats) in ends:
            return None
        others = [n for n in range(1, 1001) if sum(cfg.floats(classes=n)) == len(self.floats)]
        raise WeightsError(
            f"{printable(self.path)}: expected {len(self.header) + 4 * ends[-1]} bytes for "
            f"{cfg.place} with {cfg.classes} classes, found {self.size}"
            + (f", which are of {others[0]} classes; " if others else "; ")
            + "give the cfg that it was trained with, --cfg FILE"
        )

    def _unknown(self, found: dict[str, int]) -> str:
        """Return why a file cannot be opened without its cfg."""
        if found:
            kinds = " or ".join(f"{name} with {count} classes" for name, count in found.items())
            return (
                f"{self.size} bytes are those of {kinds}; give its cfg with --cfg FILE, or lay it "
                "beside the weights under the same name"
            )
        return (
            f"expected {_USUAL_SIZES} (other class counts have other sizes), found {self.size} "
            "bytes, which fit no class count of either; the file is damaged or belongs to another "
            "network, whose cfg is wanted: --cfg FILE"
        )

    def fill(self, model, theirs: Meaning = numbered.UNKNOWN) -> int:
        """Give a YOLOv4, a YOLOv4-tiny or the network of a cfg all that the file has for it.

        Class logits of a whole file go by name, see `heads.fill_head`; where it has other classes
        they start fresh. A partial file gives the layers that it has. The log says which. All
        is checked before the first weight changes, else nothing does.

        Args:
            model: a `Detector` or its `network`.
            theirs: what the outputs of the file's heads mean, where they may mean others here.

        Returns:
            The number of convolutions filled.

        Raises:
            WeightsError: there are too few or too many bytes for the network, or values that no
                network has (not finite, a negative variance).
        """
        convolutions = numbered.convolutions_of(model)
        if backbone_of(model):
            return self._fill_backbone(convolutions)
        ends = np.cumsum([convolution.floats for convolution in convolutions])
        known = PARTIAL_FILES.get(len(convolutions), ())
        if getattr(model, "network", model).name == "darknet":  # cut off behind any convolution
            known = tuple(range(1, len(convolutions)))
        partial = [n for n in known if ends[n - 1] == len(self.floats)]
        file_classes = None
        if partial:
            convolutions = convolutions[: partial[0]]
        else:
            file_classes = self._class_count(convolutions)
        moved = self._give(convolutions, file_classes, model, theirs)
        self._report(convolutions, file_classes, model, theirs)
        if moved:
            heads.tell_moved(self.path)
        return len(convolutions)

    def _fill_backbone(self, convolutions: list[Convolution]) -> int:
        """Fill a network that has the first convolutions of a file, whole or partial, alone."""
        network = BACKBONES[len(convolutions)]
        own = sum(convolution.floats for convolution in convolutions)
        partial = len(self.floats) in (own, _PARTIAL_FLOATS[network])
        if not partial and not self._classes_of(network):
            raise WeightsError(
                f"{self.path}: expected a file of {network}, whole or cut off after its backbone, "
                f"for this network; found {self.size} bytes, which fit none; the file is damaged "
                "or belongs to another network"
            )
        self._give(convolutions, None, None, numbered.UNKNOWN)
        log.info(
            "%s: loaded the backbone, %d convolutions; fresh: all others",
            self.path.name, len(convolutions),
        )  # fmt: skip
        return len(convolutions)

    def _classes_of(self, network: str) -> int:
        """Return for how many classes it is a whole file of a network, 0 if it is none."""
        known = KNOWN[network]
        classes, left = divmod(len(self.floats) - known.floats, known.floats_per_class)
        return 0 if left else max(classes, 0)

    def _class_count(self, convolutions: list[Convolution]) -> int:
        """Return for how many classes it is, or explain why it is for none."""
        heads = [convolution for convolution in convolutions if convolution.is_head]
        rest = sum(convolution.floats for convolution in convolutions if not convolution.is_head)
        per_output = sum(head.anchors * (head.inputs * head.size**2 + 1) for head in heads)
        classes, left = divmod(len(self.floats) - rest - 5 * per_output, per_output)
        if left or classes < 1:
            expected = sum(convolution.floats for convolution in convolutions)
            raise WeightsError(
                f"{self.path}: expected {20 + 4 * expected} bytes for this network (or the size "
                f"for another class count), found {self.size}; the file is cut short, has bytes "
                "left over, or belongs to another network"
            )
        return classes

    def _give(
        self, convolutions: list[Convolution], file_classes: int | None, model, theirs: Meaning
    ) -> bool:
        """Cut the floats into arrays, kernels as (height, width, in, out), check and assign.

        Returns:
            Whether heads' boxes were moved to other anchors.
        """
        values, start = [], 0

        def take(*shape):
            nonlocal start
            count = int(np.prod(shape))
            start += count
            return self.floats[start - count : start].reshape(shape)

        for number, convolution in enumerate(convolutions):
            n, names = convolution.filters, ["beta", "gamma", "mean", "variance"]
            if not convolution.has_norm:
                names = ["beta"]
                if convolution.is_head and file_classes is not None:
                    n = convolution.anchors * (5 + file_classes)
            arrays = {name: take(n) for name in names}
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
                        f"{self.path}: a {name} of convolution {number} {wrong}; the file is "
                        "damaged"
                    )
            values.append(arrays)
        return any(
            [
                numbered.assign(convolution, arrays, model, theirs)
                for convolution, arrays in zip(convolutions, values, strict=True)
            ]
        )

    def _report(
        self, loaded: list[Convolution], file_classes: int | None, model, theirs: Meaning
    ) -> None:
        everything = numbered.convolutions_of(model)
        fresh = [convolution.layer.name for convolution in everything[len(loaded) :]]
        extra = numbered.attention_layers(model)
        ends = [convolution for convolution in everything if convolution.is_head]
        classes = ends[0].layer.outputs_per_anchor - 5
        ours = getattr(model, "classes", ())
        if file_classes is not None:
            heads.tell_shared(self.path, ours, theirs.classes)
        if file_classes not in (None, classes) and not heads.shared_classes(ours, theirs.classes):
            fresh = [f"{head.layer.name} (class logits)" for head in ends]
            log.info(
                "%s is for %d classes and this model has %d: its class logits were left out",
                self.path.name, file_classes, classes,
            )  # fmt: skip
        log.info(
            "%s: loaded %d of %d convolutions, %s to %s; fresh: %s",
            self.path.name, len(loaded), len(everything), loaded[0].layer.name,
            loaded[-1].layer.name, ", ".join([*fresh, *extra]) or "none",
        )  # fmt: skip


def _header_bytes(path: str | Path, data: bytes) -> int:
    """Return the length of a file's header, 16 or 20, if the file can be one of Darknet's."""
    size = len(data)
    if size < 20:
        raise WeightsError(
            f"{path}: expected {_USUAL_SIZES}, found {size} bytes, fewer than a Darknet header; "
            "download it again"
        )
    major, minor, _ = np.frombuffer(data, "<i4", 3)
    if not (0 <= major <= 1 and 0 <= minor <= 10):
        raise WeightsError(
            f"{path}: not a Darknet weights file (version {major}.{minor} in its header); "
            "a web page saved under this name looks like that too"
        )
    header = 20 if major * 10 + minor >= 2 else 16
    if (size - header) % 4:
        raise WeightsError(
            f"{path}: expected {_USUAL_SIZES}, found {size} bytes, which are not a {header}-byte "
            "header and whole float32 values of 4 bytes; the file is damaged, download it again"
        )
    return header


def save(model, path: str | Path) -> None:
    """Write a model as a Darknet weights file, complete or not at all.

    A model that was opened from such a file has the file's own header.

    Args:
        model: a YOLOv4 `Detector`, or one of a cfg, or its `network`.
        path: the file to write; it is replaced only when the new one is complete.

    Raises:
        WeightsError: the network has parts that Darknet's format has no place for.
        YoloError: the file cannot be written.
    """
    write_bytes(path, to_bytes(model, path))


def to_bytes(model, path: str | Path) -> bytes:
    """Return what `save` writes; for arguments and errors see there."""
    if backbone_of(model):
        raise WeightsError(f"{path}: Darknet has no RetinaNet; save the model as .keras")
    convolutions = numbered.convolutions_of(model)
    attention = numbered.attention_layers(model)
    if attention:
        raise WeightsError(
            f"{path}: Darknet's format has no place for attention ({', '.join(attention)}); "
            "save the model as .keras"
        )
    parts = [_header_of(model)]
    for convolution in convolutions:
        parts += [np.ascontiguousarray(array, "<f4").tobytes() for array in _arrays(convolution)]
    return b"".join(parts)


def _header_of(model) -> bytes:
    """Return the header that a model was opened with, or a usual one."""
    noted = getattr(model, "notes", {}).get(HEADER_NOTE, "")
    if isinstance(noted, str) and re.fullmatch(r"(?:[0-9a-f]{32}|[0-9a-f]{40})", noted):
        return bytes.fromhex(noted)
    return HEADER


def _arrays(convolution: Convolution) -> list[np.ndarray]:
    """Return a convolution's arrays in the order and layout of a file."""
    kernel, *bias = convolution.plain.get_weights()
    first = bias
    if convolution.has_norm:
        gamma, beta, mean, variance = convolution.layer.norm.get_weights()
        first = [beta, gamma, mean, variance]
    return [*first, kernel.transpose(3, 2, 0, 1)]
