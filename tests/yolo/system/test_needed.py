"""What a command needs and does not find is said before it begins, with what mends it."""

import importlib
import json
import sys
import types

import pytest

from yolo import cli
from yolo.errors import ConfigError
from yolo.pictures import files
from yolo.system import optional, terminal


def test_packages_of_an_export_are_looked_for_before_anything_is_read(
    monkeypatch, capsys, tmp_path
):
    words = ["export", "--weights", str(tmp_path / "best.keras"), "--data", str(tmp_path)]
    monkeypatch.setattr(terminal, "import_tensorflow_quietly", lambda **_: pytest.fail("too late"))
    for name in ("tf2onnx", "openvino", "ai_edge_litert"):
        monkeypatch.setitem(sys.modules, name, None)
    for format, missing in (
        ("onnx", "tf2onnx"),
        ("openvino", "openvino"),
        ("litert", "ai_edge_litert"),
    ):
        assert cli.main([*words, "--format", format]) == 2
        error = capsys.readouterr().err
        assert f"--format {format} needs {missing}" in error
        assert error.endswith('pip install -e ".[export]"\n')
    optional.require(("json", "sys"), "reading", "none")


@pytest.mark.parametrize("place", ["environment", "file"])
def test_another_backend_of_keras_is_refused_by_the_commands(monkeypatch, tmp_path, place):
    monkeypatch.delenv("KERAS_BACKEND", raising=False)
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    settings = {"backend": "jax" if place == "file" else "tensorflow"}
    (tmp_path / "keras.json").write_text(json.dumps(settings), encoding="utf-8")
    if place == "environment":
        monkeypatch.setenv("KERAS_BACKEND", "jax")
    with pytest.raises(ConfigError, match="is set to jax.*KERAS_BACKEND=tensorflow"):
        terminal.import_tensorflow_quietly(verbose=True)


@pytest.mark.parametrize("text", ["{}", "not JSON", "[]", None])
def test_settings_of_keras_that_name_no_backend_are_its_default(monkeypatch, tmp_path, text):
    monkeypatch.delenv("KERAS_BACKEND", raising=False)
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    if text is not None:
        (tmp_path / "keras.json").write_text(text, encoding="utf-8")
    assert terminal._configured_backend() == "tensorflow"


def test_an_opencv_that_is_there_in_part_is_named_with_three_commands(monkeypatch):
    monkeypatch.setitem(sys.modules, "cv2", types.ModuleType("cv2"))
    spec = importlib.util.find_spec("yolo.pictures.files")
    with pytest.raises(ConfigError, match="in part only") as caught:
        spec.loader.exec_module(importlib.util.module_from_spec(spec))
    assert str(caught.value).count("pip ") == 3
    assert hasattr(files.cv2, "imdecode")
