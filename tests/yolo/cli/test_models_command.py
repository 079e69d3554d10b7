"""The arithmetic of networks, against Darknet's own count and by hand."""

import keras
import pytest

from tests.yolo.models.darknet_cfg.cfgs import MINI
from yolo import cli
from yolo.export.graph import multiply_adds
from yolo.zoo import build


def test_by_hand():
    picture = keras.Input((None, None, 3))
    x = keras.layers.Conv2D(8, 3, strides=2, padding="same")(picture)  # 4 x 6 x 8, from 3
    x = keras.layers.DepthwiseConv2D(3, padding="same")(x)
    x = keras.layers.Conv2D(4, 1, groups=2)(x)  # 4 channels, each from 4
    network = keras.Model(picture, x)
    assert multiply_adds(network, (8, 12)) == 24 * (8 * 27 + 8 * 9 + 4 * 4)


def test_the_tiny_network_is_darknets():
    """Darknet prints 6.910 BFLOPS for yolov4-tiny.cfg at 416 x 416, two a multiply-add."""
    model = build("yolov4-tiny", classes=[str(i) for i in range(80)], masks="coco")
    assert 2 * multiply_adds(model.network, (416, 416)) / 1e9 == pytest.approx(6.910, abs=0.005)
    # Decoding apart from the network is the decoding that detection does.
    images = keras.random.uniform((1, 64, 96, 3), 0, 255, seed=0)
    apart, whole = model.decode(model.network(images), (64, 96)), model.predict_raw(images)
    for name in ("boxes", "scores"):
        assert abs(keras.ops.convert_to_numpy(apart[name]) - whole[name]).max() < 1e-3


def test_the_table_of_models(capsys, monkeypatch):
    monkeypatch.setattr("yolo.system.terminal.import_tensorflow_quietly", lambda **_: None)
    assert cli.main(["models", "yolov4-tiny", "--image-size", "320x416"]) == 0
    row = capsys.readouterr().out.splitlines()[-1].split()
    assert row[:2] == ["yolov4-tiny", "6,062,814"] and "16, 32" in " ".join(row)
    assert float(row[2]) == pytest.approx(6.910 * 320 / 416, abs=0.01)
    names = "yolov4-tiny-coco, yolov4-tiny-backbone, yolov4-tiny-tutorial-coco"
    assert row[-3:] == names.split()
    assert cli.main(["models", "yolov4-tiny", "--num-classes", "3"]) == 0
    fewer = 77 * 3 * (512 + 1 + 256 + 1)  # outputs of both heads, with their biases
    assert f"{6_062_814 - fewer:,}" in capsys.readouterr().out
    assert cli.main(["models", "yolov9"]) == 2
    assert "no model is called 'yolov9'; there are yolov4, " in capsys.readouterr().err


def test_the_table_of_well_known_cfgs(capsys, monkeypatch, tmp_path):
    monkeypatch.setattr("yolo.system.terminal.import_tensorflow_quietly", lambda **_: None)
    assert cli.main(["models", "yolov4-csp", "yolov7-tiny"]) == 0
    rows = [line.split() for line in capsys.readouterr().out.splitlines()[2:]]
    assert rows[0][:6] == ["yolov4-csp", "52,986,205", "77.0", "512x512", "46.2", "64.8"]
    assert rows[0][-2:] == ["yolov4-csp-coco,", "yolov4-csp-backbone"]
    assert rows[1][:2] == ["yolov7-tiny", "6,241,885"]
    (tmp_path / "my.cfg").write_text(MINI, encoding="utf-8")
    assert cli.main(["models", str(tmp_path / "my.cfg"), "--num-classes", "2"]) == 0
    row = capsys.readouterr().out.splitlines()[-1].split()
    assert row[0].endswith("my.cfg") and "4, 8" in " ".join(row)
