"""Any classification network of `keras.applications` as a backbone."""

from __future__ import annotations

import importlib
import inspect
from difflib import get_close_matches

import keras

from yolo.errors import ConfigError, WeightsError

# Families that people name without saying which member: the one they usually mean.
USUAL_MEMBERS = {
    "convnext": "ConvNeXtTiny",
    "densenet": "DenseNet121",
    "efficientnet": "EfficientNetB0",
    "efficientnetv2": "EfficientNetV2B0",
    "mobilenetv3": "MobileNetV3Large",
    "vgg": "VGG16",
}
_PROBE = 256  # pixels; any multiple of 32 shows at which stride a layer works


class Preprocess(keras.layers.Layer):
    """What a `keras.applications` family does to pictures in 0..255 RGB.

    `maker` is the function that builds its network, e.g. `keras.applications.VGG16`.
    """

    def __init__(self, maker, **kwargs):
        super().__init__(dtype="float32", **kwargs)
        self.preprocess = importlib.import_module(maker.__module__).preprocess_input

    def call(self, images):
        """Map (batch, h, w, 3) to the same shape."""
        return self.preprocess(images, data_format="channels_last")


def find_maker(name: str):
    """Return the function of `keras.applications` that a name means.

    Case, hyphens and underscores do not matter: vgg16, EfficientNetV2B0, mobilenet_v3_large.

    Raises:
        ConfigError: there is none.

    Example:
        >>> find_maker("mobilenet-v2").__name__
        'MobileNetV2'
    """
    known = {
        member.lower(): value
        for member, value in vars(keras.applications).items()
        if inspect.isfunction(value)
    }
    plain = name.lower().replace("_", "").replace("-", "")
    plain = USUAL_MEMBERS.get(plain, plain).lower()
    if plain not in known:
        near = get_close_matches(plain, known, 3)
        raise ConfigError(
            f"no backbone is called {name!r}"
            + (f"; near it are {', '.join(known[one].__name__ for one in near)}" if near else "")
        )
    return known[plain]


def application(images, name: str, *, frozen_norm: bool) -> dict:
    """Return {8, 16, 32: (batch, h, w, channels)}: the last maps of a network at these strides.

    `frozen_norm`: batch norm uses its saved statistics while training, too.

    Raises:
        ConfigError: no network has that name, see `find_maker`, or it has no map at a stride.
    """
    maker = find_maker(name)
    strides = _layer_strides(maker)
    last = {stride: index for index, stride in enumerate(strides)}
    missing = [stride for stride in (8, 16, 32) if stride not in last]
    if missing:
        raise ConfigError(f"{maker.__name__} has no maps at stride {missing[0]}")
    whole = maker(include_top=False, weights=None, input_shape=(None, None, 3))
    maps = [whole.layers[last[stride]].output for stride in (8, 16, 32)]
    backbone = keras.Model(whole.input, maps, name=f"backbone_{maker.__name__}")
    # Where each layer stands in the whole network. Keras numbers unnamed layers anew each time,
    # so their names say nothing.
    backbone.places = {layer.name: index for index, layer in enumerate(whole.layers)}
    images = Preprocess(maker, name="preprocess")(images)
    outputs = backbone(images, training=False) if frozen_norm else backbone(images)
    return dict(zip((8, 16, 32), outputs, strict=True))


def freeze(backbone: keras.Model, *, norm: bool, stages: int) -> None:
    """Take the affine part of batch norm, and the first stages, out of training.

    Args:
        backbone: what `application` put into a network.
        norm: whether to freeze the batch norm.
        stages: layers at strides up to 2 to this power are frozen.
    """
    early = set()
    if stages:
        strides = _layer_strides(find_maker(backbone.name.removeprefix("backbone_")))
        early = {i for i, stride in enumerate(strides) if stride and stride <= 2**stages}
    for layer in backbone.layers:
        is_norm = isinstance(layer, keras.layers.BatchNormalization)
        if (norm and is_norm) or backbone.places[layer.name] in early:
            layer.trainable = False


def load_imagenet(backbone: keras.Model) -> None:
    """Fill a backbone with the weights that Keras publishes for it.

    Raises:
        WeightsError: they cannot be fetched.
    """
    maker = find_maker(backbone.name.removeprefix("backbone_"))
    try:
        source = maker(include_top=False, weights="imagenet", input_shape=(None, None, 3))
    except Exception as error:
        if type(error) not in (Exception, OSError):  # a failed download is a bare Exception
            raise
        raise WeightsError(
            f"{maker.__name__}: the ImageNet weights cannot be fetched ({error}); "
            "train without --weights imagenet or put the file where Keras looks for it"
        ) from error
    for layer in backbone.layers:
        if layer.weights:
            layer.set_weights(source.layers[backbone.places[layer.name]].get_weights())


def _layer_strides(maker) -> list[int | None]:
    """Return the stride of each layer's map, in the network's order; None where it has none."""
    probe = maker(include_top=False, weights=None, input_shape=(_PROBE, _PROBE, 3))
    strides = []
    for layer in probe.layers:
        shape = getattr(layer.output, "shape", ())
        whole = len(shape) == 4 and shape[1] == shape[2] and shape[1] and _PROBE % shape[1] == 0
        strides.append(_PROBE // shape[1] if whole else None)
    return strides
