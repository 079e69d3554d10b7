"""What a run starts with: settings, folders and data; nothing is trained."""

from dataclasses import fields

import pytest

from yolo.errors import ConfigError
from yolo.settings import toml
from yolo.settings.train import TrainConfig
from yolo.system.lock import lock
from yolo.training import run_folder, start


def test_a_run_of_a_name_starts_anew_where_one_was_killed_before_it_saved(here):
    folder = run_folder.create(TrainConfig(name="a"))
    (folder / "log.txt").write_text("of the killed one", encoding="utf-8")
    begun = start.settle({"name": "a"}, resume=True)
    assert begun.resumed is None
    with lock(folder), pytest.raises(ConfigError, match="another training is at work"):
        begun.folder(clear=True)
    with pytest.raises(ConfigError, match="a run of this name exists"):
        begun.folder()
    assert begun.folder(clear=True) == folder.relative_to(".") and not (folder / "log.txt").exists()
    with pytest.raises(ConfigError, match="--continue needs --name"):
        start.settle({}, resume=True)


# ----------------------------------------------------------------------------------- data


def test_the_settings_of_a_run_without_data_can_be_changed(monkeypatch):
    assert set(start.DEMO_SETTINGS) <= {field.name for field in fields(TrainConfig)}
    monkeypatch.setattr("yolo.data.folder.default_data", lambda: ("drawn", True))
    lines = []
    config = start.settle({"epochs": 1}).with_data(lines.append)
    assert (config.data, config.loss, config.epochs) == ("drawn", "focal", 1)
    assert config.image_size == (128, 160) and "embedded data set of drawn shapes" in lines[0]


def test_data_at_hand_are_taken_with_the_usual_settings_and_data_named_without_a_word(monkeypatch):
    monkeypatch.setattr("yolo.data.folder.default_data", lambda: ("VOCdevkit", False))
    lines = []
    config = start.settle({"epochs": 1}).with_data(lines.append, "looking at")
    assert config == TrainConfig(epochs=1, data="VOCdevkit")
    assert start.settle({"data": "mine"}).with_data(lines.append).data == "mine"
    assert lines == ["no --data given: looking at VOCdevkit"]


# ------------------------------------------------------------------------------ settings

AUTO = {"batch_size": 0, "precision": "auto", "anchors": "auto", "freeze_batch_size": 32}


@pytest.fixture
def settled(here):
    """Return the folder of a run that found out what it was asked to find out."""
    found = TrainConfig(
        name="a", epochs=3, batch_size=8, freeze_batch_size=16, freeze_epochs=1,
        precision="float32", anchors="logs/a/anchors.txt",
    )  # fmt: skip
    folder = run_folder.create(found)
    run_folder.describe(folder, found, ("cat",), {})
    (folder / "checkpoints" / "step-00000012").mkdir(parents=True)
    return folder


def test_the_command_that_started_a_run_goes_on_with_it(settled):
    given = {**AUTO, "epochs": 3, "patience": 5}
    config = start.settle(given, resume=settled).config
    assert (config.batch_size, config.freeze_batch_size, config.precision) == (8, 16, "float32")
    assert (config.anchors, config.patience) == ("logs/a/anchors.txt", 5)


@pytest.mark.parametrize("wrong", [{"batch_size": 4}, {"precision": "mixed_bfloat16"}])
def test_what_was_not_left_open_is_still_compared(settled, wrong):
    (key,) = wrong
    with pytest.raises(ConfigError, match=f"{key} is {wrong[key]}, was "):
        start.settle({**AUTO, **wrong}, resume=settled)


def test_a_finished_run_is_known_again_by_a_command_that_left_things_open(settled):
    (settled / "complete.json").write_text('{"epochs": 3}', encoding="utf-8")
    given = {**AUTO, "name": "a", "epochs": 3, "freeze_epochs": 1}
    assert start.settle(given).finished() is None, "its results were not shown yet"
    (settled / "report.html").touch()
    assert start.settle(given).finished() == settled == start.settle(given, resume=True).resumed
    other = {**given, "epochs": 4}
    assert start.settle(other).finished() is None


@pytest.mark.parametrize("model", ["yolov4-tiny", "retinanet"])
def test_a_run_can_be_started_anew_with_the_settings_that_it_wrote(here, model):
    """As the message of a run without a checkpoint proposes."""
    config = TrainConfig(name="a", model=model, data="VOCdevkit")
    run_folder.describe(run_folder.create(config), config, ("cat",), {})
    values = toml.read_toml("logs/a/config.toml")
    assert start.settle({**values, "name": "b"}).config.model == model


def test_settings_that_nobody_would_read_are_refused():
    for given in ({"freeze_batch_size": 3}, {"profile": "torchvision-v1"}):
        with pytest.raises(ConfigError, match=next(iter(given)).split("_")[0]):
            start.settle(given)
