"""A weights file fits to the last byte and tensor, or it changes nothing (T24)."""

import logging
import struct

import numpy as np
import pytest

import yolo
from yolo.errors import WeightsError
from yolo.weights import darknet, loading


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    """Return a whole Darknet file for 2 classes, and another model of that kind."""
    path = tmp_path_factory.mktemp("darknet") / "a.weights"
    darknet.save(yolo.build("yolov4-tiny", classes=["a", "b"], image_size=(64, 64)), path)
    return path, yolo.build("yolov4-tiny", classes=["a", "b"], image_size=(64, 64))


@pytest.mark.parametrize(
    "change",
    [
        lambda d: d[:-4],
        lambda d: d + bytes(4),
        lambda d: d[:-1],
        lambda d: d + bytes(1),
        lambda d: struct.pack("<i", 0) + struct.pack("<i", 1) + d[8:],  # v0.1 has 16 bytes
        lambda d: d[:16] + d[20:],  # 16 bytes under v0.2's version
        lambda d: struct.pack("<i", 2) + d[4:],
        lambda d: struct.pack("<ii", 0, -1) + d[8:],
        lambda d: d[:20] + d[24:] + bytes(8),
        lambda d: d[: len(d) // 2],
    ],
)
def test_bytes_too_many_or_too_few(file, tmp_path, change):
    path, model = file
    damaged = tmp_path / "b.weights"
    damaged.write_bytes(change(path.read_bytes()))
    before = model.get_weights()
    for read in (lambda: darknet.load(model, damaged), lambda: loading.load(damaged)):
        with pytest.raises(WeightsError) as caught:
            read()
        assert str(caught.value).startswith(f"{damaged}: ") and "\n" not in str(caught.value)
    assert all(np.array_equal(a, b) for a, b in zip(before, model.get_weights(), strict=True))


def test_a_whole_file_fills_every_tensor(file, caplog):
    path, model = file
    for variable in model.network.variables:
        variable.assign(np.full(variable.shape, 777, "f4"))
    with caplog.at_level(logging.INFO, "yolo"):
        assert darknet.load(model, path) == 21
    assert not any((v.numpy() == 777).any() for v in model.network.variables)
    assert "loaded 21 of 21" in caplog.text and "fresh: none" in caplog.text


def test_what_stays_fresh_is_named(file, caplog):
    other = yolo.build("yolov4-tiny", classes=["x"], image_size=(64, 64), attention="se")
    with caplog.at_level(logging.INFO, "yolo"):
        darknet.load(other, file[0])
    fresh = caplog.text.partition("fresh: ")[2]
    for name in ("head_conv_017 (class logits)", "head_conv_020 (class logits)", "attention_16"):
        assert name in fresh


def test_a_transfer_that_fails_changes_nothing(tmp_path, file):
    model = file[1]
    other = yolo.build("yolov4-tiny", classes=["a", "b"], image_size=(64, 64))
    other.network.get_layer("head_conv_020").kernel.assign(np.full((1, 1, 256, 21), np.nan, "f4"))
    other.save(tmp_path / "a.keras")
    before = model.get_weights()
    with pytest.raises(WeightsError, match=r"\(head_conv_020/kernel\) is not finite"):
        loading.start_from(model, tmp_path / "a.keras")
    assert all(np.array_equal(a, b) for a, b in zip(before, model.get_weights(), strict=True))


@pytest.mark.parametrize("name", ["a.weights", "a.keras"])
def test_no_regular_file(tmp_path, name):
    import os

    if not hasattr(os, "mkfifo"):
        pytest.skip("no named pipes here")
    os.mkfifo(tmp_path / name)
    with pytest.raises(WeightsError, match="expected a file, found a folder, a pipe"):
        loading.load(tmp_path / name)
