"""The description that travels with an exported file."""

import dataclasses
import json
import sys

import pytest

from yolo.errors import WeightsError, YoloError
from yolo.export import info
from yolo.export.info import ExportInfo, info_path, read_info, runtime_of, write_info
from yolo.models.thresholds import Thresholds
from yolo.system.optional import import_optional

INFO = ExportInfo("litert", "yolov4_tiny", ["cat", "狗"], [64, 96], "letterbox", 0.25, 0.5, 7,
                  quantize="int8", notes={"epoch": 2, "split_seed": 7})  # fmt: skip


@pytest.mark.parametrize("name", ["best.tflite", "best.onnx", "best.xml"])
def test_it_lies_beside_a_file_and_comes_back(tmp_path, name):
    write_info(tmp_path / name, INFO)
    assert [path.name for path in tmp_path.iterdir()] == [f"{name}.json"]
    assert read_info(tmp_path / name) == INFO
    assert INFO.classes == ("cat", "狗") and INFO.image_size == (64, 96)


def test_it_brings_the_thresholds_of_its_model():
    assert INFO.thresholds == Thresholds(0.25, 0.5, 7)
    plain = INFO.to_json()
    assert [plain[name] for name in Thresholds._fields] == [0.25, 0.5, 7, False]


def test_it_lies_inside_a_folder(tmp_path):
    write_info(tmp_path / "best_saved_model", INFO)
    assert (tmp_path / "best_saved_model" / "metadata.json").is_file()
    assert read_info(tmp_path / "best_saved_model") == INFO


def test_it_tells_other_programs_what_goes_in_and_comes_out(tmp_path):
    plain = INFO.to_json()
    assert plain["input"]["name"] == "images" and plain["input"]["range"] == [0, 255]
    assert plain["input"]["padding"] == 128
    assert set(plain["outputs"]) == set(info.RAW_OUTPUTS)
    other = dataclasses.replace(INFO, resize="stretch", nms=True).to_json()
    assert set(other["outputs"]) == {*info.RAW_OUTPUTS, *info.NMS_OUTPUTS}
    assert other["input"]["padding"] is None


def test_without_it_a_file_has_no_class_names(tmp_path):
    with pytest.raises(WeightsError, match=r"best.onnx.json: cannot be read .*copy it together"):
        read_info(tmp_path / "best.onnx")


@pytest.mark.parametrize(
    "text, words",
    [
        ("{", "not the description"),
        ("[]", "not the description"),
        ('{"format": "onnx"}', "not the description"),
        (
            json.dumps({k: v for k, v in INFO.to_json().items() if k != "iou_threshold"}),
            "iou_threshold",
        ),
        (json.dumps({**INFO.to_json(), "format": "coreml"}), "says format 'coreml'"),
        (json.dumps({**INFO.to_json(), "notes": {"split_seed": "7"}}), "split_seed '7' is no"),
        (json.dumps({**INFO.to_json(), "notes": 3}), "not the description"),
        (json.dumps({**INFO.to_json(), "score_threshold": 25}), "score_threshold: expected"),
        (json.dumps({**INFO.to_json(), "iou_threshold": None}), "iou_threshold: expected"),
        (json.dumps({**INFO.to_json(), "resize": "crop"}), "resize must be one of"),
        (json.dumps({**INFO.to_json(), "image_size": 3}), "image_size must be"),
    ],
)
def test_a_damaged_description(tmp_path, text, words):
    path = tmp_path / "best.onnx"
    info_path(path).write_text(text, encoding="utf-8")
    with pytest.raises(WeightsError, match=words) as caught:
        read_info(path)
    assert str(caught.value).startswith(str(info_path(path)))


def test_keys_of_a_later_version_do_no_harm(tmp_path):
    path = tmp_path / "best.onnx"
    info_path(path).write_text(json.dumps({**INFO.to_json(), "novelty": 1}), encoding="utf-8")
    assert read_info(path) == INFO


def test_files_tell_their_runtime(tmp_path):
    (tmp_path / "folder").mkdir()
    assert runtime_of(tmp_path / "folder") is None
    (tmp_path / "folder" / "saved_model.pb").write_bytes(b"")
    assert runtime_of(tmp_path / "folder") == "saved_model"
    names = {"a.onnx": "onnx", "a.xml": "openvino", "a.tflite": "litert", "a.weights": None}
    assert {name: runtime_of(name) for name in names} == names


def test_an_optional_package(monkeypatch):
    assert import_optional("json", "json", "x") is json
    monkeypatch.setitem(sys.modules, "absent_package", None)
    with pytest.raises(YoloError, match="--runtime x needs the package a-p .*run: pip install a-p"):
        import_optional("absent_package", "a-p", "--runtime x")
