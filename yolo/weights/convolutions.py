"""The numbered convolutions of a network, which Darknet and the tutorials count as we do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from yolo.errors import WeightsError
from yolo.weights.heads import Meaning, fill_head

# Networks by the number of their convolutions, and those that have a backbone's alone.
WHOLE = {110: "yolov4", 21: "yolov4-tiny"}
BACKBONES = {72: "yolov4", 15: "yolov4-tiny"}
UNKNOWN = Meaning()


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


def assign(
    convolution: Convolution, arrays: dict[str, np.ndarray], model=None, theirs: Meaning = UNKNOWN
) -> bool:
    """Give a convolution its arrays; for heads, those of `model`, see `fill_head`.

    The arrays are "kernel" (height, width, in, out), "beta" and, with norm, "gamma", "mean" and
    "variance", each (out,); `theirs` is what the outputs of the file's heads mean.

    Returns:
        Whether a head's boxes were moved to other anchors.
    """
    plain = convolution.plain
    if convolution.has_norm:
        norm = convolution.layer.norm
        norm.beta.assign(arrays["beta"])
        norm.gamma.assign(arrays["gamma"])
        norm.moving_mean.assign(arrays["mean"])
        norm.moving_variance.assign(arrays["variance"])
        plain.kernel.assign(arrays["kernel"])
        return False
    kernel, bias = arrays["kernel"], arrays["beta"]
    if convolution.is_head:
        return fill_head(model, convolution.layer, kernel, bias, theirs)
    plain.kernel.assign(kernel)
    plain.bias.assign(bias)
    return False
