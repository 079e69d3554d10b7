"""A Darknet cfg as a whole: what it says of the detector that its weights belong to."""

from __future__ import annotations

import functools
import os
from dataclasses import dataclass, field
from pathlib import Path

from yolo.errors import ConfigError
from yolo.models.darknet_cfg.layers import Layer, read_layers
from yolo.models.darknet_cfg.sections import Section, parse, read_text
from yolo.system.reading import printable

SUFFIX = ".cfg"
MAX_SIDE = 8192
MAX_FLOATS = 1 << 29  # four times those of yolov4-p6
MAX_MAP = 1 << 30  # numbers in the output of one layer


@dataclass(frozen=True, eq=False)
class Cfg:
    """A cfg file that was read and can be built.

    Args:
        text: the file, byte for byte as `text.encode("utf-8", "surrogateescape")`.
        place: names it in messages.
        net: its first section.
        layers: the others.
    """

    text: str = field(repr=False)
    place: str
    net: Section = field(repr=False)
    layers: tuple[Layer, ...] = field(repr=False)

    @functools.cached_property
    def image_size(self) -> tuple[int, int]:
        """(height, width) of the network's picture."""
        height, width = (
            self.net.integer(word, 0, least=32, most=MAX_SIDE) for word in ("height", "width")
        )
        return height, width

    @property
    def resize(self) -> str:
        """How Darknet prepares pictures for it, as one of `RESIZE_MODES`."""
        return "letterbox" if self.net.flag("letter_box") else "stretch"

    @functools.cached_property
    def heads(self) -> tuple[int, ...]:
        """Numbers of the [yolo] layers, in the order of the file."""
        return tuple(n for n, layer in enumerate(self.layers) if layer.kind == "yolo")

    @functools.cached_property
    def finest_first(self) -> tuple[int, ...]:
        """Numbers of the [yolo] layers by their stride."""
        return tuple(sorted(self.heads, key=lambda number: self.layers[number].stride))

    @property
    def classes(self) -> int:
        """How many classes it tells apart."""
        return self.layers[self.heads[0]].settings["classes"]

    @property
    def strides(self) -> tuple[int, ...]:
        """Pixels between the cells of each head, finest first."""
        return tuple(int(self.layers[number].stride) for number in self.finest_first)

    @property
    def anchors(self) -> tuple[tuple[float, float], ...]:
        """All (width, height); where [yolo] sections have different lists, one behind the other."""
        return tuple(anchor for shapes in self._lists() for anchor in shapes)

    @property
    def masks(self) -> tuple[tuple[int, ...], ...]:
        """For each stride, finest first, the indices of its anchors."""
        lists = self._lists()
        starts = {shapes: sum(map(len, lists[:i])) for i, shapes in enumerate(lists)}
        own = [self.layers[number].settings for number in self.finest_first]
        return tuple(tuple(starts[o["anchors"]] + i for i in o["mask"]) for o in own)

    def _lists(self) -> list[tuple[tuple[float, float], ...]]:
        return list(dict.fromkeys(self.layers[n].settings["anchors"] for n in self.heads))

    def of_heads(self, name: str) -> tuple:
        """Return a setting of each [yolo], finest stride first."""
        return tuple(self.layers[number].settings[name] for number in self.finest_first)

    def feeds(self) -> dict[int, int]:
        """Return for the number of each convolution before a [yolo] that of the [yolo]."""
        return {self.layers[number].sources[0]: number for number in self.heads}

    @property
    def size_multiple(self) -> int:
        """The stride of the coarsest map, of which a picture's sides are multiples."""
        return max(int(layer.stride) for layer in self.layers)

    def check_size(self, image_size: tuple[int, int]) -> None:
        """Refuse a (height, width) of pictures at which maps that are joined do not fit each other.

        Raises:
            ConfigError: with the line of the joint.
        """
        for axis, side in zip(("height", "width"), image_size, strict=True):
            sides: list[int] = []
            for number, layer in enumerate(self.layers):
                inputs = [sides[n] if n >= 0 else side for n in layer.sources]
                if len(set(inputs)) > 1:
                    raise layer.section.fault(
                        f"with a {axis} of {side} it joins maps of {inputs} cells; a multiple of "
                        f"{self.size_multiple} fits"
                    )
                sides.append(layer.side(inputs))
                if sides[-1] < 1:
                    raise layer.section.fault(f"with a {axis} of {side} nothing is left of its map")
                if layer.kind == "yolo" and sides[-1] != -(-side // int(layer.stride)):
                    raise layer.section.fault(
                        f"layer {number} has {sides[-1]} cells for a {axis} of {side} and a stride "
                        f"of {layer.stride}; such a network is not known here"
                    )

    def floats(self, masks=None, classes: int = 0) -> list[int]:
        """Return how many numbers each convolution has in a weights file, in the file's order.

        Masks, finest stride first, and classes may be others than its own.
        """
        masks = dict(zip(self.finest_first, masks or self.masks, strict=True))
        feeds, counts = self.feeds(), []
        for number, layer in enumerate(self.layers):
            if layer.kind == "convolutional":
                own = layer.settings
                filters = layer.channels
                if number in feeds:
                    filters = len(masks[feeds[number]]) * (5 + (classes or self.classes))
                kernel = own["inputs"] // own["groups"] * own["size"] ** 2
                counts.append(filters * ((4 if own["norm"] else 1) + kernel))
        return counts

    def multiply_adds(self, image_size: tuple[int, int] | None = None) -> int:
        """Return the multiply-adds of all convolutions for one picture of (height, width)."""
        height, width = image_size or self.image_size
        kernels = [layer for layer in self.layers if layer.kind == "convolutional"]
        total = 0
        for layer, floats in zip(kernels, self.floats(), strict=True):
            bias = layer.channels * (4 if layer.settings["norm"] else 1)
            cells = -(-height // layer.stride) * -(-width // layer.stride)
            total += int(cells) * (floats - bias)
        return total

    def unused(self) -> list[tuple[Section, str, int]]:
        """Return the words of layers that no reader has asked for, each with its line."""
        sections = [layer.section for layer in self.layers]
        return [(s, word, s.words[word][1]) for s in sections for word in s.words
                if word not in s.asked]  # fmt: skip


def read(path: str | os.PathLike) -> Cfg:
    """Read a cfg file.

    Raises:
        ConfigError: one line: the file cannot be read, or with its line what cannot be built.
    """
    return from_text(read_text(path), printable(Path(path)))


def from_text(text: str, place: str) -> Cfg:
    """Return the cfg of a text that `sections.read_text` returned; `place` names its file.

    Raises:
        ConfigError: one line with the line of what cannot be built.
    """
    net, *others = parse(text, place)
    if net.integer("channels", 3, least=1, most=1 << 16) != 3:
        raise net.fault("channels other than 3 are not known here", "channels")
    found = Cfg(text, place, net, tuple(read_layers(others)))
    if not found.heads:
        raise ConfigError(f"{place}: has no [yolo]; it is of no detector that is known here")
    _check_heads(found)
    if (count := sum(found.floats())) > MAX_FLOATS:
        raise ConfigError(f"{place}: asks for {count} weights; {MAX_FLOATS} are the most")
    height, width = found.image_size
    for layer in found.layers:
        if layer.channels * height * width / layer.stride**2 > MAX_MAP:
            raise layer.section.fault(
                f"a map of {layer.channels} channels for {height}x{width} pictures is too large"
            )
    found.check_size(found.image_size)
    return found


def _check_heads(found: Cfg) -> None:
    seen: dict = {}
    for number in found.heads:
        layer = found.layers[number]
        if layer.settings["classes"] != found.classes:
            raise layer.section.fault(
                f"classes={layer.settings['classes']}, but {found.classes} in the first [yolo]",
                "classes",
            )
        if layer.stride in seen:
            raise layer.section.fault(
                f"a second [yolo] of stride {layer.stride}, beside that of line "
                f"{seen[layer.stride]}; there can be one of each"
            )
        seen[layer.stride] = layer.section.line
