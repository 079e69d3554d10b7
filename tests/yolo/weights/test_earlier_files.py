"""A file of an earlier run opens: what it says of itself, as older versions wrote it.

`earlier/` holds the texts of `.keras` files from before the rooms got their present names: odd
options, notes, and how the model was compiled. The weights are written here.
"""

import json
import zipfile
from pathlib import Path

import keras
import numpy as np
import pytest

import yolo
from yolo.training import guard  # its optimizers are known to Keras once it is imported
from yolo.weights import keras_file

EARLIER = Path(__file__).parent / "earlier"


def named(value):
    """Return a config as JSON has it, without modules: a registered name says enough."""
    if isinstance(value, dict):
        return {key: named(v) for key, v in value.items() if key != "module"}
    return [named(v) for v in value] if isinstance(value, list | tuple) else value


def of_then(value, earlier):
    """Return what a config says of that which an earlier one knew; settings are added with time."""
    if isinstance(value, dict) and isinstance(earlier, dict):
        return {key: of_then(v, earlier[key]) for key, v in value.items() if key in earlier}
    return value


@pytest.fixture(params=["yolov4-tiny", pytest.param("retinanet-r18", marks=pytest.mark.long)])
def earlier(request, tmp_path):
    """Return a file of an earlier run, its config, and the detector whose weights it holds."""
    text = (EARLIER / f"{request.param}.json").read_text(encoding="utf-8")
    config = json.loads(text)
    model = yolo.Detector.from_config(json.loads(text)["config"])
    model.compile_from_config(json.loads(text)["compile_config"])
    rng = np.random.default_rng(0)
    for layer in model.network.layers[-3:]:
        layer.set_weights([w + rng.normal(0, 0.01, w.shape) for w in layer.get_weights()])
    model.save(tmp_path / "today.keras")
    path = tmp_path / "best.keras"
    with zipfile.ZipFile(tmp_path / "today.keras") as today, zipfile.ZipFile(path, "w") as archive:
        archive.write(EARLIER / "metadata.json", "metadata.json")
        archive.writestr(keras_file.CONFIG, text)
        archive.writestr(keras_file.WEIGHTS, today.read(keras_file.WEIGHTS))
    return path, config, model


def test_a_file_of_an_earlier_run_opens(earlier):
    """Two families, saved and opened twice: some seconds."""
    path, config, model = earlier
    size = (*config["config"]["image_size"], 3)
    images = np.random.default_rng(1).integers(0, 255, (1, *size), np.uint8)
    (expected,) = model.detect(images, score_threshold=0.001)
    assert len(expected)
    for load in (yolo.load, keras.models.load_model):
        again = load(path)
        assert of_then(named(again.get_config()), config["config"]) == config["config"]
        for weight, saved in zip(again.get_weights(), model.get_weights(), strict=True):
            np.testing.assert_array_equal(weight, saved)
    (found,) = again.detect(images, score_threshold=0.001)
    for part in ("boxes_xyxy", "scores", "class_ids"):
        np.testing.assert_array_equal(getattr(found, part), getattr(expected, part))
    assert isinstance(again.optimizer, guard.GuardedSGD | guard.GuardedAdamW)
    compiled = named(config["compile_config"])
    assert of_then(named(again.get_compile_config()), compiled) == compiled
    truth = {"boxes": np.float32([[[9, 9, 50, 50]]]), "classes": np.zeros((1, 1), "int32")}
    again.run_eagerly = True  # for a single step quicker than to trace its graph
    assert np.isfinite(again.train_on_batch(images, truth)).all()
