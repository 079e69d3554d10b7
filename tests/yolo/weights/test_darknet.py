"""Darknet's files: parity with OpenCV, round trips, and every way to be damaged."""

import logging
import os
import runpy
import struct

import cv2
import numpy as np
import pytest

import yolo
from yolo.errors import WeightsError, YoloError
from yolo.models.yolov4.network import build_network
from yolo.models.yolov4.settings import TINY_MASKS, YOLOV4_TINY_ANCHORS, YOLOv4Config
from yolo.weights import darknet


def _tiny(classes, masks="coco"):
    config = YOLOv4Config("yolov4-tiny", YOLOV4_TINY_ANCHORS, TINY_MASKS[masks])
    return build_network(config, classes)


@pytest.fixture(scope="module")
def tiny_file(tmp_path_factory):
    """Return a complete file of yolov4-tiny for 2 classes with random weights, and its network."""
    path = tmp_path_factory.mktemp("darknet") / "two.weights"
    network = _tiny(2)
    rng = np.random.default_rng(1)
    for variable in network.variables:
        variable.assign(rng.uniform(0.5, 1.5, variable.shape))
    darknet.save(network, path)
    return path, network


def _weights_equal(a, b):
    return all(np.array_equal(x, y) for x, y in zip(a.get_weights(), b.get_weights(), strict=True))


def test_size_of_a_coco_file(tmp_path):
    darknet.save(_tiny(80), tmp_path / "w")
    assert (tmp_path / "w").stat().st_size == 24_251_276


def test_write_then_read_is_the_identity(tiny_file):
    path, network = tiny_file
    other = _tiny(2)
    assert not _weights_equal(network, other)
    assert darknet.load(other, path) == 21
    assert _weights_equal(network, other)


def test_class_count_follows_from_the_size(tiny_file):
    found = darknet.read(tiny_file[0]).describe()
    assert (found.model, found.num_classes) == ("yolov4-tiny", 2)


def test_other_class_count_keeps_all_but_the_class_logits(tiny_file, caplog):
    path, source = tiny_file
    target = _tiny(3)
    head = target.get_layer("head_conv_017")
    before = head.get_weights()[0]
    with caplog.at_level(logging.INFO, "yolo"):
        darknet.load(target, path)
    kernel = head.get_weights()[0].reshape(1, 1, 512, 3, 8)
    theirs = source.get_layer("head_conv_017").get_weights()[0].reshape(1, 1, 512, 3, 7)
    np.testing.assert_array_equal(kernel[..., :5], theirs[..., :5])
    np.testing.assert_array_equal(kernel[..., 5:], before.reshape(1, 1, 512, 3, 8)[..., 5:])
    for name in ("backbone_conv_000", "neck_conv_018"):
        a, b = target.get_layer(name).get_weights(), source.get_layer(name).get_weights()
        assert all(np.array_equal(x, y) for x, y in zip(a, b, strict=True))
    assert "head_conv_017 (class logits), head_conv_020 (class logits)" in caplog.text
    assert "2 classes and this model has 3" in caplog.text


def test_old_header_of_16_bytes(tiny_file, tmp_path):
    path, network = tiny_file
    old = tmp_path / "old.weights"
    old.write_bytes(struct.pack("<iiii", 0, 1, 0, 0) + path.read_bytes()[20:])
    other = _tiny(2)
    darknet.load(other, old)
    assert _weights_equal(network, other)


@pytest.mark.parametrize(
    "damage, message",
    [
        (lambda data: data[:-4], "expected .* bytes .* found"),
        (lambda data: data + bytes(4), "expected .* bytes .* found"),
        (lambda data: data[:-3], "expected .* found .* whole float32"),
        (lambda data: data[: len(data) // 2 // 4 * 4], "expected .* found"),
        (lambda data: data[:12], "expected .* found 12 bytes"),
        (lambda data: b"", "expected .* found 0 bytes"),
        (lambda data: b"<!DOCTYPE html>" + bytes(101), "web page"),
        (lambda data: data[:-4] + struct.pack("<f", float("nan")), "not finite"),
        (lambda data: data[:-4] + struct.pack("<f", float("inf")), "not finite"),
        # the variances of the first convolution stand behind 3 x 32 floats
        (lambda data: data[:404] + struct.pack("<f", -1.0) + data[408:], "negative"),
    ],
)
def test_a_damaged_file_is_refused_and_changes_nothing(tiny_file, tmp_path, damage, message):
    path = tmp_path / "damaged.weights"
    path.write_bytes(damage(tiny_file[0].read_bytes()))
    network = _tiny(2)
    before = network.get_weights()
    with pytest.raises(WeightsError, match=message) as error:
        darknet.load(network, path)
    assert "damaged.weights" in str(error.value) and "\n" not in str(error.value)
    assert all(np.array_equal(a, b) for a, b in zip(before, network.get_weights(), strict=True))


def test_size_message_gives_both_numbers(tiny_file, tmp_path):
    whole = tiny_file[0].read_bytes()
    path = tmp_path / "short.weights"
    path.write_bytes(whole[:-400])
    with pytest.raises(WeightsError, match=f"expected {len(whole)} .*found {len(whole) - 400}"):
        darknet.load(_tiny(2), path)


def test_what_a_file_of_no_network_should_have_been(tmp_path):
    (tmp_path / "odd.weights").write_bytes(struct.pack("<iiiQ", 0, 2, 5, 0) + bytes(400))
    with pytest.raises(WeightsError, match="expected .*24251276 .*found 420 bytes"):
        darknet.read(tmp_path / "odd.weights").describe()


def test_attention_has_no_place_in_the_format(tiny_file, tmp_path, caplog):
    config = YOLOv4Config("yolov4-tiny", YOLOV4_TINY_ANCHORS, TINY_MASKS["coco"], attention="eca")
    network = build_network(config, 2)
    with caplog.at_level(logging.INFO, "yolo"):
        darknet.load(network, tiny_file[0])
    assert "fresh: attention_" in caplog.text
    with pytest.raises(WeightsError, match="attention_16"):
        darknet.save(network, tmp_path / "no.weights")
    assert not list(tmp_path.iterdir())


def test_a_missing_file_is_one_line():
    with pytest.raises(WeightsError, match="nowhere.weights: cannot be opened: No such file"):
        darknet.load(_tiny(2), "nowhere.weights")


def test_a_failed_write_leaves_the_old_file(tiny_file, tmp_path, monkeypatch):
    path = tmp_path / "kept.weights"
    path.write_bytes(b"old")

    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(YoloError, match="No space left"):
        darknet.save(tiny_file[1], path)
    assert path.read_bytes() == b"old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["kept.weights"]


def test_partial_file_loads_17_convolutions(shared, caplog):
    folder = shared / "weights" / "yolov4_tiny_coco"
    network = _tiny(3, "custom")
    with caplog.at_level(logging.INFO, "yolo"):
        assert darknet.load(network, folder / "yolov4-tiny.conv.29") == 17
    assert "loaded 17 of 21" in caplog.text and "fresh: head_conv_017, neck_conv_018" in caplog.text
    whole = _tiny(80)
    darknet.load(whole, folder / "yolov4-tiny.weights")
    # The partial file was cut from these very weights, up to its last layer.
    a = network.get_layer("backbone_conv_014").get_weights()
    b = whole.get_layer("backbone_conv_014").get_weights()
    assert all(np.array_equal(x, y) for x, y in zip(a, b, strict=True))
    assert darknet.read(folder / "yolov4-tiny.conv.29").describe() is None


def test_a_retinanet_takes_the_backbone_of_a_whole_file_or_a_cut_one(tiny_file, tmp_path, caplog):
    path, source = tiny_file
    model = yolo.build("retinanet-csp-tiny", classes=["a"], image_size=(64, 64))
    first = [layer for layer in source.layers if layer.name.startswith("backbone_conv_")]
    assert len(first) == 15
    cut = tmp_path / "tiny.backbone"
    own = sum(variable.shape.num_elements() for layer in first for variable in layer.weights)
    cut.write_bytes(path.read_bytes()[: 20 + 4 * own])
    for file in (path, cut):
        fresh = [np.full_like(w, 9) for w in model.network.get_weights()]
        model.network.set_weights(fresh)
        with caplog.at_level(logging.INFO, "yolo"):
            assert darknet.load(model, file) == 15
        for layer in first:
            assert _weights_equal(model.network.get_layer(layer.name), layer)
        others = [layer for layer in model.network.layers if not layer.name.startswith("backbone")]
        assert all((w == 9).all() for layer in others for w in layer.get_weights())
        assert f"{file.name}: loaded the backbone, 15 convolutions" in caplog.text
    before = model.network.get_weights()
    cut.write_bytes(path.read_bytes()[: 20 + 4 * (own + 3)])
    with pytest.raises(WeightsError, match="expected a file of yolov4-tiny, whole or cut off"):
        darknet.load(model, cut)
    assert all(map(np.array_equal, before, model.network.get_weights()))
    with pytest.raises(WeightsError, match="Darknet has no RetinaNet"):
        darknet.save(model, tmp_path / "a.weights")


def test_real_file_is_written_back_byte_for_byte(shared, tmp_path):
    path = shared / "weights" / "yolov4_tiny_coco" / "yolov4-tiny.weights"
    network = _tiny(80)
    darknet.load(network, path)
    darknet.save(network, tmp_path / "again.weights")
    assert (tmp_path / "again.weights").read_bytes() == path.read_bytes()


def test_raw_heads_of_tiny_equal_opencvs(shared):
    network = _tiny(80)
    darknet.load(network, shared / "weights" / "yolov4_tiny_coco" / "yolov4-tiny.weights")
    oracle = np.load(shared / "oracles" / "opencv_yolov4_tiny" / "raw_heads_8_images.npz")
    assert len(oracle.files) == 16
    for key in oracle.files:
        name, grid = key.rsplit(":", 1)
        path = shared / "data" / "coco_val2017_lightly128" / "val2017" / name
        picture = cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB)
        maps = network(cv2.resize(picture, (416, 416))[None])
        difference = np.abs(maps[416 // int(grid)][0].numpy() - oracle[key])
        assert difference.max() < 5e-3 and difference.mean() < 5e-4, key


def test_raw_heads_of_yolov4_equal_opencvs(shared, tmp_path):
    tools = runpy.run_path(str(shared / "tools" / "seeded_weights.py"))
    folder = shared / "oracles" / "opencv_yolov4_seeded"
    tools["write_darknet"](str(folder / "yolov4.cfg"), str(tmp_path / "seeded.weights"))
    network = build_network(YOLOv4Config(), 80)
    assert darknet.load(network, tmp_path / "seeded.weights") == 110
    oracle = np.load(folder / "raw_heads_000000000139_256.npz")
    maps = network(oracle["input"][None] * 255.0)
    for stride in (8, 16, 32):
        difference = np.abs(maps[stride][0].numpy() - oracle[f"stride_{stride}"])
        assert difference.max() < 1e-4 and difference.mean() < 1e-5, stride
