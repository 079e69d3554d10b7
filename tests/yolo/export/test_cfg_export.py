"""A model of a cfg, with groups of channels and pools of its own, in another runtime."""

import numpy as np
import pytest

import yolo
from tests.yolo.models.darknet_cfg.cfgs import NEW_COORDS, file_of, weights_of
from yolo.export import exporter


@pytest.mark.parametrize("runtime", ["onnx", "openvino"])
def test_a_model_of_a_cfg_computes_the_same(tmp_path, runtime):
    pytest.importorskip({"onnx": "tf2onnx", "openvino": "openvino"}[runtime])
    rng = np.random.default_rng(0)
    (tmp_path / "my.cfg").write_text(NEW_COORDS, encoding="utf-8")
    (tmp_path / "my.weights").write_bytes(file_of(weights_of(NEW_COORDS, rng)))
    model = yolo.load(tmp_path / "my.weights", classes=("a", "b"))
    picture = rng.integers(0, 255, (96, 64, 3), np.uint8)
    info = exporter.describe(model, runtime, score_threshold=0.1)
    path, difference = exporter.export(model, tmp_path, info, picture=picture)
    assert path.exists() and difference.score < 1e-5 and difference.box_share < 1e-3
