"""What `train.py` does with folders and settings around a training; nothing is trained."""

import argparse
import io

import pytest

from yolo import cli
from yolo.cli import train
from yolo.data.folder import TrainingData
from yolo.errors import ConfigError
from yolo.settings.train import TrainConfig
from yolo.system.signals import Stop
from yolo.system.terminal import Screen
from yolo.training import run_folder


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def everything(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))


# ------------------------------------------------------------------------------- folders


@pytest.mark.parametrize("more", [["--check"], []])
@pytest.mark.parametrize(
    "options", [["--save-dir", ".", "--name", "VOCdevkit"], ["--name", "a"], ["--name", "b"]]
)
def test_go_on_removes_no_folder_that_no_run_made(here, outcome, options, more):
    for name in ("VOCdevkit/VOC2007/Annotations/a.xml", "logs/a/best.keras", "logs/b/notes.txt"):
        (here / name).parent.mkdir(parents=True)
        (here / name).touch()
    before = everything(here)
    code, out, err = outcome(cli.train_main, "--continue", *options, *more, "--data", "absent")
    assert set(before) <= set(everything(here))
    if more:
        assert code == 3 and "absent: no such folder" in out
    else:
        assert code == 2 and "exists already; choose another --name" in err


@pytest.mark.parametrize("name", [".", "..", "../..", "a/../.."])
@pytest.mark.parametrize("options", [["--continue"], ["--continue", "--check"], []])
def test_a_name_that_leaves_the_save_dir_is_refused(here, outcome, name, options):
    (here / "logs").mkdir()
    (here / "logs" / "kept").touch()
    code, _, err = outcome(cli.train_main, *options, "--name", name, "--data", "absent")
    assert code == 2 and f"--name {name}: expected a name for a new folder in logs" in err
    assert everything(here) == ["logs", "logs/kept"]


def test_go_on_starts_anew_where_a_run_was_killed_before_it_saved(here):
    folder = run_folder.create(TrainConfig(name="a"))
    (folder / "log.txt").write_text("of the killed one", encoding="utf-8")
    train._clear_failed_start(folder)
    assert everything(here) == []


@pytest.fixture
def shown(monkeypatch):
    """Stand in for a training that is complete and for the display of its results."""
    monkeypatch.setattr(train._Run, "train", lambda run, config: run.folder / "best.keras")
    monkeypatch.setattr(train, "_show_results", lambda best, run, screen: "a.jpg")


def write(folder, config, *, resume):
    args = argparse.Namespace(resume=resume, prog="train.py", command="python train.py")
    train._write(folder, config, args, Screen(io.StringIO()), Stop())


def test_a_finished_run_without_its_checkpoints_can_be_shown_again(here, shown):
    """Somebody made room on the disk, and resumes for the report alone."""
    config = TrainConfig(name="a")
    folder = run_folder.create(config)
    run_folder.note_saved(folder)
    for name in ("best.keras", "complete.json"):
        (folder / name).touch()
    write(folder, config, resume=str(folder))
    assert {"best.keras", "complete.json", "command.txt"} <= set(everything(folder))
    assert train._last_line(folder, "train.py") == "stopped; go on with: train.py --resume logs/a"
    assert (folder / "best.keras").exists()


def test_a_start_that_saved_nothing_is_removed(here, shown):
    folder = run_folder.create(TrainConfig(name="a"))
    write(folder, TrainConfig(name="a"), resume=None)
    assert everything(here) == []
    folder = run_folder.create(TrainConfig(name="a"))
    assert train._last_line(folder, "train.py").startswith("stopped before the first checkpoint")
    assert everything(here) == []


@pytest.mark.parametrize("learned", [True, False])
def test_figures_of_the_training_pictures_are_called_that(
    here, monkeypatch, labelled, detected, learned
):
    from yolo.inference import predictor
    from yolo.reports import run_report, showing
    from yolo.training import fit_anchors
    from yolo.weights import loading

    samples = [labelled("a", (0, [0, 0, 20, 20], False))]
    data = TrainingData(("cat",), samples, samples, samples if learned else [*samples], "train", {})
    monkeypatch.setattr(loading, "load", lambda path: None)
    monkeypatch.setattr(
        predictor, "detect_samples", lambda *_: [detected((0, [0, 0, 20, 20], 0.9))]
    )
    monkeypatch.setattr(showing, "show", lambda folder, *_: folder / "report.html")
    monkeypatch.setattr(fit_anchors, "anchor_shapes", lambda config: (None, None))
    screen = Screen(io.StringIO())
    run = train._Run(here, False, screen, Stop())
    run.data, run.report, run.config = data, None, TrainConfig()
    train._show_results(here / "best.keras", run, screen)
    text = screen.stream.getvalue()
    assert "mAP50 1.0000 on the train split\n" in text
    assert (run_report.LEARNED in text) == learned


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
    given = train._settled({**AUTO, "epochs": 3, "patience": 5})
    config = train._config_of_run(settled, given, "train.py")
    assert (config.batch_size, config.freeze_batch_size, config.precision) == (8, 16, "float32")
    assert (config.anchors, config.patience) == ("logs/a/anchors.txt", 5)


@pytest.mark.parametrize("wrong", [{"batch_size": 4}, {"precision": "mixed_bfloat16"}])
def test_what_was_not_left_open_is_still_compared(settled, wrong):
    (key,) = wrong
    with pytest.raises(ConfigError, match=f"{key} is {wrong[key]}, was "):
        train._config_of_run(settled, train._settled({**AUTO, **wrong}), "train.py")


def test_a_finished_run_is_known_again_by_a_command_that_left_things_open(settled):
    (settled / "complete.json").write_text('{"epochs": 3}', encoding="utf-8")
    given = {**AUTO, "name": "a", "epochs": 3, "freeze_epochs": 1}
    assert train._finished_before(TrainConfig(**given), given) == settled
    other = {**given, "epochs": 4}
    assert train._finished_before(TrainConfig(**other), other) is None
