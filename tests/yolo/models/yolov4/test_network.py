"""Sizes, shapes and settings of the networks."""

import numpy as np
import pytest

from yolo.errors import ConfigError
from yolo.models.yolov4.network import build_network
from yolo.models.yolov4.settings import TINY_MASKS, YOLOV4_TINY_ANCHORS, YOLOv4Config

TINY = YOLOv4Config("yolov4-tiny", YOLOV4_TINY_ANCHORS, TINY_MASKS["custom"])


def _counts(network):
    trainable = sum(int(np.prod(v.shape)) for v in network.trainable_variables)
    return trainable, network.count_params()


def test_parameters_of_yolov4():
    assert _counts(build_network(YOLOv4Config(), 80)) == (64_363_101, 64_429_405)


@pytest.mark.parametrize("masks", TINY_MASKS.values(), ids=TINY_MASKS)
def test_parameters_of_tiny(masks):
    config = YOLOv4Config("yolov4-tiny", YOLOV4_TINY_ANCHORS, masks)
    assert _counts(build_network(config, 80)) == (6_056_606, 6_062_814)


@pytest.mark.parametrize("size", [(64, 64), (96, 160), (32, 32)])
def test_maps_are_keyed_by_stride(size):
    network = build_network(TINY, 2)
    maps = network(np.zeros((2, *size, 3), "uint8"))
    assert {stride: tuple(m.shape) for stride, m in maps.items()} == {
        stride: (2, size[0] // stride, size[1] // stride, 3 * 7) for stride in (16, 32)
    }


def test_bytes_and_floats_are_the_same_picture():
    network = build_network(TINY, 2)
    picture = np.random.default_rng(0).integers(0, 256, (1, 64, 64, 3), np.uint8)
    a, b = network(picture), network(picture.astype("float32"))
    for stride in a:
        np.testing.assert_array_equal(a[stride], b[stride])


def test_fresh_heads_start_at_the_prior():
    network = build_network(TINY, 3)
    for stride, raw in network(np.full((1, 64, 64, 3), 128, "uint8")).items():
        raw = np.array(raw).reshape(1, 64 // stride, 64 // stride, 3, 8)
        np.testing.assert_allclose(1 / (1 + np.exp(-raw[..., 4])), 0.01, rtol=0.3)


@pytest.mark.parametrize("attention", ["se", "cbam", "eca", "ca"])
def test_attention_adds_weights_and_keeps_the_maps(attention):
    plain = build_network(TINY, 2)
    config = YOLOv4Config(
        "yolov4-tiny", YOLOV4_TINY_ANCHORS, TINY_MASKS["custom"], attention=attention
    )
    network = build_network(config, 2)
    assert network.count_params() > plain.count_params()
    maps = network(np.zeros((1, 64, 96, 3), "uint8"))
    assert [tuple(maps[stride].shape) for stride in (16, 32)] == [(1, 4, 6, 21), (1, 2, 3, 21)]


@pytest.mark.parametrize(
    "change, message",
    [
        ({"variant": "yolov5"}, "yolov5"),
        ({"masks": ((0, 1, 2), (3, 4, 6))}, "0..5"),
        ({"masks": ((0, 1, 2),)}, "mask for each"),
        ({"masks": ((), (3,))}, "at least one"),
        ({"attention": "senet"}, "senet"),
        ({"prior": 0.0}, "prior"),
    ],
)
def test_impossible_settings_are_refused(change, message):
    settings = {
        "variant": "yolov4-tiny",
        "anchors": YOLOV4_TINY_ANCHORS,
        "masks": TINY_MASKS["custom"],
    }
    with pytest.raises(ConfigError, match=message):
        YOLOv4Config(**settings | change)


def test_attention_belongs_to_tiny():
    with pytest.raises(ConfigError, match="yolov4-tiny"):
        YOLOv4Config(attention="se")
