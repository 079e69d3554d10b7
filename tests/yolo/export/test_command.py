"""`python -m yolo export` inside the process, and what takes the file that it writes."""

import json
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

import yolo
from yolo import cli
from yolo.cli import export as command
from yolo.data.folder import open_folder
from yolo.errors import ConfigError, YoloError
from yolo.export import exporter, runtimes
from yolo.export.info import read_info
from yolo.pictures import background
from yolo.pictures.color import WHITE
from yolo.pictures.files import read_image, write_image


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """Return a saved detector whose heads are not shy."""
    model = yolo.build("yolov4-tiny", classes=["cat", "狗"], image_size=(64, 64))
    rng = np.random.default_rng(0)
    for layer in model.network.layers:
        if hasattr(layer, "outputs_per_anchor"):
            layer.kernel.assign(rng.normal(0, 0.03, layer.kernel.shape))
            layer.bias.assign(np.zeros(layer.bias.shape))
    model.notes = {"epoch": 3, "split_seed": 7}
    path = tmp_path_factory.mktemp("run") / "best.keras"
    model.save(path)
    return path


def voc_folder(root, *stems, name="cow"):
    """Write a set in VOC format without lists."""
    pictures(root / "JPEGImages", *(f"{stem}.png" for stem in stems))
    (root / "Annotations").mkdir()
    for stem in stems:
        (root / "Annotations" / f"{stem}.xml").write_text(
            f"<annotation><object><name>{name}</name><bndbox><xmin>1</xmin><ymin>1</ymin>"
            "<xmax>9</xmax><ymax>9</ymax></bndbox></object></annotation>", encoding="utf-8",
        )  # fmt: skip
    return root


def list_of(root, **lists):
    (root / "ImageSets" / "Main").mkdir(parents=True, exist_ok=True)
    for name, stem in lists.items():
        path = root / "ImageSets" / "Main" / f"{name}.txt"
        path.write_text(f"{stem}\n", encoding="utf-8")


def pictures(folder, *names):
    folder.mkdir(parents=True, exist_ok=True)
    for number, name in enumerate(names):
        image = np.random.default_rng(number).integers(0, 255, (48, 80, 3), np.uint8)
        write_image(folder / name, image)
    return folder


def test_an_export_is_compared_written_and_used(weights, tmp_path, monkeypatch, outcome):
    monkeypatch.chdir(pictures(tmp_path, "a.png"))
    code, out, err = outcome(
        cli.main, "export", "--weights", weights, "--format", "saved_model", "--picture", "a.png",
        "--image-size", "64x96", "--max-detections", "7",
    )  # fmt: skip
    target = weights.with_name("best_saved_model")
    assert (code, err) == (0, "")
    assert "compared with Keras on a.png: scores differ by at most" in out
    assert f"written: {target} (" in out and "MB)" in out
    info = read_info(target)
    assert info.image_size == (64, 96) and info.max_detections == 7 and info.nms
    assert info.difference["score"] < 1e-6
    assert runtimes.ExportedDetector(target).notes == {"epoch": 3, "split_seed": 7}
    written = []
    for chosen in (["--weights", str(target)], ["--runtime", "saved_model", "--weights", weights]):
        assert cli.main(["predict", "a.png", "--no-draw", "--out", "p", *map(str, chosen)]) == 0
        written.append(json.loads((tmp_path / "p" / "predictions.json").read_text("utf-8")))
    assert written[0] == written[1] and written[0][0]["objects"]


@pytest.mark.parametrize(
    "arguments, code, words",
    [
        (["--format", "litert", "--quantize", "int8"], 2, "give the training set, --data DIR"),
        (["--format", "onnx", "--quantize", "int8"], 2, "onnx is not written with --quantize int8"),
        (["--format", "saved_model", "--out", "a.png"], 1, "a.png: cannot be written"),
        (["--format", "onnx", "--picture", "a.png", "--data", "."], 2, "--data is for int8 beside"),
        (["--format", "onnx", "--classes", "cat"], 2, "for 2 classes, of which an export has all"),
        (["--format", "saved_model", "--picture", "no.png"], 3, "no.png"),
    ],
)
def test_what_cannot_be_is_one_line(
    weights, tmp_path, monkeypatch, outcome, arguments, code, words
):
    monkeypatch.chdir(pictures(tmp_path, "a.png"))
    found, _, err = outcome(cli.main, "export", "--weights", weights, *arguments)
    assert found == code and words in err and err.startswith("python -m yolo export: error: ")
    assert len(err.splitlines()) == 1


def test_suppression_can_be_left_out(weights, tmp_path, monkeypatch, outcome):
    monkeypatch.chdir(pictures(tmp_path, "a.png"))
    asked, describe = [], exporter.describe

    def described(*arguments, **settings):
        asked.append(describe(*arguments, **settings).nms)
        raise ConfigError("enough")

    monkeypatch.setattr(exporter, "describe", described)
    for more in ([], ["--no-nms"]):
        _, _, err = outcome(
            cli.main, "export", "--weights", weights, "--format", "saved_model", *more
        )
        assert "enough" in err
    assert asked == [True, False]


def test_an_export_is_not_exported_again(outcome):
    code, _, err = outcome(cli.main, "export", "--weights", "best.onnx", "--format", "litert")
    assert code == 2 and "best.onnx is an export already" in err


def test_a_runtime_without_its_file_says_how_to_write_it(weights, tmp_path, monkeypatch, outcome):
    monkeypatch.chdir(pictures(tmp_path, "a.png"))
    code, _, err = outcome(
        cli.main, "predict", "a.png", "--weights", weights, "--runtime", "litert"
    )
    assert code == 4 and "write it with: python -m yolo export --weights " in err


def test_pictures_for_int8_are_those_to_train_on(tmp_path):
    folder = pictures(tmp_path / "plain", "b.png", "a.png")
    assert [path.name for path in command.data_pictures(str(folder))] == ["a.png", "b.png"]
    voc = voc_folder(tmp_path / "VOC2007", "a", "b")
    list_of(voc, train="b", val="a")
    assert [path.name for path in command.data_pictures(str(voc))] == ["b.png"]
    coco = tmp_path / "coco"
    pictures(coco / "train2017", "c.png")
    (coco / "annotations").mkdir()
    (coco / "annotations" / "instances_train2017.json").write_text(json.dumps({
        "images": [{"id": 1, "file_name": "c.png", "width": 80, "height": 48}],
        "annotations": [], "categories": [{"id": 1, "name": "cow"}],
    }), encoding="utf-8")  # fmt: skip
    assert [path.name for path in command.data_pictures(str(coco))] == ["c.png"]


def test_pictures_for_int8_are_those_of_the_runs_own_split(tmp_path):
    voc = voc_folder(tmp_path / "VOC2007", "a", "b", "c")
    list_of(voc, test="a", trainval="b", mine="c")
    for split, stem in (("train", "b"), ("mine", "c")):
        found = command.data_pictures(str(voc), split=split)
        assert [path.name for path in found] == [f"{stem}.png"]
    drawn = voc_folder(tmp_path / "drawn", *map(str, range(30)))
    assert len({tuple(open_folder(drawn).splits(seed)["train"]) for seed in (7, 11)}) == 2
    for seed in (7, 11):
        found = command.data_pictures(str(drawn), seed=seed)
        assert [path.stem for path in found] == open_folder(drawn).splits(seed)["train"]


@pytest.mark.parametrize("harm", ["none", "annotation", "picture", "list", "folder"])
def test_the_runs_data_may_have_changed_or_gone(tmp_path, harm):
    """Only a picture to compare on is wanted, and any will do."""
    voc = voc_folder(tmp_path / "VOC2007", "a")
    list_of(voc, trainval="a")
    if harm == "annotation":
        (voc / "Annotations" / "a.xml").write_text("<annotation>", encoding="utf-8")
    elif harm == "picture":
        (voc / "JPEGImages" / "a.png").write_bytes(b"no picture")
    elif harm == "list":
        (voc / "ImageSets" / "Main" / "trainval.txt").write_text("", encoding="utf-8")
    elif harm == "folder":
        voc.rename(tmp_path / "elsewhere")
    chosen = {"split": "trainval", "seed": 11}
    args = SimpleNamespace(picture=None)
    image, name = command._picture(args, [], {"data": str(voc)}, chosen)
    if harm == "none":
        np.testing.assert_array_equal(image, read_image(voc / "JPEGImages" / "a.png"))
    else:
        assert name.startswith("a drawn picture") and image.ndim == 3
        with pytest.raises(YoloError, match="VOC2007"):  # but not what was asked for
            command._picture(args, command.data_pictures(str(voc), **chosen), {}, chosen)


def test_one_entry_for_all_commands(capsys):
    assert cli.main(["--help"]) == 0
    out = capsys.readouterr().out
    assert "export" in out and "evaluate" in out
    assert cli.main([]) == 2 and cli.main(["exprot"]) == 2
    assert "did you mean export?" in capsys.readouterr().err


def test_pictures_are_seen_on_the_background_that_the_model_learned(weights, tmp_path):
    model = yolo.load(weights)
    model.notes = {**model.notes, "background": [0, 0, 0]}
    model.save(tmp_path / "dark.keras")
    clear = np.zeros((48, 80, 4), np.uint8)
    cv2.imwrite(str(tmp_path / "clear.png"), clear)
    args = command.parser().parse_args(["--format", "onnx"])
    try:
        command._opened(args, tmp_path / "dark.keras")
        assert not read_image(tmp_path / "clear.png").any()
    finally:
        background.show_on(WHITE)
