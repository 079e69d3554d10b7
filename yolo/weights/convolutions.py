"""The numbered convolutions of a network, which Darknet and the tutorials count as we do."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from yolo.errors import WeightsError
from yolo.models.yolov4.settings import TINY_MASKS

log = logging.getLogger("yolo")

# Networks by the number of their convolutions, and those that have a backbone's alone.
WHOLE = {110: "yolov4", 21: "yolov4-tiny"}
BACKBONES = {72: "yolov4", 15: "yolov4-tiny"}


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
        """Whether batch norm follows; heads, and some layers of a cfg, have a bias instead."""
        return hasattr(self.layer, "norm")

    @property
    def is_head(self) -> bool:
        """Whether its outputs are boxes, which its builder notes on its layer."""
        return hasattr(self.layer, "outputs_per_anchor")

    @property
    def plain(self) -> Any:
        """The Keras convolution: the layer's own, or itself in a head."""
        return getattr(self.layer, "convolution", self.layer)

    @property
    def anchors(self) -> int:
        """A head's anchors of a cell."""
        return self.filters // self.layer.outputs_per_anchor

    @property
    def floats(self) -> int:
        """The numbers it has in a Darknet file."""
        return self.filters * ((4 if self.has_norm else 1) + self.inputs * self.size**2)


def backbone_of(model) -> str | None:
    """Return whose backbone a RetinaNet has, None for a network that is Darknet's altogether."""
    network = getattr(model, "network", model)
    count = sum("_conv_" in layer.name for layer in network.layers)
    return BACKBONES.get(count) if network.name.startswith("retinanet") else None


def convolutions_of(model) -> list[Convolution]:
    """Return the convolutions of a model or its network in the order of Darknet's file.

    Raises:
        WeightsError: it is no YOLOv4, YOLOv4-tiny or network of a cfg.
    """
    network = getattr(model, "network", model)
    found = [layer for layer in network.layers if "_conv_" in layer.name]
    found.sort(key=lambda layer: int(layer.name.rsplit("_", 1)[1]))
    if not found or (network.name != "darknet" and len(found) not in {**WHOLE, **BACKBONES}):
        raise WeightsError(
            "Darknet weights fit yolov4, yolov4-tiny, models of a cfg and RetinaNets with their "
            f"backbones; this model is {network.name!r} with {len(found)} numbered convolutions"
        )
    convolutions = []
    for layer in found:
        plain = getattr(layer, "convolution", layer)
        size, _, inputs, filters = plain.kernel.shape
        convolutions.append(Convolution(layer, filters, inputs, size))
    return convolutions


def attention_layers(model) -> list[str]:
    """Return the layers with weights that no Darknet file knows."""
    network = getattr(model, "network", model)
    return [layer.name for layer in network.layers if layer.weights and "_conv_" not in layer.name]


def assign(convolution: Convolution, arrays: dict[str, np.ndarray]) -> None:
    """Give a convolution its arrays; a head of another class count keeps its class logits.

    Args:
        convolution: where they go.
        arrays: "kernel" (height, width, in, out), "beta" and, with norm, "gamma", "mean" and
            "variance", each (out,).
    """
    plain = convolution.plain
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
