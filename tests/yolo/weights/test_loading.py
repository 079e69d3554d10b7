"""Our own files: loaded whole or refused in one line, taken over layer by layer."""

import zipfile

import keras
import numpy as np
import pytest

import yolo
from yolo.errors import ConfigError, WeightsError
from yolo.weights import darknet, loading

CLASSES = ("cat", "狗")


def build(classes=CLASSES, **options):
    return yolo.build("yolov4-tiny", classes=classes, image_size=(64, 96), **options)


@pytest.fixture(scope="module")
def model():
    anchors = [(5, 6), (9, 9), (20, 10), (30, 30), (40, 60), (64, 90)]
    found = build(resize="stretch", anchors=anchors)
    found.notes = {"epoch": 7}
    return found


@pytest.fixture(scope="module")
def path(model, tmp_path_factory):
    path = tmp_path_factory.mktemp("模型") / "best.keras"
    model.save(path)
    return path


def refused(path, error=WeightsError, action=loading.load, **options):
    with pytest.raises(error) as caught:
        action(path, **options)
    message = str(caught.value)
    assert message.startswith(f"{path}: ") and "\n" not in message
    return message


def test_all_that_prediction_needs_comes_back(model, path):
    again = loading.load(path)
    assert again.classes == CLASSES and again.image_size == (64, 96)
    assert again.resize == "stretch" and again.architecture == model.architecture
    assert again.notes == {"epoch": 7}
    images = np.random.default_rng(0).integers(0, 255, (1, 64, 96, 3), np.uint8)
    for stride, raw in model.network(images).items():
        np.testing.assert_array_equal(again.network(images)[stride], raw)


def test_a_file_that_is_not_there(tmp_path):
    assert refused(tmp_path / "a.keras").endswith("cannot be opened: No such file or directory")
    assert refused(tmp_path).endswith("expected a file, found a folder, a pipe or a device")


@pytest.mark.parametrize("share", [0, 0.3, 0.999])
def test_a_file_cut_short(path, tmp_path, share):
    data = path.read_bytes()
    cut = tmp_path / "cut.keras"
    cut.write_bytes(data[: int(share * len(data))])
    message = refused(cut)
    assert "not a complete model" in message
    assert f"({int(share * len(data))} bytes that are no .keras archive" in message


def test_a_damaged_file(path, tmp_path):
    data = bytearray(path.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 64] = bytes(64)
    damaged = tmp_path / "damaged.keras"
    damaged.write_bytes(data)
    assert "not a complete model saved by this program (Bad CRC" in refused(damaged)


def test_an_archive_of_something_else(tmp_path):
    other = tmp_path / "other.keras"
    with zipfile.ZipFile(other, "w") as archive:
        archive.writestr("readme.txt", "hello")
    assert "not a complete model" in refused(other)


def test_a_model_of_something_else(tmp_path):
    other = tmp_path / "other.keras"
    keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)]).save(other)
    assert refused(other).endswith("holds a Sequential, not a detector")


# -------------------------------------------------------------------------------- transfer


def layers(model):
    return {layer.name: layer.get_weights() for layer in model.network.layers if layer.weights}


def test_transfer_between_equal_models_takes_everything(model, path, caplog):
    caplog.set_level("INFO", logger="yolo")
    target = build()
    loading.transfer(target, path)
    for name, weights in layers(model).items():
        for a, b in zip(weights, layers(target)[name], strict=True):
            np.testing.assert_array_equal(a, b)
    assert "loaded 21 of 21 layers; fresh: none" in caplog.text
    assert target.notes == {}


@pytest.mark.parametrize("classes", [("a", "b", "c"), ("a", "b")], ids=["three", "other two"])
def test_transfer_to_other_classes_leaves_their_logits_fresh(model, path, caplog, classes):
    caplog.set_level("INFO", logger="yolo")
    target = build(classes=classes)
    before = layers(target)
    loading.transfer(target, path)
    after, source = layers(target), layers(model)
    for name in ("head_conv_017", "head_conv_020"):
        for old, new, given in zip(before[name], after[name], source[name], strict=True):
            old, new, given = (a.reshape(*a.shape[:-1], 3, -1) for a in (old, new, given))
            np.testing.assert_array_equal(new[..., 5:], old[..., 5:])
            np.testing.assert_array_equal(new[..., :5], given[..., :5])
    assert (after["neck_conv_018"][0] == source["neck_conv_018"][0]).all()
    fresh = caplog.text.partition("fresh: ")[2].strip().split(", ")
    assert sorted(fresh) == ["head_conv_017 (class logits)", "head_conv_020 (class logits)"]


# ------------------------------------------------------------------------- open for use


def test_open_takes_both_kinds_of_file(model, path, tmp_path):
    assert loading.open_weights(path).classes == CLASSES
    weights = tmp_path / "own.weights"
    darknet.save(model, weights)
    found = loading.open_weights(weights, classes=("a", "b"), image_size=(96, 64))
    assert (found.classes, found.image_size, found.resize) == (("a", "b"), (96, 64), "stretch")


def test_a_darknet_file_of_unknown_classes_asks_for_their_names(model, tmp_path):
    weights = tmp_path / "own.weights"
    darknet.save(model, weights)
    message = refused(weights, action=loading.open_weights)
    assert message.endswith(
        "is for 2 classes, 0 names are known; give the class list with --classes FILE"
    )
    assert "is for 2 classes, 3 names" in refused(
        weights, action=loading.open_weights, classes=("a", "b", "c")
    )


def test_options_that_a_file_of_ours_answers_itself(path):
    model = loading.open_weights(path, classes=("dog", "cat"), image_size=(64, 96))
    assert model.classes == CLASSES
    assert "knows its own size, 64x96; leave out --image-size" in refused(
        path, ConfigError, loading.open_weights, image_size=(64, 64)
    )
