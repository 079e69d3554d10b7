"""What a `.keras` file may not do: run code, reach out, fill the memory (T21)."""

import dataclasses
import io
import json
import re
import time
import zipfile
from pathlib import Path

import h5py
import numpy as np
import pytest

import yolo
from tests.faults.audit import foreign_imports, listening, opened, started
from tests.yolo.helpers import narrow
from yolo.errors import WeightsError
from yolo.models.retinanet.settings import RetinaNetConfig
from yolo.weights import keras_file, loading

ROOT = Path(__file__).resolve().parents[2]
LAYERS = "layers/functional/layers"
FIRST = f"{LAYERS}/conv_norm/convolution/vars/0"


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    """Return config and weights of a good file."""
    path = tmp_path_factory.mktemp("good") / "a.keras"
    yolo.build("yolov4-tiny", classes=["a", "b"], image_size=(64, 64)).save(path)
    with zipfile.ZipFile(path) as opened_:
        return json.loads(opened_.read(keras_file.CONFIG)), opened_.read(keras_file.WEIGHTS)


def layer(module, class_name, **config):
    return {"module": module, "class_name": class_name, "config": config, "registered_name": None}


def function(name, module="builtins"):
    return {"module": module, "class_name": "function", "config": name, "registered_name": name}


LAMBDA = layer("keras.layers", "Lambda", name="l", function={
    "class_name": "__lambda__", "config": {"code": "4wEAAAA=", "defaults": None, "closure": None},
})  # fmt: skip
RUN = layer("os", "system", command="touch owned")


def sequential(*layers):
    return layer("keras", "Sequential", name="s", layers=list(layers))


# What stands in the place of the whole config
WHOLE = {
    "lambda": sequential(LAMBDA),
    "lambda of a function": sequential(
        layer("keras.layers", "Lambda", function=function("system", "os"))
    ),
    "os.system": RUN,
    "subprocess": layer("subprocess", "Popen", args=["touch", "owned"]),
    "builtins.exec": layer("builtins", "exec", source="import os"),
    "get_file": layer("keras.utils", "get_file", fname="owned", origin="http://127.0.0.1:9/x"),
    "unsafe deserialization": layer("keras.config", "enable_unsafe_deserialization"),
    "string lookup": sequential(layer("keras.layers", "StringLookup", vocabulary="/etc/passwd")),
    "text vectorization": sequential(
        layer("keras.layers", "TextVectorization", vocabulary="/etc/passwd")
    ),
    "saved model layer": sequential(layer("keras.layers", "TFSMLayer", filepath="/etc")),
    "huge dense": sequential(layer("keras.layers", "Dense", units=2**34)),
    "another module's detector": layer("evil.detector", "Detector", command="x"),
    "pickle": layer("pickle", "loads", data="x"),
    "torch": layer("torch.hub", "load", repo="x"),
    "functional": layer("keras", "Functional", name="f", layers=[LAMBDA], input_layers=[]),
}
# What is changed inside the config of a detector
INSIDE = {
    "family of another module": {"family": "os"},
    "a layer as architecture": {"architecture": LAMBDA},
    "an unknown field": {"custom_objects": {"x": RUN}},
    "a million classes": {"classes": [f"c{n}" for n in range(19_999)]},
    "too many classes": {"classes": [str(n) for n in range(20_001)]},
    "a class that is a layer": {"classes": [RUN]},
    "huge pictures": {"image_size": [2**31, 2**31]},
    "a picture size that is a text": {"image_size": ["64", "64"]},
    "a resize mode that is a path": {"resize": "../../etc"},
    "a name that is a path": {"name": "../../owned"},
    "notes that are a list": {"notes": [RUN]},
    "a seed that is an object": {"notes": {"split_seed": RUN}},
}
ARCHITECTURE = {
    "huge masks": {"masks": [[0] * 1000, [1] * 1000]},
    "masks that count wrongly": {"masks": [[10**8], [1]]},
    "an unknown field of the architecture": {"filters": 2**34},
    "infinite anchors": {"anchors": [[float("inf"), 1.0]] * 6},
    "a prior that is an object": {"prior": RUN},
    "attention by path": {"attention": "os.system"},
    "strides of another network": {"strides": [8, 10**8]},
    "options of no loss": {"cfg_loss": [["path", "/etc/passwd"]]},
    "options that are no pairs": {"cfg_loss": [1, 2]},
    "options by an object": {"cfg_loss": RUN},
}


def copied(weights, change):
    """Return the weights' file after a change to it."""
    buffer = io.BytesIO(weights)
    with h5py.File(buffer, "r+") as file:
        change(file)
    return buffer.getvalue()


def replaced(file, **options):
    del file[FIRST]
    return file.create_dataset(FIRST, (3, 3, 3, 32), "f4", **options)


def external_link(file):
    del file[FIRST]
    file[FIRST] = h5py.ExternalLink("secret.h5", "/x")


def soft_link(file):
    del file[FIRST]
    file[FIRST] = h5py.SoftLink(f"/{LAYERS}/conv_norm_1/convolution/vars/0")


def virtual(file):
    source = h5py.VirtualSource("secret.h5", "x", (3, 3, 3, 32))
    place = h5py.VirtualLayout((3, 3, 3, 32), "f4")
    place[...] = source
    del file[FIRST]
    file.create_virtual_dataset(FIRST, place)


def circle(file):
    del file[f"{LAYERS}/conv_norm"]
    file[f"{LAYERS}/conv_norm"] = file[LAYERS]


def bomb(file):
    del file[FIRST]
    file.create_dataset(FIRST, (2**31, 2**10), "f4", chunks=(1, 2**10))


WEIGHTS = {
    "external link": external_link,
    "soft link": soft_link,
    "external storage": lambda f: replaced(f, external=[("secret.bin", 0, 3456)]),
    "virtual dataset": virtual,
    "packed": lambda f: replaced(f, chunks=(3, 3, 3, 32), compression="gzip"),
    "shape bomb": bomb,
    "a group for a tensor": lambda f: (f.__delitem__(FIRST), f.create_group(FIRST)),
    "groups in a circle": circle,
    "a tensor too many": lambda f: f.create_dataset("layers/other/vars/0", data=np.zeros(3, "f4")),
    "nothing": lambda f: f.__delitem__("layers"),
}


def written(path, config, weights, **options):
    with zipfile.ZipFile(path, "w", **options) as opened_:
        opened_.writestr("metadata.json", "{}")
        opened_.writestr(
            keras_file.CONFIG, config if isinstance(config, str) else json.dumps(config)
        )
        opened_.writestr(keras_file.WEIGHTS, weights)
    return path


def refused(path):
    """Load a file that must be refused in one line, quickly, with nothing done outside."""
    began = time.process_time()
    with listening() as heard, pytest.raises(WeightsError) as caught:
        loading.load(path)
    seconds = time.process_time() - began
    text = str(caught.value)
    assert text.startswith(f"{path}: ") and "\n" not in text and len(text) < 1000
    assert started(heard) == [] and foreign_imports(heard) == []
    assert {p for p in opened(heard) if p.is_relative_to(path.parent)} <= {path}
    assert not [p for p in opened(heard) if p.name.startswith(("secret", "passwd", "owned"))]
    assert [p.name for p in path.parent.iterdir()] == [path.name]
    return text, seconds


def test_there_are_thirty():
    assert len(WHOLE) + len(INSIDE) + len(ARCHITECTURE) + len(WEIGHTS) >= 30


@pytest.mark.parametrize("name", WHOLE)
def test_configs_of_other_things(tmp_path, name):
    text, seconds = refused(written(tmp_path / "a.keras", WHOLE[name], b""))
    assert text.endswith(", not a detector") and seconds < 0.5


@pytest.mark.parametrize("name", INSIDE)
def test_configs_with_other_values(tmp_path, good, name):
    config = {**good[0], "config": {**good[0]["config"], **INSIDE[name]}}
    _, seconds = refused(written(tmp_path / "a.keras", config, good[1]))
    assert seconds < 1.5  # on a busy machine; 0.01 on a quiet one


@pytest.mark.parametrize("name", ARCHITECTURE)
def test_architectures_with_other_values(tmp_path, good, name):
    inner = {**good[0]["config"]["architecture"], **ARCHITECTURE[name]}
    config = {**good[0], "config": {**good[0]["config"], "architecture": inner}}
    _, seconds = refused(written(tmp_path / "a.keras", config, good[1]))
    assert seconds < 1.5  # on a busy machine; 0.01 on a quiet one


@pytest.mark.parametrize(
    "value",
    [{"channels": 2**26}, {"candidates": 1.5}, {"frozen_norm": 1}, {"prior": True},
     {"anchor_scales": 1.0}, {"backbone": ["resnet-50"]}, {"candidates": "9"}],
    ids=str,
)  # fmt: skip
def test_retinanets_with_other_values(tmp_path, value):
    architecture = {**dataclasses.asdict(RetinaNetConfig(backbone="csp-tiny")), **value}
    config = {"family": "retinanet", "architecture": architecture, "classes": ["a"], "notes": {},
              "image_size": [64, 64], "resize": "letterbox", "name": "detector"}  # fmt: skip
    whole = {"module": "yolo.detector", "class_name": "Detector",
             "registered_name": "yolo>Detector", "config": config}  # fmt: skip
    path = written(tmp_path / "a.keras", json.loads(json.dumps(whole)), bytes(10**7))
    text, seconds = refused(path)
    assert re.search("its config|architecture|channels", text) and seconds < 1.5


NONE = {
    "lists": "[" * 100_000,
    "objects": '{"a": ' * 100_000,
    "digits": "9" * 5000,
    "empty": "",
    "surrogate": "\ud800".encode("utf-8", "surrogatepass"),
    "twice": '{"module": "yolo.detector", "module": "os"}',
    "text": '"x"',
    "list": "[1]",
    "long": " " * (keras_file.MAX_CONFIG_BYTES + 1),
}


@pytest.mark.parametrize("config", NONE.values(), ids=NONE)
def test_configs_that_are_none(tmp_path, config):
    path = tmp_path / "a.keras"
    if isinstance(config, bytes):
        with zipfile.ZipFile(path, "w") as opened_:
            opened_.writestr(keras_file.CONFIG, config)
            opened_.writestr(keras_file.WEIGHTS, b"")
    else:
        written(path, config, b"")
    _, seconds = refused(path)
    assert seconds < 1.5  # on a busy machine; 0.01 on a quiet one


def test_a_zip_bomb(tmp_path, good):
    config = json.dumps(good[0])
    path = written(tmp_path / "a.keras", config, bytes(50 << 20), compression=zipfile.ZIP_DEFLATED)
    text, seconds = refused(path)
    assert "is packed" in text and seconds < 0.5


def test_a_member_twice(tmp_path, good):
    path = written(tmp_path / "a.keras", good[0], b"")
    with zipfile.ZipFile(path, "a") as opened_, pytest.warns(UserWarning, match="Duplicate"):
        opened_.writestr(keras_file.CONFIG, json.dumps(RUN))
    assert "2 members config.json" in refused(path)[0]


@pytest.fixture(scope="module")
def model():
    return yolo.build("yolov4-tiny", classes=["a", "b"], image_size=(64, 64))


@pytest.mark.parametrize("name", WEIGHTS)
def test_weights_that_lead_elsewhere(tmp_path, monkeypatch, good, model, name):
    monkeypatch.chdir(tmp_path)
    with h5py.File(tmp_path / "secret.h5", "w") as file:
        file["x"] = np.zeros((3, 3, 3, 32), "f4")
    (tmp_path / "secret.bin").write_bytes(bytes(3456))
    weights = copied(good[1], WEIGHTS[name])
    before = model.get_weights()
    with listening() as heard, pytest.raises(WeightsError) as caught:
        keras_file.restore(model, weights, "a.keras")
    assert str(caught.value).startswith("a.keras: ") and "\n" not in str(caught.value)
    assert started(heard) == [] and not [p for p in opened(heard) if p.name.startswith("secret")]
    assert all(np.array_equal(a, b) for a, b in zip(before, model.get_weights(), strict=True))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda f: f[FIRST].__setitem__((0, 0, 0, 0), np.nan), "is not finite"),
        (lambda f: f[FIRST].__setitem__((0, 0, 0, 0), np.inf), "is not finite"),
        (
            lambda f: f[f"{LAYERS}/conv_norm_2/norm/vars/3"].__setitem__(5, -1e-3),
            "a variance of layers/functional/layers/conv_norm_2/norm/vars/3 "
            "(backbone_conv_002/norm/moving_variance) is negative",
        ),
        (lambda f: f.__delitem__(f"{LAYERS}/conv_norm_18/norm/vars/3"),
         "no tensor layers/functional/layers/conv_norm_18/norm/vars/3 "
         "(head_conv_016/norm/moving_variance)"),
    ],
)  # fmt: skip
def test_values_that_no_network_has_are_named_and_nothing_changes(good, model, change, words):
    before = model.get_weights()
    with pytest.raises(WeightsError) as caught:
        keras_file.restore(model, copied(good[1], change), "a.keras")
    assert words in str(caught.value)
    assert all(np.array_equal(a, b) for a, b in zip(before, model.get_weights(), strict=True))


@pytest.mark.parametrize("attention", ["none", "se", "cbam", "eca", "ca"])
def test_every_tensor_of_every_network_is_found(tmp_path, attention):
    with narrow():
        first, second = (
            yolo.build("yolov4-tiny", classes=["a"], image_size=(64, 64), attention=attention)
            for _ in range(2)
        )
    for i, variable in enumerate(first.network.variables):
        variable.assign(np.full(variable.shape, 1 + i, "f4"))
    first.save(tmp_path / "a.keras")
    with zipfile.ZipFile(tmp_path / "a.keras") as opened_:
        keras_file.restore(second, opened_.read(keras_file.WEIGHTS), "a.keras")
    for a, b in zip(first.network.variables, second.network.variables, strict=True):
        np.testing.assert_array_equal(a.numpy(), b.numpy())


def test_nothing_turns_the_safe_mode_off():
    for folder in ("yolo", "keras_focal", "benchmarks", "tests/faults/full"):
        for path in (ROOT / folder).rglob("*.py"):
            text = path.read_text(encoding="utf-8")
            assert "safe_mode" not in text and "unsafe_deserialization" not in text, path
            if folder == "yolo" and path.name != "trainer.py":  # which reads its own run's state
                assert "load_model(" not in text.replace("keras.models.load_model`", ""), path
