"""What a cfg's sections say, checked: layers with their sources, channels and strides.

Nothing here needs Keras: what is wrong with a cfg is said before any memory is asked for.
Reference: darknet/src/parser.c, `parse_*`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from fractions import Fraction

from yolo.models.darknet_cfg.sections import Section
from yolo.system.reading import shortened

PICTURE = -1  # the source of the first layer
ACTIVATIONS = ("linear", "leaky", "mish", "swish", "logistic", "relu")
_SHORT = {"conv": "convolutional", "max": "maxpool"}
MAX_FILTERS = 1 << 16
MAX_LAYER = 1 << 28  # numbers in the kernel of one convolution


@dataclass(frozen=True)
class Layer:
    """A layer of the network, numbered as Darknet does: 0 follows [net].

    Args:
        kind: "convolutional", "maxpool", "upsample", "route", "shortcut" or "yolo".
        section: where it stands in the file.
        sources: numbers of the layers whose outputs it takes; -1 is the picture.
        channels: of its output.
        stride: pixels of the picture between two cells of its output.
        settings: what its kind has of its own.
    """

    kind: str
    section: Section = field(repr=False)
    sources: tuple[int, ...]
    channels: int
    stride: Fraction
    settings: dict

    def side(self, sides: list[int]) -> int:
        """Return the rows (or columns) of its output, given those of its sources."""
        own, side = self.settings, sides[0]
        if self.kind in ("convolutional", "maxpool"):
            pads = 2 if self.kind == "convolutional" else 1
            return (side + pads * own["padding"] - own["size"]) // own["stride"] + 1
        return side * own["times"] if self.kind == "upsample" else side


def read_layers(sections: list[Section]) -> list[Layer]:
    """Return the layers of a cfg, whose sections behind [net] are given.

    Raises:
        ConfigError: one line that names the line of what cannot be built.
    """
    layers: list[Layer] = []
    for section in sections:
        kind = _SHORT.get(section.kind, section.kind)
        reader = _READERS.get(kind)
        if reader is None:
            raise section.fault(
                f"[{shortened(section.kind)[1:-1]}] is no layer of a detector that is known here: "
                f"{', '.join(_READERS)}"
            )
        layers.append(reader(section, layers))
    return layers


def _previous(section: Section, layers: list[Layer]) -> tuple[int, int, Fraction]:
    """Return number, channels and stride of what the next layer takes by default."""
    if not layers:
        return PICTURE, 3, Fraction(1)
    number = len(layers) - 1
    _refuse_yolo(section, layers, number)
    return number, layers[-1].channels, layers[-1].stride


def _refuse_yolo(section: Section, layers: list[Layer], number: int, word: str = "") -> None:
    if layers[number].kind == "yolo":
        raise section.fault(
            f"takes layer {number}, a [yolo], whose boxes no layer can go on with", word
        )


def _activation(section: Section, default: str) -> str:
    found = section.word("activation", default)
    if found not in ACTIVATIONS:
        hint = "; Darknet takes a remark behind a word for a part of it" if "#" in found else ""
        raise section.fault(
            f"activation={shortened(found)} is none of {', '.join(ACTIVATIONS)}{hint}", "activation"
        )
    return found


def _convolutional(section: Section, layers: list[Layer]) -> Layer:
    source, inputs, stride = _previous(section, layers)
    filters = section.integer("filters", 1, least=1, most=MAX_FILTERS)
    size = section.integer("size", 1, least=1, most=64)
    step = section.integer("stride", 1, least=1, most=64)
    groups = section.integer("groups", 1, least=1, most=MAX_FILTERS)
    for word, same in (("stride_x", step), ("stride_y", step), ("dilation", 1)):
        if section.integer(word, same, least=1, most=64) != same:
            raise section.fault(f"{word} other than {same} is not known here", word)
    for word in ("antialiasing", "assisted_excitation", "share_index", "binary", "xnor", "sway",
                 "rotate", "stretch", "stretch_sway", "flipped", "dontload", "deform"):  # fmt: skip
        if section.word(word, "0").partition("#")[0] not in ("0", "0.0"):
            raise section.fault(f"{word} is not known here", word)
    if inputs % groups or filters % groups:
        raise section.fault(
            f"groups={groups} divides not both {inputs} channels and {filters} filters", "groups"
        )
    if filters * (inputs // groups) * size * size > MAX_LAYER:
        raise section.fault(
            f"filters={filters}: a kernel of {filters} x {inputs // groups} x {size} x {size} "
            "numbers is too large",
            "filters",
        )
    padding = section.integer("padding", 0, least=0, most=64)
    own = {
        "filters": filters,
        "inputs": inputs,
        "size": size,
        "stride": step,
        "groups": groups,
        "padding": size // 2 if section.flag("pad") else padding,
        "norm": section.flag("batch_normalize"),
        "activation": _activation(section, "logistic"),
    }
    return Layer("convolutional", section, (source,), filters, stride * step, own)


def _maxpool(section: Section, layers: list[Layer]) -> Layer:
    source, channels, stride = _previous(section, layers)
    step = section.integer("stride", 1, least=1, most=64)
    size = section.integer("size", step, least=1, most=256)
    padding = section.integer("padding", size - 1, least=0, most=256)
    for word, same in (("stride_x", step), ("stride_y", step), ("maxpool_depth", 0),
                       ("antialiasing", 0)):  # fmt: skip
        if section.integer(word, same, least=0, most=64) != same:
            raise section.fault(f"{word} is not known here", word)
    own = {"size": size, "stride": step, "padding": padding}
    return Layer("maxpool", section, (source,), channels, stride * step, own)


def _upsample(section: Section, layers: list[Layer]) -> Layer:
    source, channels, stride = _previous(section, layers)
    times = section.integer("stride", 2, least=1, most=32)
    if section.number("scale", 1, least=-1e9, most=1e9) != 1:
        raise section.fault("scale other than 1 is not known here", "scale")
    if stride / times < 1:
        raise section.fault(
            f"stride={times} makes the map finer than the picture's pixels", "stride"
        )
    return Layer("upsample", section, (source,), channels, stride / times, {"times": times})


def _listed(section: Section, layers: list[Layer], word: str) -> tuple[int, ...]:
    """Return the layers that a route or shortcut names, counted from the first."""
    here, found = len(layers), []
    for value in section.integers(word):
        number = here + value if value < 0 else value
        if not 0 <= number < here:
            raise section.fault(
                f"{word}: {value} is no layer before this one, which is number {here}", word
            )
        _refuse_yolo(section, layers, number, word)
        found.append(number)
    if not found:
        raise section.fault(f"[{section.kind}] needs {word}=", word)
    if len(found) > 64:
        raise section.fault(f"{word} names {len(found)} layers; 64 are the most", word)
    return tuple(found)


def _route(section: Section, layers: list[Layer]) -> Layer:
    sources = _listed(section, layers, "layers")
    groups = section.integer("groups", 1, least=1, most=MAX_FILTERS)
    group = section.integer("group_id", 0, least=0, most=groups - 1)
    for number in sources:
        if layers[number].channels % groups:
            raise section.fault(
                f"groups={groups} does not divide the {layers[number].channels} channels of layer "
                f"{number}",
                "groups",
            )
    channels = sum(layers[number].channels for number in sources) // groups
    if channels > MAX_FILTERS:
        raise section.fault(f"joins {channels} channels; {MAX_FILTERS} are the most", "layers")
    own = {"groups": groups, "group": group}
    return Layer("route", section, sources, channels, _one_stride(section, layers, sources), own)


def _shortcut(section: Section, layers: list[Layer]) -> Layer:
    number, channels, _ = _previous(section, layers)
    sources = (number, *_listed(section, layers, "from"))
    if section.word("weights_type", "none") != "none":
        raise section.fault("a shortcut with weights is not known here", "weights_type")
    own = {"activation": _activation(section, "linear")}
    stride = _one_stride(section, layers, sources)
    return Layer("shortcut", section, sources, channels, stride, own)


def _one_stride(section: Section, layers: list[Layer], sources: tuple[int, ...]) -> Fraction:
    strides = {layers[number].stride for number in sources}
    if len(strides) > 1:
        raise section.fault(
            "joins maps of different sizes: "
            + ", ".join(f"layer {n} of stride {layers[n].stride}" for n in sources)
        )
    return strides.pop()


def _yolo(section: Section, layers: list[Layer]) -> Layer:
    number, channels, stride = _previous(section, layers)
    classes = section.integer("classes", 20, least=1, most=20_000)
    count = section.integer("num", 1, least=1, most=1000)
    mask = section.integers("mask", ",".join(map(str, range(count))))
    sides = section.numbers("anchors", ",".join([".5"] * 2 * count))
    anchors = tuple(zip(sides[::2], sides[1::2], strict=False))
    if len(sides) % 2 or not all(0 < side < 1e5 for side in sides):
        raise section.fault("anchors= are pairs of positive numbers, width,height", "anchors")
    for index in mask:
        if not 0 <= index < min(count, len(anchors)):
            raise section.fault(
                f"mask: there is no anchor {index}, only 0 to {min(count, len(anchors)) - 1}",
                "mask",
            )
    if not 0 < len(mask) <= 64:
        raise section.fault("mask= names between 1 and 64 anchors", "mask")
    new_coords = section.flag("new_coords")
    _check_head(section, layers[-1] if layers else None, len(mask) * (5 + classes), new_coords)
    if stride.denominator != 1:
        raise section.fault(f"its map has the stride {stride}, no whole number of pixels")
    own = {
        "mask": tuple(mask),
        "anchors": anchors,
        "classes": classes,
        "new_coords": new_coords,
        "scale_x_y": section.number("scale_x_y", 1.0, least=0.5, most=10.0),
    }
    return Layer("yolo", section, (number,), channels, stride, own)


def _check_head(section: Section, head: Layer | None, outputs: int, new_coords: bool) -> None:
    """Refuse a convolution before [yolo] that is none, or another than the boxes need."""
    if head is None or head.kind != "convolutional" or head.settings["norm"]:
        raise section.fault("[yolo] needs a [convolutional] without batch_normalize before it")
    if head.channels != outputs:
        raise head.section.fault(
            f"filters={head.channels}, but the [yolo] behind it needs {outputs}, its masks x (5 + "
            "classes)",
            "filters",
        )
    wanted = "logistic" if new_coords else "linear"
    if head.settings["activation"] != wanted:
        raise head.section.fault(
            f"activation={head.settings['activation']} before a [yolo] with "
            f"new_coords={int(new_coords)}; expected {wanted}",
            "activation",
        )


_READERS: dict[str, Callable[[Section, list[Layer]], Layer]] = {
    "convolutional": _convolutional,
    "maxpool": _maxpool,
    "upsample": _upsample,
    "route": _route,
    "shortcut": _shortcut,
    "yolo": _yolo,
}
