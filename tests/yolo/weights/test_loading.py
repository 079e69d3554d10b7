"""Weights files: each read once, opened whole or refused in one line, or a start for another."""

import zipfile

import h5py
import keras
import numpy as np
import pytest

import yolo
from tests.yolo.weights import test_torchvision, test_tutorial
from yolo.errors import ConfigError, WeightsError
from yolo.system import reading
from yolo.weights import darknet, keras_file, loading, torchvision, tutorial

CLASSES = ("cat", "狗")


def build(classes=CLASSES, **options):
    return yolo.build("yolov4-tiny", classes=classes, image_size=(64, 96), **options)


ANCHORS = [(5, 6), (9, 9), (20, 10), (30, 30), (40, 60), (64, 90)]


@pytest.fixture(scope="module")
def model():
    found = build(resize="stretch", anchors=ANCHORS)
    found.notes = {"epoch": 7}
    return found


@pytest.fixture(scope="module")
def path(model, tmp_path_factory):
    path = tmp_path_factory.mktemp("模型") / "best.keras"
    model.save(path)
    return path


def refused(path, error=WeightsError, **options):
    with pytest.raises(error) as caught:
        loading.load(path, **options)
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
    target = build(anchors=ANCHORS)
    loading.start_from(target, path)
    for name, weights in layers(model).items():
        for a, b in zip(weights, layers(target)[name], strict=True):
            np.testing.assert_array_equal(a, b)
    assert "loaded 21 of 21 layers; fresh: none" in caplog.text
    assert target.notes == {}


@pytest.mark.parametrize("classes", [("a", "b", "c"), ("a", "b")], ids=["three", "other two"])
def test_transfer_to_other_classes_leaves_their_logits_fresh(model, path, caplog, classes):
    caplog.set_level("INFO", logger="yolo")
    target = build(classes=classes, anchors=ANCHORS)
    before = layers(target)
    loading.start_from(target, path)
    after, source = layers(target), layers(model)
    for name in ("head_conv_017", "head_conv_020"):
        for old, new, given in zip(before[name], after[name], source[name], strict=True):
            old, new, given = (a.reshape(*a.shape[:-1], 3, -1) for a in (old, new, given))
            np.testing.assert_array_equal(new[..., 5:], old[..., 5:])
            np.testing.assert_array_equal(new[..., :5], given[..., :5])
    assert (after["neck_conv_018"][0] == source["neck_conv_018"][0]).all()
    fresh = caplog.text.partition("fresh: ")[2].strip().split(", ")
    assert sorted(fresh) == ["head_conv_017 (class logits)", "head_conv_020 (class logits)"]
    assert f"class logits of 0 of {len(classes)} classes kept" in caplog.text


# ------------------------------------------------------------------------- open for use


def test_open_takes_both_kinds_of_file(model, path, tmp_path):
    assert loading.load(path).classes == CLASSES
    weights = tmp_path / "own.weights"
    darknet.save(model, weights)
    found = loading.load(weights, classes=("a", "b"), image_size=(96, 64))
    assert (found.classes, found.image_size, found.resize) == (("a", "b"), (96, 64), "stretch")


def test_a_darknet_file_of_unknown_classes_asks_for_their_names(model, tmp_path):
    weights = tmp_path / "own.weights"
    darknet.save(model, weights)
    message = refused(weights)
    assert message.endswith(
        "is for 2 classes, 0 names are known; give the class list with --classes FILE"
    )
    assert "is for 2 classes, 3 names" in refused(weights, classes=("a", "b", "c"))


def test_a_file_of_ours_has_its_classes_and_takes_another_size(path):
    model = loading.load(path, classes=("dog", "cat"), image_size=(96, 160))
    assert model.classes == CLASSES and model.image_size == (96, 160)
    found = model.detect(np.zeros((50, 40, 3), np.uint8), score_threshold=0.0)
    assert len(found) == 1
    with pytest.raises(ValueError, match="multiples of 32"):
        loading.load(path, image_size=(100, 160))


@pytest.mark.parametrize(
    "option, words",
    [
        ({"cfg": "a.cfg"}, "--cfg is for Darknet's weights"),
        ({"anchors": [(1, 2)]}, "knows its own anchors; --anchors is for"),
        ({"masks": "coco"}, "--masks is for"),
    ],
)
def test_options_that_a_file_of_ours_answers_itself(path, option, words):
    assert words in refused(path, ConfigError, **option)


# ------------------------------------------------------------------------- each file once


@pytest.fixture(scope="module")
def files(model, path, tmp_path_factory):
    """Return a file of each kind, and the names of what reads it."""
    folder = tmp_path_factory.mktemp("each")
    darknet.save(model, folder / "own.weights")
    theirs = test_tutorial.layers_like(model.network, np.random.default_rng(0))
    test_tutorial.write(folder / "tiny.h5", theirs)
    retinanet = yolo.build("retinanet-r18", classes=CLASSES, profile="torchvision-v1")
    tensors = test_torchvision.state_dict(retinanet)
    np.savez(folder / "whole.npz", **tensors)
    test_torchvision.write_safetensors(folder / "whole.safetensors", tensors)
    return {
        path: ["open_regular", "h5py.File"],
        folder / "own.weights": ["open_regular"],
        folder / "tiny.h5": ["open_regular", "h5py.File"],
        folder / "whole.npz": ["open_regular", "numpy.load"],
        folder / "whole.safetensors": ["open_regular"],
    }


@pytest.mark.parametrize("kind", [".keras", ".weights", ".h5", ".npz", ".safetensors"])
def test_every_file_is_read_once(files, kind, monkeypatch):
    """Of each kind two whole networks are built and filled: some seconds."""
    file, readers = next((f, readers) for f, readers in files.items() if f.suffix == kind)
    calls = []

    def count(name, owner, attribute):
        honest = getattr(owner, attribute)

        def counted(*args, **kwargs):
            calls.append(name)
            return honest(*args, **kwargs)

        monkeypatch.setattr(owner, attribute, counted)

    for module in (reading, keras_file, torchvision, tutorial):
        count("open_regular", module, "open_regular")
    count("h5py.File", h5py, "File")
    count("numpy.load", np, "load")
    found = loading.load(file, classes=CLASSES)
    assert sorted(calls) == sorted(readers)
    calls.clear()
    fresh = yolo.build(
        "retinanet-r18" if found.architecture.family == "retinanet" else "yolov4-tiny",
        classes=("a", "b", "c"), image_size=(64, 64),
        **({"profile": "torchvision-v1"} if found.architecture.family == "retinanet" else {}),
    )  # fmt: skip
    loading.start_from(fresh, file)
    assert sorted(calls) == sorted(readers)


def test_a_pth_file_is_read_once(files, tmp_path, monkeypatch):
    torch = pytest.importorskip("torch", reason="needs PyTorch: pip install torch")
    with np.load(next(file for file in files if file.suffix == ".npz")) as tensors:
        tensors = {name: torch.from_numpy(tensors[name]) for name in tensors.files}
    torch.save(tensors, tmp_path / "whole.pth")
    honest, calls = torch.load, []
    monkeypatch.setattr(torch, "load", lambda *a, **k: calls.append(a) or honest(*a, **k))
    loading.load(tmp_path / "whole.pth", classes=CLASSES, image_size=(64, 64))
    assert len(calls) == 1
