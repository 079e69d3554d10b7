"""`yolo.train`: the whole run around a training, with a network of a few thousand weights."""

import logging
from types import SimpleNamespace

import pytest

import yolo
from tests.faults.full import small
from tests.yolo.helpers import everything
from yolo.data.folder import TrainingData
from yolo.errors import ConfigError
from yolo.models.yolov4 import network
from yolo.models.yolov4.settings import YOLOv4Config
from yolo.settings.train import TrainConfig
from yolo.system import terminal
from yolo.system.signals import Stop
from yolo.training import job, run_folder

# ---------------------------------------------------------------------------- a whole run


@pytest.fixture(scope="module")
def finished(shapes, tmp_path_factory):
    """Return a run, the lines that it wrote, and its folder's content; some seconds, for plots."""
    lines = []

    def write(text, end="\n"):
        lines.append(text)

    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("job"))
        patch.setattr(network, "build_network", small.build_network)
        run = yolo.train(
            data=shapes, image_size=(64, 64), epochs=2, batch_size=4, eager=True, name="a",
            precision="float32", epochs_between_evaluations=1, write=write,
        )  # fmt: skip
        yield run, lines


def test_a_run_knows_its_folder_its_best_detector_and_its_figures(finished, shapes):
    run, lines = finished
    assert run.folder == run_folder.place("logs", "a") and run.best.is_file()
    assert run.detector is run.detector and run.detector.image_size == (64, 64)
    assert [row["epoch"] for row in run.figures] == [1.0, 2.0]
    assert all(0 <= row["mAP50"] <= 1 and row["loss"] > 0 for row in run.figures)
    assert run.example.is_file() and shapes in run.example.parents
    assert f"mAP50 {run.result.map_all_point:.4f} on the test split" in "\n".join(lines)


def test_it_leaves_what_the_script_leaves(finished, shapes):
    run, _ = finished
    assert set(everything(run.folder)) >= {
        "config.toml", "classes.txt", "results.csv", "last.keras", "log.txt", "check.json",
        "command.txt", "complete.json", "report.html", "test_results.json", "plots/worst.jpg",
    }  # fmt: skip
    command = (run.folder / "command.txt").read_text(encoding="utf-8")
    assert command.startswith(f"yolo.train(data={str(shapes)!r}, image_size=(64, 64), epochs=2")
    assert not [name for name in everything(run.folder) if name.endswith(".lock")]


def test_a_run_that_was_finished_before_is_returned_as_it_is(finished):
    run, lines = finished
    lines.clear()
    for again in (
        yolo.train(resume=run.folder, write=lines.append),
        yolo.train(TrainConfig(epochs=2, batch_size=4), name="a", write=lines.append),
        yolo.train(name="a", resume=True, write=lines.append),
    ):
        assert again.folder == run.folder and again.figures == run.figures and again.result is None
    assert lines == ["logs/a: this run is complete (2 epochs); nothing to do"] * 3


def test_unknown_settings_are_refused_with_the_nearest():
    with pytest.raises(ConfigError, match="no setting 'epoch'; did you mean 'epochs'?"):
        yolo.train(epoch=3)
    with pytest.raises(ConfigError, match="--profile belongs to RetinaNet"):
        yolo.train(TrainConfig(profile="torchvision-v1"))


# ----------------------------------------------------------------------- around a training


def test_something_is_said_before_tensorflow_loads(here, monkeypatch):
    """Which takes seconds; whoever reads a log knows by then what is going on."""
    said = []

    def load(**options):
        raise ConfigError(said[-1])

    monkeypatch.setattr(terminal, "import_tensorflow_quietly", load)
    with pytest.raises(ConfigError, match="starting TensorFlow"):
        yolo.train(data="VOCdevkit", write=lambda text, end: said.append(text))
    assert everything(here) == []


@pytest.fixture
def stand_in(monkeypatch):
    """Stand in for a training that is complete and for the display of its results."""
    monkeypatch.setattr(job, "_train", lambda *_, **__: (None, None, None))
    monkeypatch.setattr(job, "_show", lambda folder, *_: job.FinishedRun(folder))


def test_a_finished_run_without_its_checkpoints_can_be_shown_again(here, stand_in):
    """Somebody made room on the disk, and resumes for the report alone."""
    config = TrainConfig(name="a", data="VOCdevkit")
    folder = run_folder.create(config)
    run_folder.describe(folder, config, ("cat",), {})
    run_folder.note_saved(folder)
    (folder / "best.keras").touch()
    (folder / "complete.json").write_text('{"epochs": 3}', encoding="utf-8")
    stop = Stop()
    yolo.train(resume=folder, stop=stop, command="python -m yolo train --resume logs/a")
    assert {"best.keras", "complete.json", "command.txt"} <= set(everything(folder))
    assert stop.last_line() == "stopped; go on with: python -m yolo train --resume logs/a"
    assert (folder / "best.keras").exists()


def test_a_start_that_saved_nothing_is_removed(here, stand_in):
    stop = Stop()
    folder = yolo.train(name="a", data="VOCdevkit", stop=stop).folder
    assert everything(here) == []
    run_folder.create(TrainConfig(name="a"))
    assert stop.last_line().startswith("stopped before the first checkpoint")
    assert everything(here) == [] and not folder.exists()


def test_what_ends_a_run_is_in_its_log_and_shown_once(here, caplog):
    faults = (
        (ConfigError("data: 1 fault: a.xml: no box"), "ERROR data: 1 fault: a.xml: no box\n"),
        (ValueError("of Keras"), "ERROR ValueError: of Keras\n"),
    )
    for error, expected in faults:
        with pytest.raises(type(error)), job._log_file(here / "log.txt"):
            raise error
        assert (here / "log.txt").read_text(encoding="utf-8").endswith(expected)
    assert not caplog.records


def test_the_log_file_holds_all_and_other_logs_what_they_asked_for(here, caplog):
    log = logging.getLogger("yolo")
    log.setLevel(logging.NOTSET)
    with job._log_file(here / "log.txt"):
        log.debug("a repair")
        log.warning("a warning")
    log.debug("afterwards")
    assert (here / "log.txt").read_text(encoding="utf-8") == "DEBUG a repair\nWARNING a warning\n"
    assert [record.getMessage() for record in caplog.records] == ["a warning"]


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
    thresholds = YOLOv4Config.thresholds.chosen(score_threshold=0.35)
    model = SimpleNamespace(thresholds=thresholds, notes={"score_threshold": 0.35})
    monkeypatch.setattr(loading, "load", lambda path: model)
    monkeypatch.setattr(
        predictor, "detect_samples", lambda *_: [detected((0, [0, 0, 20, 20], 0.9))]
    )
    monkeypatch.setattr(showing, "show", lambda folder, *_: folder / "report.html")
    monkeypatch.setattr(fit_anchors, "anchor_shapes", lambda config: (None, None))
    lines = []
    run = job._show(here, TrainConfig(), data, None, lines.append)
    assert run.result.map_all_point == 1.0 and run.example == samples[0].path
    assert "\nmAP50 1.0000 on the train split, COCO AP 1.0000" in lines
    assert (run_report.LEARNED in lines) == learned
    assert run.coco["AP"] == 1.0 and run.result.score_threshold == 0.35
    assert any(line.startswith("objects count from score 0.35 on, the best F1") for line in lines)
