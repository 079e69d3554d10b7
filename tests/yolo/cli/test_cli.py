"""The command line inside the process: options, exit codes, and what the terminal shows."""

from dataclasses import fields
from pathlib import Path

import pytest
import tensorflow as tf

from yolo import cli
from yolo.classes import COCO_CLASSES
from yolo.cli import anchors, check, common, predict, train
from yolo.errors import ConfigError, DatasetError, WeightsError, YoloError
from yolo.settings.train import TrainConfig
from yolo.system import terminal
from yolo.system.lock import lock


def parsed(*arguments):
    return vars(train.parser().parse_args(list(arguments)))


# --------------------------------------------------------------------------------- options


def test_every_setting_is_an_option_and_nothing_is_set_unless_given():
    known = train.parser()._option_string_actions
    for field in fields(TrainConfig):
        assert f"--{field.name.replace('_', '-')}" in known
    assert set(parsed()) == {
        "verbose", "config", "resume", "go_on", "check", "show_batches", "overfit",
        "engine", "workers", "ray_address", "storage", "wait",
    }  # fmt: skip


@pytest.mark.parametrize(
    "arguments, name, value",
    [
        (["--epochs", "3"], "epochs", 3),
        (["--momentum", "0"], "momentum", 0.0),
        (["--image-size", "416"], "image_size", (416, 416)),
        (["--image-size", "320x416"], "image_size", (320, 416)),
        (["--image-size", "320,416"], "image_size", (320, 416)),
        (["--scale", "0.5,2"], "scale", (0.5, 2.0)),
        (["--multi-scale"], "multi_scale", True),
        (["--no-multi-scale"], "multi_scale", False),
        (["--learning-rate", "1e-3"], "learning_rate", 0.001),
        (["--positive-iou", "1"], "positive_iou", 1.0),
        (["--freeze-batch-size", "16"], "freeze_batch_size", 16),
        (["--masks", "0,1,2/3,4,5"], "masks", "0,1,2/3,4,5"),
        (["--name", "红细胞"], "name", "红细胞"),
        (["--batch-size", "auto"], "batch_size", 0),
        (["--batch-size", "3"], "batch_size", 3),
        (["--strict"], "strict", True),
    ],
)
def test_options_have_the_type_of_their_setting(arguments, name, value):
    found = parsed(*arguments)[name]
    assert found == value and type(found) is type(value)
    TrainConfig(**{name: found})


def test_an_option_wins_over_the_file_and_the_file_over_the_default(tmp_path, outcome):
    path = tmp_path / "settings.toml"
    path.write_text('epochs = 0\ndata = "nowhere"\n', encoding="utf-8")
    code, _, err = outcome(cli.train_main, "--config", path)
    assert code == 2 and "epochs lies in" in err
    code, _, err = outcome(cli.train_main, "--config", path, "--epochs", "1")
    assert code == 3 and "nowhere: no such folder" in err


@pytest.mark.parametrize(
    "looks", [["--check", "--overfit", "8"], ["--show-batches", "2", "--overfit", "8"],
              ["--check", "--show-batches", "2"]],
)  # fmt: skip
def test_one_look_at_a_time(outcome, looks):
    code, _, err = outcome(cli.train_main, *looks)
    assert code == 2 and "not allowed with argument" in err and err.count("\n") == 1


@pytest.mark.parametrize(
    "arguments, words",
    [
        (["--train-list", "a.txt"], "need all of --train-list, --val-list and --classes"),
        (["--train-list", "a.txt", "--data", "b"], "not both"),
        (["--val-list", "a.txt"], "need all of"),
    ],
)
def test_lists_of_the_tutorial(tmp_path, monkeypatch, outcome, arguments, words):
    monkeypatch.chdir(tmp_path)
    code, _, err = outcome(cli.train_main, *arguments)
    assert code == 2 and words in err
    assert not list(tmp_path.iterdir()), "nothing is drawn for a run that cannot start"


@pytest.mark.parametrize(
    "arguments, words",
    [
        (["--profile", "torchvision-v1"], "--profile belongs to RetinaNet, not yolov4-tiny"),
        (["--model", "retinanet", "--iou", "giou"], "--iou belongs to YOLOv4, not retinanet"),
        (["--model", "retinanet", "--attention", "none", "--profile", "paper"], "no such folder"),
    ],
)
def test_settings_of_the_other_family_are_refused_unless_they_are_the_default(
    tmp_path, outcome, arguments, words
):
    _, _, err = outcome(cli.train_main, "--data", tmp_path / "absent", *arguments)
    assert words in err


def test_resuming_what_has_no_model_yet(tmp_path, outcome):
    (tmp_path / "config.toml").write_text("epochs = 2\n", encoding="utf-8")
    code, _, err = outcome(cli.train_main, "--resume", tmp_path)
    assert code == 4
    assert "no checkpoint of this run was saved" in err and "train.py --config " in err
    with lock(tmp_path):  # its first epoch is under way
        code, _, err = outcome(cli.train_main, "--resume", tmp_path)
    assert code == 2 and "another training is at work" in err and "checkpoint" not in err


def test_the_data_commands_take_the_settings_that_concern_them():
    for parser in (check.parser(), anchors.parser()):
        known = parser._option_string_actions
        assert {"--data", "--classes", "--image-size", "--resize", "--model", "--out"} <= set(known)
        assert "--epochs" not in known and "--learning-rate" not in known
        assert set(vars(parser.parse_args([]))) == {"verbose", "config", "out"}


def test_a_command_can_be_typed_again():
    assert cli.typed("train.py", ["--name", "a b"]) == "python train.py --name 'a b'"
    assert cli.typed("python -m yolo train", ["--x"]) == "python -m yolo train --x"


# ------------------------------------------------------------------------------ exit codes


def ended_by(monkeypatch, outcome, error):
    def fail(args, screen, stop):
        screen.live = True
        screen.write("half a line", end="\r")
        raise error

    monkeypatch.setattr("yolo.cli.predict.run", fail)
    code, out, err = outcome(cli.predict_main, "a.jpg")
    assert out.endswith("half a line\n"), "the error starts on a line of its own"
    assert len(err.splitlines()) == 1
    return code, err


@pytest.mark.parametrize(
    "error, code",
    [(YoloError, 1), (ConfigError, 2), (DatasetError, 3), (WeightsError, 4)],
)
def test_our_errors_are_one_line_and_their_code(monkeypatch, outcome, error, code):
    assert ended_by(monkeypatch, outcome, error("x.xml: bad")) == (
        code, "predict.py: error: x.xml: bad\n",
    )  # fmt: skip


def test_a_missing_package_says_how_to_get_it(monkeypatch, outcome):
    error = ModuleNotFoundError("No module named 'cv2'")
    code, text = ended_by(monkeypatch, outcome, error)
    assert code == 1 and "No module named 'cv2'; run: pip install" in text


def test_an_interrupt_is_130(monkeypatch, outcome):
    assert ended_by(monkeypatch, outcome, KeyboardInterrupt()) == (130, "interrupted\n")


def test_errors_of_the_system_are_one_line_too(monkeypatch, outcome):
    error = PermissionError(13, "Permission denied", "logs")
    code, err = ended_by(monkeypatch, outcome, error)
    assert code == 1 and "Permission denied" in err and "logs" in err


@pytest.mark.parametrize(
    "error",
    [MemoryError(), tf.errors.ResourceExhaustedError(None, None, "OOM when allocating tensor")],
    ids=["memory", "tensorflow"],
)
def test_too_little_memory_says_what_needs_less(monkeypatch, outcome, error):
    code, text = ended_by(monkeypatch, outcome, error)
    assert (code, "a smaller --batch-size or --image-size" in text) == (1, True)


# ---------------------------------------------------------------------------------- words


def test_pictures_of_one_name_get_names_of_their_own(tmp_path):
    taken = set()
    paths = [tmp_path / name for name in ("a.png", "A.jpg", "a.bmp", "b.x")]
    names = [common.free_name(path, taken, of_others=lambda _: False) for path in paths]
    assert names == ["a.jpg", "A_2.jpg", "a_3.jpg", "b.jpg"]


def test_a_path_with_a_space_is_quoted():
    assert [terminal.quoted("a b"), terminal.quoted("ab")] == ['"a b"', "ab"]


def test_class_names_are_typed_or_those_of_a_file(tmp_path):
    path = tmp_path / "names.txt"
    path.write_text("cat\ndog\n", encoding="utf-8")
    assert common.class_names(str(path)) == ("cat", "dog")
    assert common.class_names("cat, dog,") == ("cat", "dog")
    assert common.class_names(",".join(COCO_CLASSES)) == COCO_CLASSES, "too long for a file's name"
    assert common.class_names("a\0b") == ("a\0b",) and common.class_names(None) is None


def test_there_is_a_word_for_one_and_many():
    counted = [terminal.counted(n, "frame") for n in (0, 1, 2)]
    assert counted == ["0 frames", "1 frame", "2 frames"]
    taken = {"clip.mp4"}
    assert (
        common.free_name(Path("clip.avi"), taken, ".mp4", of_others=lambda _: False) == "clip_2.mp4"
    )


# ------------------------------------------------------------------------ options of predict


@pytest.mark.parametrize(
    "arguments, tile, sources",
    [
        (["--tile", "a.jpg"], "auto", ["a.jpg"]),
        (["--tile", "1.jpg"], "auto", ["1.jpg"]),
        (["a.jpg", "--tile"], "auto", ["a.jpg"]),
        (["--tile", "--show", "a.jpg"], "auto", ["a.jpg"]),
        (["--tile", "640", "a.jpg"], (640, 640), ["a.jpg"]),
        (["--tile=480x640", "a.jpg"], (480, 640), ["a.jpg"]),
        (["a.jpg"], None, ["a.jpg"]),
    ],
)
def test_a_tile_may_stand_alone(arguments, tile, sources):
    args = predict.parser().parse_args(arguments)
    assert (args.tile, args.sources) == (tile, sources)


# ------------------------------------------------------------------------------ python -m yolo


@pytest.mark.parametrize(
    "arguments, code, words",
    [
        (["--help"], 0, "usage: python -m yolo COMMAND"),
        (["-h"], 0, "evaluate"),
        (["--version"], 0, "keras-focal "),
        ([], 2, "usage: python -m yolo COMMAND"),
        (["predcit"], 2, "there is no command 'predcit'; did you mean predict?"),
        (["xyz"], 2, "there is no command 'xyz'; there are train, predict"),
    ],
)
def test_the_commands_in_one(outcome, arguments, code, words):
    found, out, err = outcome(cli.main, *arguments)
    assert found == code and words in (err if code else out) and not (out if code else err)


@pytest.mark.parametrize("command", list(cli.COMMANDS))
def test_every_command_knows_its_name(outcome, command):
    code, out, _ = outcome(cli.main, command, "--help")
    assert code == 0 and out.startswith(f"usage: python -m yolo {command} ")


def test_a_usage_error_names_the_command_as_it_was_typed(outcome):
    code, _, text = outcome(cli.main, "predict", "--bacth-size", "3")
    assert code == 2
    assert text.startswith("python -m yolo predict: error: there is no option --bacth-size; did")
    assert "(all options: python -m yolo predict --help)" in text
    _, _, text = outcome(cli.train_main, "--epoch", "3")
    assert text.endswith("(all options: python train.py --help all)\n")


def test_the_commands_are_the_functions_of_the_scripts(monkeypatch):
    seen = []
    monkeypatch.setattr("yolo.cli.evaluate.run", lambda args, screen, stop: seen.append(args) or 7)
    assert cli.main(["evaluate", "--score", "0.5"]) == 7 == cli.evaluate_main(["--score", "0.5"])
    first, second = map(vars, seen)
    assert (first.pop("prog"), second.pop("prog")) == ("python -m yolo evaluate", "evaluate.py")
    commands = [first.pop("command"), second.pop("command")]
    assert commands == ["python -m yolo evaluate --score 0.5", "python evaluate.py --score 0.5"]
    assert first == second
