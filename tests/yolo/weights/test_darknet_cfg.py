"""A Darknet file with its cfg: found beside it, told, opened, and written back byte for byte."""

import logging

import cv2
import numpy as np
import pytest

import yolo
from tests.yolo.models.darknet_cfg.cfgs import MINI, NEW_COORDS, file_of, weights_of
from yolo.errors import ConfigError, WeightsError
from yolo.export import darknet as export
from yolo.models.yolov4.as_cfg import text_of
from yolo.weights import darknet

ARRAYS = weights_of(MINI, np.random.default_rng(0))


@pytest.fixture
def folder(tmp_path):
    """Return a folder with `my.weights` and `my.cfg`."""
    (tmp_path / "my.weights").write_bytes(file_of(ARRAYS))
    (tmp_path / "my.cfg").write_text(MINI, encoding="utf-8")
    return tmp_path


def told(caplog):
    return [record.getMessage() for record in caplog.records]


@pytest.fixture
def logged(caplog):
    caplog.set_level(logging.INFO, "yolo")
    return caplog


def test_what_lies_beside_is_taken_and_said(folder, logged):
    (folder / "obj.names").write_text("cat\ndog\n", encoding="utf-8")
    model = yolo.load(folder / "my.weights")
    assert model.classes == ("cat", "dog") and model.image_size == (96, 64)
    assert (
        f"my from {folder / 'my.cfg'}: 2 classes, 96x64, 2 heads, masks 2,1 and 0, names from "
        "obj.names"
    ) in told(logged)
    assert not any("assumed" in line for line in told(logged))


@pytest.mark.parametrize(
    "weights, cfg",
    [("a_final.weights", "a.cfg"), ("a_1000.weights", "a.cfg"), ("w.weights", "only.cfg")],
)
def test_cfgs_that_belong_to_a_file_by_name_or_alone(folder, weights, cfg):
    (folder / "my.weights").rename(folder / weights)
    (folder / "my.cfg").rename(folder / cfg)
    if weights != "w.weights":
        (folder / "other.cfg").write_text(NEW_COORDS, encoding="utf-8")
    (folder / "setup.cfg").write_text("[metadata]\nname = mine\n", encoding="utf-8")
    assert yolo.load(folder / weights, classes="ab").architecture.cfg == MINI


def test_of_two_cfgs_none_is_guessed_and_one_can_be_named(folder, logged):
    for name in ("one.cfg", "two.cfg"):
        (folder / name).write_text(MINI, encoding="utf-8")
    (folder / "my.cfg").unlink()
    with pytest.raises(WeightsError, match="whose cfg is wanted: --cfg FILE"):
        yolo.load(folder / "my.weights", classes="ab")
    assert yolo.load(folder / "my.weights", classes="ab", cfg=folder / "two.cfg").classes == (
        "a", "b",
    )  # fmt: skip


def test_a_cfg_of_other_weights_beside_them_is_passed_over(folder, logged):
    other = MINI.replace("filters=16", "filters=32")
    (folder / "my.cfg").write_text(other, encoding="utf-8")
    with pytest.raises(WeightsError, match="whose cfg is wanted"):
        yolo.load(folder / "my.weights", classes="ab")
    assert any("is for other ones" in line for line in told(logged))
    with pytest.raises(WeightsError, match=r"expected \d+ bytes for .*my.cfg with 2 classes"):
        yolo.load(folder / "my.weights", classes="ab", cfg=folder / "my.cfg")


def test_a_cfg_of_another_class_count_says_which_the_file_is_of(folder):
    other = MINI.replace("classes=2", "classes=4").replace("filters=14", "filters=18")
    other = other.replace("filters=7", "filters=9")
    (folder / "my.cfg").write_text(other, encoding="utf-8")
    with pytest.raises(WeightsError, match="which are of 2 classes"):
        yolo.load(folder / "my.weights", cfg=folder / "my.cfg")


@pytest.mark.parametrize(
    "files, source",
    [
        ({"my.names": "a\nb"}, "my.names"),
        ({"x.names": "a\r\nb\r\n"}, "x.names"),
        ({"my.names": "a", "obj.names": "a\nb"}, "obj.names"),
        ({"obj.data": "classes = 2\nnames = data/the.list\n", "the.list": "a\nb"}, "the.list"),
        ({"obj.data": "names = /etc/passwd\n", "passwd": "a\nb"}, "passwd"),
    ],
)
def test_names_that_lie_beside(folder, logged, files, source):
    for name, text in files.items():
        (folder / name).write_text(text, encoding="utf-8")
    assert yolo.load(folder / "my.weights").classes == ("a", "b")
    assert any(line.endswith(f"names from {source}") for line in told(logged))


def test_names_beside_are_all_of_which_some_are_chosen(folder):
    (folder / "obj.names").write_text("cat\ndog\n", encoding="utf-8")
    assert yolo.load(folder / "my.weights", classes=("dog",)).classes == ("cat", "dog")
    assert yolo.load(folder / "my.weights", classes=("a", "b")).classes == ("a", "b")


def test_no_names_or_too_few_of_them(folder, logged):
    (folder / "obj.names").write_text("a\n", encoding="utf-8")
    with pytest.raises(WeightsError, match="is for 2 classes, 0 names are known"):
        yolo.load(folder / "my.weights")
    assert any("1 names, but the network has 2" in line for line in told(logged))


def test_an_assumption_is_said_with_its_remedy(tmp_path, logged):
    made = yolo.build("yolov4-tiny", classes=("a", "b"), image_size=(64, 64))
    darknet.save(made, tmp_path / "two.weights")
    yolo.load(tmp_path / "two.weights", classes=("a", "b"), image_size=(64, 64))
    assert any("assumed to be those of yolov4-tiny" in line for line in told(logged))
    assert any("--cfg FILE, or --anchors FILE and --masks" in line for line in told(logged))
    logged.clear()
    masks, anchors = ((1, 2, 3), (3, 4, 5)), [(n, n) for n in range(1, 7)]
    model = yolo.load(
        tmp_path / "two.weights", classes=("a", "b"), image_size=(64, 64), masks=masks,
        anchors=anchors,
    )  # fmt: skip
    assert model.architecture.masks == masks and model.architecture.anchors[5] == (6, 6)
    assert not any("assumed" in line for line in told(logged))


def test_a_size_that_is_another_networks_asks_for_its_cfg(tmp_path):
    floats = (24_967_560 - 20) // 4  # yolov7-tiny with 80 classes
    (tmp_path / "a.weights").write_bytes(file_of([np.zeros(floats, np.float32)]))
    with pytest.raises(WeightsError, match="those of yolov7-tiny with 80 classes; give its cfg"):
        yolo.load(tmp_path / "a.weights")


@pytest.mark.parametrize("text", [MINI, NEW_COORDS], ids=["plain", "new_coords"])
@pytest.mark.parametrize("header, seen", [((0, 1, 0), 7), ((0, 2, 5), 2**40)])
def test_files_come_back_byte_for_byte(folder, text, header, seen):
    text = text.replace("\n", "\r\n")
    (folder / "my.cfg").write_bytes(text.encode())
    whole = file_of(ARRAYS, header, seen)
    (folder / "my.weights").write_bytes(whole)
    yolo.load(folder / "my.weights", classes=("cat", "狗")).save(folder / "a.keras")
    written = export.write(yolo.load(folder / "a.keras"), folder / "out", "again")
    assert [path.name for path in written] == ["again.weights", "again.cfg", "again.names"]
    assert written[0].read_bytes() == whole and written[1].read_bytes() == text.encode()
    assert written[2].read_text("utf-8") == "cat\n狗\n"


def test_what_has_changed_is_written_and_nothing_else(folder):
    model = yolo.build(
        folder / "my.cfg", classes=tuple("abcd"), image_size=(64, 64), masks=((0, 1), (2,)),
        anchors=[(1, 2), (3.5, 4), (5, 6)], resize="letterbox",
    )  # fmt: skip
    written = export.write(model, folder / "out", "new")
    again = yolo.load(written[0])
    assert again.architecture.masks == ((0, 1), (2,)) and again.resize == "letterbox"
    assert again.architecture.anchors == model.architecture.anchors
    assert again.image_size == (64, 64) and again.classes == tuple("abcd")
    old, new = MINI.splitlines(), written[1].read_text("utf-8").splitlines()
    changed = {line.partition("=")[0] for line in set(new) - set(old)}
    assert changed == {"height", "letter_box", "filters", "mask", "anchors", "classes"}
    assert len(new) == len(old) + 1 and old[0] == new[0]
    picture = np.random.default_rng(0).uniform(0, 255, (1, 64, 64, 3))
    for stride, raw in model.network(picture).items():
        np.testing.assert_array_equal(again.network(picture)[stride], raw)


def test_another_file_of_that_name_is_kept(folder):
    model = yolo.load(folder / "my.weights", classes=("a", "b"), image_size=(64, 64))
    with pytest.raises(ConfigError, match="my.cfg: is there and differs"):
        export.write(model, folder, "my")
    assert (folder / "my.cfg").read_text("utf-8") == MINI
    assert not (folder / "my.names").exists()


def _is_the_network_of_its_cfg(hand, built):
    """Check that two networks are one, weight for weight and number for number."""
    same = ("anchors", "masks", "strides", "scales_xy", "new_coords")
    for field in same:
        assert getattr(built.architecture, field) == getattr(hand.architecture, field)
    theirs = {layer.name: layer for layer in built.network.layers if layer.weights}
    ours = {layer.name: layer for layer in hand.network.layers if layer.weights}
    assert set(theirs) == set(ours) and built.architecture.variant == "darknet"
    for name, layer in ours.items():
        theirs[name].set_weights(layer.get_weights())
    picture = np.random.default_rng(0).uniform(0, 255, (1, *hand.image_size, 3))
    for stride, raw in hand.network(picture).items():
        np.testing.assert_array_equal(built.network(picture)[stride], raw)


def test_yolov4_tiny_by_hand_equals_the_one_of_its_cfg(tmp_path):
    hand = yolo.build("yolov4-tiny", classes=("a", "b"), image_size=(64, 96))
    rng = np.random.default_rng(0)
    for variable in hand.network.variables:  # else the statistics are those of no picture
        if variable.path.endswith(("gamma", "moving_variance")):
            variable.assign(rng.uniform(0.8, 1.2, variable.shape))
    built = yolo.load(export.write(hand, tmp_path, "tiny")[0])
    assert (built.image_size, built.resize) == (hand.image_size, hand.resize)
    theirs = {layer.name: layer.get_weights() for layer in built.network.layers}
    for layer in hand.network.layers:
        assert all(map(np.array_equal, layer.get_weights(), theirs.get(layer.name, ())))
    _is_the_network_of_its_cfg(hand, built)


@pytest.mark.long
def test_yolov4_by_hand_equals_the_one_of_its_cfg(tmp_path):
    """Two networks of 64 million weights are made: some seconds."""
    hand = yolo.build("yolov4", classes=["a"], image_size=(32, 32))
    text = text_of(hand.architecture, 1, (32, 32))
    (tmp_path / "full.cfg").write_text(text, encoding="utf-8")
    _is_the_network_of_its_cfg(hand, yolo.build(tmp_path / "full.cfg", classes=["a"]))


def test_opencv_reads_what_is_written(tmp_path):
    model = yolo.build("yolov4-tiny", classes=("a", "b"), image_size=(64, 96))
    weights, cfg, _ = export.write(model, tmp_path, "tiny")
    if not hasattr(cv2.dnn, "readNetFromDarknet"):
        pytest.skip("needs OpenCV 4: later ones read no Darknet files")
    net = cv2.dnn.readNetFromDarknet(str(cfg), str(weights))
    picture = np.random.default_rng(0).uniform(0, 1, (64, 96, 3)).astype(np.float32)
    net.setInput(picture.transpose(2, 0, 1)[None])
    found = net.forward("conv_29")[0].transpose(1, 2, 0)
    np.testing.assert_allclose(model.network(picture[None] * 255)[32][0], found, atol=1e-4)


def test_attention_and_other_sizes_have_no_place(tmp_path):
    model = yolo.build("yolov4-tiny", classes=["a"], image_size=(64, 64), attention="se")
    with pytest.raises(WeightsError, match="no place for attention"):
        export.write(model, tmp_path / "new", "a")
    assert not (tmp_path / "new").exists()


def test_the_text_of_a_cfg_by_hand_follows_its_settings():
    model = yolo.build("yolov4-tiny", classes=("a", "b"), masks="coco", image_size=(96, 64))
    text = text_of(model.architecture, 2, (96, 64))
    assert "mask=3,4,5\n" in text and "mask=1,2,3\n" in text and "filters=21\n" in text
    assert "width=64\nheight=96\n" in text and "max_batches=6000\n" in text
