"""The tutorial's `.h5` files, written here in Keras 2's layout, read in order into ours."""

import h5py
import keras
import numpy as np
import pytest

import yolo
from yolo.classes import VOC_CLASSES
from yolo.errors import WeightsError
from yolo.models.yolov4.network import build_network
from yolo.models.yolov4.settings import TINY_MASKS, YOLOV4_TINY_ANCHORS, YOLOv4Config
from yolo.weights import tutorial
from yolo.weights.convolutions import convolutions_of
from yolo.weights.loading import load

PLACES = {"feat1": 256, "feat2": 512, "P5_upsample": 128}


def tiny(classes=20, attention="none"):
    config = YOLOv4Config(
        "yolov4-tiny", YOLOV4_TINY_ANCHORS, TINY_MASKS["coco"], attention=attention
    )
    return build_network(config, classes)


def layers_like(network, rng, *, first=0, convolutions=None):
    """Return what the tutorial's model of this shape holds: {layer: {weight: array}}."""
    found, norms = {}, 0

    def numbered(stem, number):
        return stem if number == 0 else f"{stem}_{number}"

    for number, layer in enumerate(convolutions_of(network)[:convolutions]):
        shape = (layer.size, layer.size, layer.inputs, layer.filters)
        arrays = {"kernel": rng.random(shape, np.float32) - np.float32(0.5)}
        if layer.has_norm:
            found[numbered("batch_normalization", norms + first)] = {
                "gamma": rng.uniform(0.5, 1.5, layer.filters),
                "beta": rng.normal(0, 1, layer.filters),
                "moving_mean": rng.normal(0, 1, layer.filters),
                "moving_variance": rng.uniform(0.1, 2, layer.filters),
            }
            norms += 1
        else:
            arrays["bias"] = rng.normal(0, 1, layer.filters)
        found[numbered("conv2d", number + first)] = arrays
    return found


def listed(names, dtype):
    return np.array([name.encode() for name in names], dtype)


def write(path, layers, *, within=None, order=None, dtype="S"):
    """Write layers as Keras 2's `save_weights` does; those without weights are listed, too.

    With h5py 2 the names had a fixed length, `dtype` S; with h5py 3 any, `h5py.string_dtype()`.
    """
    with h5py.File(path, "w") as file:
        root = file.create_group(within) if within else file
        names = ["input_1", *(order or layers), "leaky_re_lu"]
        root.attrs["layer_names"] = listed(names, dtype)
        root.attrs["backend"] = b"tensorflow"
        for name in names:
            group = root.create_group(name)
            arrays = layers.get(name, {})
            group.attrs["weight_names"] = listed([f"{name}/{part}:0" for part in arrays], dtype)
            for part, array in arrays.items():
                group.create_dataset(f"{name}/{part}:0", data=np.float32(array))
    return path


@pytest.fixture(scope="module")
def theirs():
    return layers_like(tiny(), np.random.default_rng(0))


@pytest.fixture(scope="module")
def file(theirs, tmp_path_factory):
    """Return a file of 20 classes whose layers lie in no order at all, as in Keras's own."""
    order = list(theirs)
    np.random.default_rng(1).shuffle(order)
    path = tmp_path_factory.mktemp("权重") / "yolov4_tiny_weights_voc.h5"
    return write(path, theirs, order=order)


def norm_number(convolution):
    """Return the number of a convolution's norm: heads have none."""
    return convolution - sum(head < convolution for head in (17, 20))


def test_convolutions_and_norms_land_in_order(file, theirs):
    network = tiny()
    assert tutorial.read(file).fill(network) == 21
    for number, layer in enumerate(convolutions_of(network)):
        name = f"conv2d_{number}" if number else "conv2d"
        if not layer.has_norm:
            kernel, bias = layer.layer.get_weights()
            np.testing.assert_array_equal(kernel, np.float32(theirs[name]["kernel"]))
            np.testing.assert_array_equal(bias, np.float32(theirs[name]["bias"]))
            continue
        norm = norm_number(number)
        arrays = theirs[f"batch_normalization_{norm}" if norm else "batch_normalization"]
        np.testing.assert_array_equal(
            layer.layer.convolution.kernel, np.float32(theirs[name]["kernel"])
        )
        for ours, part in (("gamma", "gamma"), ("beta", "beta"), ("moving_mean", "moving_mean")):
            np.testing.assert_array_equal(getattr(layer.layer.norm, ours), np.float32(arrays[part]))


def test_the_norms_epsilon_is_theirs(file, theirs):
    network = tiny()
    tutorial.read(file).fill(network)
    maps = np.random.default_rng(2).normal(0, 1, (1, 8, 8, 3)).astype("float32")
    first = network.get_layer("backbone_conv_000")
    reference = keras.Sequential([
        keras.layers.ZeroPadding2D(((1, 0), (1, 0))),
        keras.layers.Conv2D(32, 3, strides=2, use_bias=False),
        keras.layers.BatchNormalization(),  # with Keras's epsilon
        keras.layers.LeakyReLU(negative_slope=0.1),
    ])  # fmt: skip
    reference.build(maps.shape)
    reference.set_weights([
        theirs["conv2d"]["kernel"], *theirs["batch_normalization"].values(),
    ])  # fmt: skip
    np.testing.assert_allclose(first(maps), reference(maps), atol=1e-5)


def test_it_opens_with_what_the_tutorial_predicts_with(file, tmp_path):
    model = load(file)
    assert model.classes == VOC_CLASSES and model.image_size == (416, 416)
    assert model.resize == "letterbox" and model.architecture.masks == TINY_MASKS["coco"]
    found = tutorial.read(file).describe()
    assert (found.model, found.num_classes) == ("yolov4-tiny", 20)


def test_another_class_count_leaves_the_class_logits_fresh(file, theirs, caplog):
    caplog.set_level("INFO", "yolo")
    network = tiny(3)
    before = network.get_layer("head_conv_017").get_weights()[1].reshape(3, 8)
    tutorial.read(file).fill(network)
    after = network.get_layer("head_conv_017").get_weights()[1].reshape(3, 8)
    np.testing.assert_array_equal(after[:, 5:], before[:, 5:])
    given = np.float32(theirs["conv2d_17"]["bias"]).reshape(3, 25)
    np.testing.assert_array_equal(after[:, :5], given[:, :5])
    assert "head_conv_017 (class logits), head_conv_020 (class logits)" in caplog.text


def test_numbers_may_start_anywhere_and_weights_lie_in_a_whole_model(theirs, tmp_path):
    later = layers_like(tiny(), np.random.default_rng(0), first=110)
    assert "conv2d_130" in later and "conv2d" not in later
    a, b = tiny(), tiny()
    tutorial.read(write(tmp_path / "a.h5", later, within="model_weights")).fill(a)
    tutorial.read(write(tmp_path / "b.h5", theirs)).fill(b)
    assert all(map(np.array_equal, a.get_weights(), b.get_weights()))


def test_a_backbone_is_a_start_only(tmp_path, caplog):
    caplog.set_level("INFO", "yolo")
    layers = layers_like(tiny(), np.random.default_rng(0), convolutions=15)
    path = write(tmp_path / "yolov4_tiny_backbone.h5", layers)
    network = tiny(2)
    assert tutorial.read(path).fill(network) == 15
    assert "fresh: neck_conv_015" in caplog.text
    with pytest.raises(WeightsError, match="it cannot predict"):
        load(path)


ATTENTION = {
    "se": {"se_block_one": lambda c: (c, c // 16), "se_block_two": lambda c: (c // 16, c)},
    "cbam": {
        "channel_attention_shared_one": lambda c: (c, c // 8),
        "channel_attention_shared_two": lambda c: (c // 8, c),
        "spatial_attention": lambda c: (7, 7, 2, 1),
    },
    "eca": {"eca_layer": lambda c: (5, 1, 1)},
}


@pytest.mark.parametrize("kind", ATTENTION)
def test_attention_lands_by_name(theirs, tmp_path, kind):
    rng = np.random.default_rng(3)
    extra = {
        f"{stem}_{place}": {"kernel": rng.normal(0, 0.1, shape(channels))}
        for stem, shape in ATTENTION[kind].items()
        for place, channels in PLACES.items()
    }
    path = write(tmp_path / f"{kind}.h5", {**theirs, **extra})
    model = load(path)
    assert model.architecture.attention == tutorial.read(path).kind == kind
    parts = {"se": "squeeze", "cbam": "places", "eca": "mix"}
    stem = {"se": "se_block_one", "cbam": "spatial_attention", "eca": "eca_layer"}[kind]
    for place, ours in (("feat1", "16"), ("feat2", "32"), ("P5_upsample", "up")):
        layer = model.network.get_layer(f"attention_{ours}_{parts[kind]}")
        given = np.float32(extra[f"{stem}_{place}"]["kernel"])
        np.testing.assert_array_equal(layer.kernel, given)
    if kind == "cbam":
        assert not np.any(model.network.get_layer("attention_16_squeeze").bias)


def test_what_has_no_place_is_named(theirs, tmp_path, caplog):
    extra = {"ca_block_conv_feat1": {"kernel": np.zeros((1, 1, 256, 16))}}
    path = write(tmp_path / "ca.h5", {**theirs, **extra})
    tutorial.read(path).fill(tiny())
    assert "no place here for ca_block_conv_feat1" in caplog.text
    with pytest.raises(WeightsError, match="holds ca_block_conv_feat1, .*but not predict"):
        load(path)
    eca = {"eca_layer_feat1": {"kernel": np.zeros((5, 1, 1))}}
    tutorial.read(write(tmp_path / "eca.h5", {**theirs, **eca})).fill(tiny())
    assert "no place here for attention_16_mix" in caplog.text


def refused(network, path, words):
    with pytest.raises(WeightsError, match=words) as caught:
        tutorial.read(path).fill(network)
    assert str(caught.value).startswith(f"{path}: ") and "\n" not in str(caught.value)


def test_names_of_any_length_are_read_without_trusting_their_heap(theirs, tmp_path):
    a, b = tiny(), tiny()
    path = write(tmp_path / "b.h5", theirs, dtype=h5py.string_dtype())
    tutorial.read(write(tmp_path / "a.h5", theirs)).fill(a)
    tutorial.read(path).fill(b)
    for x, y in zip(a.get_weights(), b.get_weights(), strict=True):
        np.testing.assert_array_equal(x, y)
    broken = bytearray(path.read_bytes())
    size = broken.index(b"GCOL") + 24  # of the first name in the heap
    assert 0 < int.from_bytes(broken[size : size + 8], "little") < 40
    broken[size : size + 8] = (-16).to_bytes(8, "little", signed=True)  # the next is this one
    path.write_bytes(broken)
    refused(a, path, "its lists of names have no end, or crash the HDF5 library")
    broken[size : size + 8] = (1).to_bytes(8, "little")
    path.write_bytes(broken)
    refused(a, path, "Can't synchronously read data")


def test_files_that_are_none(theirs, tmp_path):
    network = tiny()
    before = network.get_weights()

    refused(network, tmp_path / "absent.h5", "cannot be opened: No such file")
    (tmp_path / "text.h5").write_bytes(b"<html>")
    refused(network, tmp_path / "text.h5", "damaged, or no HDF5 file")
    keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)]).save_weights(
        tmp_path / "keras3.weights.h5"
    )
    refused(network, tmp_path / "keras3.weights.h5", "not a weights file of Keras 2")
    with h5py.File(tmp_path / "tensor.h5", "w") as opened:  # where a group is expected
        opened["model_weights"] = np.zeros(3)
        opened["model_weights"].attrs["layer_names"] = [b"conv2d"]
    refused(network, tmp_path / "tensor.h5", "not a weights file of Keras 2")
    refused(
        network,
        write(tmp_path / "d.h5", {"dense": {"kernel": np.zeros((2, 2))}}),
        "no layer named conv",
    )
    fewer = dict(list(theirs.items())[:-2])
    refused(network, write(tmp_path / "fewer.h5", fewer), "it is of another network")
    swapped = {**theirs, "conv2d_2": theirs["conv2d_3"]}
    refused(
        network,
        write(tmp_path / "swapped.h5", swapped),
        r"convolution 2 has .*'kernel' .* takes \(",
    )
    norms = {k: v for k, v in theirs.items() if k != "batch_normalization_4"}
    refused(
        network, write(tmp_path / "norms.h5", norms), "has 18 batch normalizations, expected 19"
    )
    broken = {**theirs, "conv2d_3": {"kernel": theirs["conv2d_3"]["kernel"] * np.nan}}
    refused(
        network,
        write(tmp_path / "nan.h5", broken),
        "convolution 3 holds numbers that are not finite",
    )
    assert all(map(np.array_equal, before, network.get_weights()))


def shapes_of_yolov4(outputs):
    """Return (size, inputs, filters) of the tutorial's YOLOv4, as nets/yolo.py makes its layers."""
    shapes = [(3, 3, 32)]

    def conv(size, filters, inputs=None):
        shapes.append((size, inputs or shapes[-1][2], filters))

    def five(filters, inputs):
        conv(1, filters, inputs)
        for size, count in ((3, 2 * filters), (1, filters), (3, 2 * filters), (1, filters)):
            conv(size, count)

    def head(filters):
        conv(3, 2 * filters, filters)
        conv(1, outputs)

    for filters, blocks in ((64, 1), (128, 2), (256, 8), (512, 8), (1024, 4)):
        path = filters if filters == 64 else filters // 2
        conv(3, filters)
        conv(1, path, filters)  # the short way round
        conv(1, path, filters)
        for _ in range(blocks):
            conv(1, filters // 2)
            conv(3, path)
        conv(1, path)
        conv(1, filters, 2 * path)
    for size, filters, inputs in ((1, 512, 1024), (3, 1024, 512), (1, 512, 1024)):
        conv(size, filters, inputs)
    for size, filters, inputs in ((1, 512, 2048), (3, 1024, 512), (1, 512, 1024)):
        conv(size, filters, inputs)
    conv(1, 256)
    conv(1, 256, 512)
    five(256, 512)
    conv(1, 128)
    conv(1, 128, 256)
    five(128, 256)
    head(128)
    for filters in (256, 512):
        conv(3, filters, filters // 2)
        five(filters, 2 * filters)
        head(filters)
    return shapes


def test_yolov4_has_the_tutorials_layers_in_its_order():
    ours = convolutions_of(build_network(YOLOv4Config(), 2))
    assert [(x.size, x.inputs, x.filters) for x in ours] == shapes_of_yolov4(3 * 7)


def test_a_name_or_file_of_theirs_starts_a_training(file, tmp_path):
    from yolo.weights import loading

    model = yolo.build("yolov4-tiny", classes=["a", "b"], image_size=(64, 64))
    before = model.network.get_layer("backbone_conv_003").get_weights()[0].copy()
    loading.start_from(model, file)
    assert not np.array_equal(before, model.network.get_layer("backbone_conv_003").get_weights()[0])


NORM = "batch_normalization_18/batch_normalization_18"  # the last one
HEAD = "conv2d_20/conv2d_20"


def replaced(place, value):
    def change(file):
        del file[place]
        file[place] = value

    return change


@pytest.mark.parametrize(
    "change",
    [
        replaced(f"{NORM}/beta:0", np.zeros(3, "f4")),
        replaced(f"{NORM}/gamma:0", np.zeros((), "f4")),
        replaced(f"{NORM}/moving_mean:0", np.zeros((256, 1), "f4")),
        replaced(f"{NORM}/moving_variance:0", np.full(256, -1e-4, "f4")),
        replaced(f"{HEAD}/bias:0", np.zeros(76, "f4")),
        replaced(f"{HEAD}/bias:0", np.full(75, np.inf, "f4")),
        replaced(f"{HEAD}/bias:0", np.full(75, b"text")),
        replaced(f"{HEAD}/kernel:0", h5py.ExternalLink("secret.h5", "kernel")),
        replaced(HEAD, h5py.SoftLink("/conv2d")),
        lambda file: (
            file.__delitem__(f"{HEAD}/bias:0"),
            file.create_dataset(f"{HEAD}/bias:0", (1 << 36,), "f4"),  # 256 GB, none written
        ),
        lambda file: (
            file.__delitem__(f"{HEAD}/bias:0"),
            file.create_dataset(f"{HEAD}/bias:0", (75,), "f4", compression="gzip"),
        ),
        lambda file: file.attrs.__setitem__("layer_names", 7),
        lambda file: file["conv2d"].attrs.__setitem__("weight_names", ["conv2d/nothing:0"]),
    ],
)
def test_a_file_that_is_not_whole_changes_nothing(file, tmp_path, change):
    path = tmp_path / "damaged.h5"
    path.write_bytes(file.read_bytes())
    with h5py.File(tmp_path / "secret.h5", "w") as secret:
        secret["kernel"] = np.zeros((1, 1, 256, 75), "f4")
    with h5py.File(path, "r+") as opened:
        change(opened)
    network = tiny()
    before = network.get_weights()
    with pytest.raises(WeightsError) as caught:
        tutorial.read(path).fill(network)
    assert str(caught.value).startswith(f"{path}: ") and "\n" not in str(caught.value)
    for old, new in zip(before, network.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)
