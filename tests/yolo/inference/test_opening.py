"""`yolo.load`: a run's folder and exported files; other files are `loading.load`'s."""

import numpy as np
import pytest

import yolo
from yolo.errors import ConfigError, WeightsError
from yolo.weights import catalog


def test_a_folder_of_a_run_stands_for_its_best_model(tmp_path):
    model = yolo.build("yolov4-tiny", classes=["a", "b"], image_size=(32, 32))
    run = tmp_path / "run"
    run.mkdir()
    model.save(run / "best.keras")
    assert catalog.locate(run) == run / "best.keras"
    again = yolo.load(run)
    np.testing.assert_array_equal(again.weights[0], model.weights[0])
    assert yolo.load(str(run), image_size=(64, 32)).image_size == (64, 32)
    (tmp_path / "empty").mkdir()
    with pytest.raises(WeightsError, match="empty"):
        yolo.load(tmp_path / "empty")


def test_an_export_is_opened_by_its_runtime_and_takes_no_classes(tmp_path):
    file = tmp_path / "best.onnx"
    file.write_bytes(b"")
    with pytest.raises(WeightsError, match=r"best.onnx.json"):
        yolo.load(file)
    with pytest.raises(ConfigError, match="classes is for files of other programs"):
        yolo.load(file, classes=["a"])
