"""`evaluate.py`: which pictures and classes it measures on, and what would change nothing."""

import json

import numpy as np
import pytest

from yolo import cli
from yolo.cli import common
from yolo.data.division import divide
from yolo.data.folder import open_folder
from yolo.data.formats.voc import LabelledObject, annotation_xml
from yolo.pictures.files import write_image
from yolo.settings.train import TrainConfig
from yolo.training import run_folder

COUNT = 30


@pytest.fixture
def place(tmp_path, monkeypatch, spots):
    """Return a folder with a VOC set of red spots without lists, the current one for the test."""
    root = tmp_path / "VOC"
    for name in ("Annotations", "JPEGImages"):
        (root / name).mkdir(parents=True)
    for n in range(COUNT):
        cat, dog = (5 + n, 10, 25 + n, 30), (5, 40, 85, 60)
        write_image(root / "JPEGImages" / f"{n:03d}.png", spots((96, 128), [cat, dog]))
        marked = [LabelledObject("cat", cat)]
        if n % 3:  # the other dogs are false
            marked.append(LabelledObject("dog", (5 + n, 40, 85, 60)))
        text = annotation_xml(f"{n:03d}.png", (96, 128), marked)
        (root / "Annotations" / f"{n:03d}.xml").write_text(text, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def model(spot_finder):
    """Return a model that has noted nothing yet."""
    model = spot_finder()
    model.notes = {}
    return model


@pytest.fixture
def measured(place, model, monkeypatch, outcome):
    """Return a function that runs the command: the stems it measured on, and what it wrote."""
    from yolo.inference import predictor

    monkeypatch.setattr(common, "open_model", lambda args, weights: model)
    monkeypatch.setattr("yolo.system.terminal.import_tensorflow_quietly", lambda **_: None)
    seen, detect = [], predictor.detect_samples

    def noting(model, samples, **settings):
        seen[:] = [sample.image_id for sample in samples]
        return detect(model, samples, **settings)

    monkeypatch.setattr(predictor, "detect_samples", noting)

    def run(*arguments, weights="best.keras"):
        seen.clear()
        code, out, err = outcome(
            cli.evaluate_main, "--data", "VOC", "--weights", weights, *arguments
        )
        return seen[:], out if code == 0 else err

    return run


def divided(seed, split="test"):
    return open_folder("VOC").splits(seed)[split]


def run_of(seed, folder):
    """Write what a run leaves, beside its weights."""
    folder.mkdir(parents=True)
    run_folder.describe(folder, TrainConfig(data="VOC", seed=seed), ("cat", "dog"), {})
    (folder / "results.csv").write_text("epoch\n", encoding="utf-8")
    return str(folder / "best.keras")


# -------------------------------------------------------------------------- classes to score


def test_chosen_classes_are_scored_as_in_the_whole(measured, place):
    everything = ("--seed", "7", "--split", "train", "--match-iou", "0.7")

    def figures(*arguments):
        stems, out = measured(*everything, "--json", "f.json", *arguments)
        assert stems == divided(7, "train")
        return json.loads((place / "f.json").read_text(encoding="utf-8")), out

    whole, _ = figures()
    rows = {row["class"]: row for row in whole["voc"]["classes"]}
    assert rows["cat"]["ap_all_point"] - 0.1 > rows["dog"]["ap_all_point"] > 0.1
    parts = {}
    for name, other in (("cat", "dog"), ("dog", "cat")):
        parts[name], out = figures("--classes", name)
        assert parts[name]["voc"]["classes"] == [rows[name]] and other not in out
        assert parts[name]["voc"]["map_all_point"] == rows[name]["ap_all_point"]
    for key, value in whole["coco"].items():
        two = [part["coco"][key] for part in parts.values()]
        if key == "per_class":
            assert value == {**two[0], **two[1]}
        elif min(two) >= 0:  # COCO's -1 is for sizes without an object
            assert value == pytest.approx(np.mean(two)), key
    for names in ("dog,cat", "cat, dog"):
        assert figures("--classes", names)[0] == whole


@pytest.mark.parametrize(
    "names, words", [("cow", "--classes: the model knows no 'cow', only cat, dog"),
                     (",", "--classes holds no name")],
)  # fmt: skip
def test_classes_that_the_model_does_not_know(measured, names, words):
    stems, err = measured("--classes", names)
    assert stems == [] and words in err and err.count("\n") == 1


# ------------------------------------------------------------------ what would change nothing


@pytest.mark.parametrize(
    "arguments, words",
    [
        (["--images", "p"], "p: no such folder (--images)"),
        (["--results", "r", "--uncut"], "--uncut does not go with --results"),
        (["--results", "r"], "--weights does not go with --results"),
        (["--results=r", "--iou=0.4"], "--iou does not go with --results"),
    ],
)
def test_options_without_effect_are_refused(measured, arguments, words):
    stems, err = measured(*arguments)
    assert stems == [] and words in err and err.count("\n") == 1


def test_a_results_file_is_scored_against_its_data_file(tmp_path, outcome):
    truth, results, scores = (tmp_path / name for name in ("a.json", "r.json", "s.json"))
    marked = {"id": 1, "image_id": 5, "category_id": 3, "bbox": [0, 0, 50, 50], "area": 2500}
    truth.write_text(json.dumps({
        "images": [{"id": 5, "height": 300, "width": 300}],
        "categories": [{"id": 3, "name": "cat"}], "annotations": [{**marked, "iscrowd": 0}],
    }))  # fmt: skip
    near = {"image_id": 5, "category_id": 3, "bbox": [0, 0, 50, 40], "score": 0.5}  # IoU 0.8
    results.write_text(json.dumps([near]))
    code, _, err = outcome(cli.evaluate_main, "--results", results)
    assert code == 2 and "--results needs --data" in err
    code, out, _ = outcome(
        cli.evaluate_main, "--results", results, "--data", truth, "--json", scores
    )
    assert code == 0 and "AP 0.7000  AP50 1.0000  AP75 1.0000" in out
    found = json.loads(scores.read_text(encoding="utf-8"))
    assert found["coco"]["AP"] == pytest.approx(0.7) and found["coco"]["APm"] == pytest.approx(0.7)
    assert found["voc"]["map_all_point"] == 1


def test_one_file_is_one_list(measured, place, outcome):
    marked = {"id": 1, "image_id": 5, "category_id": 3, "bbox": [0, 0, 50, 50], "iscrowd": 0}
    name = next((place / "VOC" / "JPEGImages").iterdir()).name
    (place / "c.json").write_text(json.dumps({
        "images": [{"id": 5, "file_name": name}], "annotations": [marked],
        "categories": [{"id": 3, "name": "cat"}, {"id": 4, "name": "dog"}],
    }))  # fmt: skip
    file = ["--data", "c.json", "--images", "VOC/JPEGImages"]
    for option in ("--split", "--seed", "--first-pixel"):
        assert f"{option} is for" in measured(*file, option, "1")[1]
    assert "data: COCO" in measured(*file)[1]


def test_pixels_are_counted_in_vocs_format_alone(measured, place):
    (place / "VOC/annotations").mkdir()
    (place / "VOC/annotations/instances_test.json").write_text("{}", encoding="utf-8")
    err = measured("--first-pixel", "1")[1]
    assert "--first-pixel is for VOC's format; VOC has another" in err


# ------------------------------------------------------------ pictures that a seed has divided


def test_the_seed_comes_with_the_weights_wherever_they_lie(measured, model, place):
    assert len({tuple(divided(seed)) for seed in (3, 7, 11)}) == 3, "else this shows nothing"
    model.notes = {"split_seed": 7}
    run_of(3, place / "other")
    for weights in ("best.keras", "other/best.keras"):
        stems, out = measured(weights=weights)
        assert stems == divided(7) and "by which" not in out
    assert measured("--split", "val")[0] == divided(7, "val")


def test_a_seed_that_is_typed_wins(measured, model):
    model.notes = {"split_seed": 7}
    stems, out = measured("--seed", "3")
    assert stems == divided(3) and "by which" not in out
    assert measured("--seed", "0")[0] == divided(0)


def test_older_weights_have_it_from_their_runs_folder(measured, place):
    stems, out = measured(weights=run_of(7, place / "logs" / "a"))
    assert stems == divided(7) and "by which" not in out


@pytest.mark.parametrize("text", [None, 'title = "my site"\n', "seed = 7\n", "[[[", "\udcff"])
def test_an_unknown_seed_is_said_and_a_foreign_file_passed_over(measured, place, text):
    if text is not None:
        (place / "config.toml").write_bytes(text.encode("utf-8", "surrogateescape"))
    stems, out = measured()
    assert stems == divided(TrainConfig.seed)
    (line,) = [line for line in out.splitlines() if "by which" in line]
    assert line == (
        "VOC is divided by a seed, and best.keras does not say by which for training: taking "
        "11, so that it may have learned from some of these pictures (--seed N: the run's)"
    )


@pytest.mark.parametrize("text", ['title = "my site"\n', "[[["])
def test_a_foreign_file_is_passed_over_beside_a_table_of_results_too(measured, place, text):
    (place / "config.toml").write_text(text, encoding="utf-8")
    (place / "results.csv").write_text("a,b\n", encoding="utf-8")
    assert measured()[0] == divided(TrainConfig.seed)


def test_lists_need_no_seed(measured, place):
    (place / "VOC/ImageSets/Main").mkdir(parents=True)
    (place / "VOC/ImageSets/Main/test.txt").write_text("004\n002\n", encoding="utf-8")
    stems, out = measured()
    assert stems == ["004", "002"] and "seed" not in out
    assert "VOC has lists of its own; leave out --seed" in measured("--seed", "3")[1]


def test_a_single_list_is_divided_as_its_run_divided_it(measured, model, place):
    (place / "VOC/ImageSets/Main").mkdir(parents=True)
    names = [f"{n:03d}" for n in range(COUNT)]
    (place / "VOC/ImageSets/Main/train.txt").write_text("\n".join(names), encoding="utf-8")
    model.notes = {"split_seed": 7}
    parts = divide(names, 7)
    assert measured()[0] == parts["test"] and measured("--split", "val")[0] == parts["val"]
    assert measured("--split", "train")[0] == names, "for weights of another run"
    assert measured("--split", "train", weights=run_of(7, place / "a"))[0] == parts["train"]
    (place / "VOC/ImageSets/Main/train.txt").rename(place / "VOC/ImageSets/Main/test.txt")
    assert measured()[0] == names, "a list to measure on"
    assert measured(weights=run_of(7, place / "b"))[0] == parts["test"]
    (place / "VOC/ImageSets/Main/test.txt").rename(place / "VOC/ImageSets/Main/valid.txt")
    stems, out = measured()
    assert stems == names and "valid 30" in out, "as training measures on it"
    assert "no split 'test'" in measured("--split", "test")[1]


def test_a_list_that_is_missing_or_without_objects_measures_nothing(measured, place, outcome):
    lists = place / "VOC/ImageSets/Main"
    lists.mkdir(parents=True)
    (lists / "train.txt").write_text("004\n", encoding="utf-8")
    (lists / "val.txt").write_text("bare\n", encoding="utf-8")
    (place / "VOC/JPEGImages/000.png").rename(place / "VOC/JPEGImages/bare.png")
    words = ["--data", "VOC", "--weights", "best.keras", "--split", "test"]
    code, out, err = outcome(cli.evaluate_main, *words)
    assert code == 3 and "VOC: no split 'test'; expected one of train, val" in err
    assert "data:" not in out
    stems, err = measured()
    assert stems == [] and "nothing to measure on in the list val: 0 pictures, no object" in err
    assert "--split takes another" in err
