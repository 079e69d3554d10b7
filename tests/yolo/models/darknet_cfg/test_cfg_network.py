"""The network of a cfg computes what Darknet's layers say, in float64 and by plain loops."""

import numpy as np
import pytest

import yolo
from tests.yolo.models.darknet_cfg.cfgs import (
    MINI,
    NEW_COORDS,
    POOLS,
    file_of,
    heads_of,
    weights_of,
)  # fmt: skip
from yolo.errors import ConfigError
from yolo.weights import darknet


def built(tmp_path, text, classes=("a", "b"), **options):
    (tmp_path / "my.cfg").write_text(text, encoding="utf-8")
    return yolo.build(str(tmp_path / "my.cfg"), classes=classes, **options)


@pytest.mark.parametrize(
    "text, classes", [(MINI, "ab"), (NEW_COORDS, "ab"), (POOLS, "a")], ids=["mini", "new", "pools"]
)
def test_raw_maps_are_what_enters_the_yolo_layers(tmp_path, text, classes):
    rng = np.random.default_rng(0)
    model = built(tmp_path, text, tuple(classes))
    arrays = weights_of(text, rng)
    (tmp_path / "my.weights").write_bytes(file_of(arrays))
    darknet.load(model, tmp_path / "my.weights")
    picture = rng.uniform(0, 1, (*model.image_size, 3))
    maps = model.network(picture[None] * 255)
    wanted = {
        model.image_size[0] // head.shape[0]: head for head in heads_of(text, arrays, picture)
    }
    if text is POOLS:
        wanted = {16: wanted.pop(14)}  # 88 pixels in 6 cells of 16
    assert sorted(maps) == sorted(wanted)
    for stride, raw in maps.items():
        raw = np.array(raw[0], np.float64)
        if text is NEW_COORDS:  # logits come out, and the logistic is the decoding's
            raw = 1 / (1 + np.exp(-raw))
        np.testing.assert_allclose(raw, wanted[stride], atol=2e-5)


def test_settings_size_and_heads_are_the_files(tmp_path):
    model = built(tmp_path, NEW_COORDS)
    assert model.image_size == (96, 64) and model.resize == "stretch"
    settings = model.architecture
    assert (settings.strides, settings.masks) == ((4, 8), ((0,), (2, 1)))
    assert settings.scales_xy == (1.2, 1.05) and settings.new_coords
    assert settings.anchors == ((4, 6), (10, 14), (23, 27))
    letterbox = built(tmp_path, MINI.replace("[net]", "[net]\nletter_box=1"))
    assert letterbox.resize == "letterbox"


def test_filters_before_the_heads_are_made_for_the_classes(tmp_path):
    model = built(tmp_path, MINI, ("a", "b", "c"), masks=((0, 1), (2,)))
    maps = model.network(np.zeros((1, 96, 64, 3)))
    assert {stride: raw.shape[-1] for stride, raw in maps.items()} == {4: 16, 8: 8}


def test_a_saved_model_brings_its_cfg_byte_for_byte(tmp_path):
    odd = b"# \xb5\xff\r\n" + MINI.replace("\n", "\r\n").encode()
    (tmp_path / "odd.cfg").write_bytes(odd)
    model = yolo.build(tmp_path / "odd.cfg", classes=["a", "b"])
    model.save(tmp_path / "a.keras")
    again = yolo.load(tmp_path / "a.keras")
    assert again.architecture == model.architecture
    assert again.architecture.cfg.encode("utf-8", "surrogateescape") == odd
    for one, other in zip(model.get_weights(), again.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_size_that_does_not_fit_names_the_joint(tmp_path):
    with pytest.raises(ConfigError, match=r"line \d+: with a height of 100 it joins maps of .* 8"):
        built(tmp_path, MINI, image_size=(100, 64))
    assert built(tmp_path, MINI, image_size=(104, 48)).image_size == (104, 48)


def test_options_that_a_cfg_has_not(tmp_path):
    from yolo.models.names import settings_of

    (tmp_path / "my.cfg").write_text(MINI, encoding="utf-8")
    with pytest.raises(ConfigError, match="no option attention; it has anchors, masks, prior"):
        settings_of(str(tmp_path / "my.cfg"), attention="se")


def test_a_saved_model_whose_cfg_says_otherwise_is_refused(tmp_path):
    """Nothing is built from a config that contradicts itself, or asks for more than there is."""
    import zipfile

    from yolo.errors import WeightsError

    built(tmp_path, MINI).save(tmp_path / "a.keras")
    with zipfile.ZipFile(tmp_path / "a.keras") as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    config = parts["config.json"].decode()
    for old, new in (
        ('"new_coords": false', '"new_coords": true'),
        ("filters=16\\n", "filters=60000\\n"),
        ("[upsample]", "[gru]"),
    ):
        assert old in config
        with zipfile.ZipFile(tmp_path / "b.keras", "w") as archive:
            for name, data in parts.items():
                archive.writestr(name, config.replace(old, new) if name == "config.json" else data)
        with pytest.raises(WeightsError, match="b.keras"):
            yolo.load(tmp_path / "b.keras")


# A block that ends wide, and a neck that narrows it twice: as in yolov4-csp and yolov7
BLOCKS = """[net]
width=32
height=32
[conv]
batch_normalize=1
filters=8
size=3
stride=2
pad=1
activation=leaky
[conv]
filters=8
size=3
stride=2
pad=1
activation=leaky
[conv]
filters=4
activation=leaky
[route]
layers=-2
[conv]
filters=4
activation=leaky
[route]
layers=-1,-3
[conv]
filters=8
activation=leaky
[conv]
filters=4
activation=leaky
[route]
layers=-2
[conv]
filters=4
activation=leaky
[route]
layers=-1,-3
[conv]
filters=6
activation=linear
[yolo]
classes=1
anchors=4,4
"""


def test_the_backbone_ends_with_its_last_block_and_is_what_is_frozen(tmp_path):
    model = built(tmp_path, BLOCKS, ("a",))
    names = [layer.name for layer in model.network.layers if "_conv_" in layer.name]
    assert [name.partition("_")[0] for name in names] == [*["backbone"] * 5, *["neck"] * 2, "head"]
    model.set_backbone_trainable(False)
    assert len(model.trainable_variables) == 2 * 3  # kernel and bias of what lies behind
    model.set_backbone_trainable(True)
    assert len(model.trainable_variables) == 2 * 8 + 1  # the first has gamma and beta
