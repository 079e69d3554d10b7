"""The run folder: made once, described, and never left with half a file."""

import errno
import json
import math
import os
import zipfile

import pytest

from yolo import zoo
from yolo.errors import ConfigError, YoloError
from yolo.settings.toml import read_toml
from yolo.settings.train import TrainConfig, resolved
from yolo.system import processor, writing
from yolo.training import devices, precision, run_folder
from yolo.training.checkpoint import State


def test_a_run_has_the_name_given_or_the_time(tmp_path):
    assert run_folder.create(TrainConfig(save_dir=str(tmp_path), name="猫")) == tmp_path / "猫"
    assert (tmp_path / "猫" / "plots").is_dir()
    config = TrainConfig(save_dir=str(tmp_path))
    assert len({run_folder.create(config) for _ in range(3)}) == 3


def test_a_name_is_used_once(tmp_path):
    config = TrainConfig(save_dir=str(tmp_path), name="a")
    folder = run_folder.create(config)
    with pytest.raises(ConfigError, match="another --name or remove it, nothing was saved"):
        run_folder.create(config)
    (folder / "checkpoints" / "step-00000012").mkdir(parents=True)
    with pytest.raises(ConfigError, match="--name or go on with it: --resume .*a$"):
        run_folder.create(config)


def test_a_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match="file.*cannot make the run's folder"):
        run_folder.create(TrainConfig(save_dir=str(tmp_path / "file"), name="a"))


def test_a_run_that_saved_nothing_is_removed_and_one_that_did_is_not(tmp_path):
    folder = run_folder.create(TrainConfig(save_dir=str(tmp_path), name="a"))
    writing.write_text(folder / "config.toml", "x")
    run_folder.discard(folder)
    assert not folder.exists()
    folder = run_folder.create(TrainConfig(save_dir=str(tmp_path), name="a"))
    (folder / "last.keras").touch()
    run_folder.discard(folder)
    assert (folder / "last.keras").exists()


def begun(folder):
    """Have all that a run may leave that was killed before its first checkpoint."""
    config = TrainConfig(save_dir=str(folder.parent), name=folder.name)
    assert run_folder.create(config) == folder
    run_folder.describe(folder, config, ("cat",), {"train": ["a"], "val": ["b"]})
    run_folder.note_command(folder, "python train.py")
    for name in ("run.lock", "log.txt", "anchors.txt", "check.json", "check.txt",
                 ".config.12.part.toml", "splits/.test.12.part.txt",
                 "checkpoints/.step-00000001.12.part/arrays.npz"):  # fmt: skip
        (folder / name).parent.mkdir(exist_ok=True, parents=True)
        (folder / name).touch()


def test_what_a_start_leaves_is_removed_with_the_save_dir_that_it_made(tmp_path):
    begun(tmp_path / "logs" / "a")
    run_folder.discard(tmp_path / "logs" / "a")
    assert not list(tmp_path.iterdir())
    (tmp_path / "logs").mkdir()
    begun(tmp_path / "logs" / "a")
    run_folder.discard(tmp_path / "logs" / "a")
    assert not list((tmp_path / "logs").iterdir()), "the empty folder was there before"


@pytest.mark.parametrize(
    "name", ["best.keras", "ep100-loss.h5", "plots/a.png", "notes", "splits/mine.txt",
             "checkpoints/step-00000012/arrays.npz", "complete.json", ".bashrc"],
)  # fmt: skip
def test_nothing_is_removed_that_a_start_does_not_make(tmp_path, name):
    begun(tmp_path / "a")
    (tmp_path / "a" / name).parent.mkdir(exist_ok=True, parents=True)
    (tmp_path / "a" / name).touch()
    before = sorted(tmp_path.rglob("*"))
    run_folder.discard(tmp_path / "a")
    assert sorted(tmp_path.rglob("*")) == before


def test_a_folder_that_no_run_made_or_that_had_a_checkpoint_is_left_alone(tmp_path):
    (tmp_path / "plots").mkdir()
    (tmp_path / "config.toml").touch()
    run_folder.discard(tmp_path)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["config.toml", "plots"]
    with pytest.raises(ConfigError, match="b: exists already; choose another --name$"):
        (tmp_path / "b").mkdir()
        run_folder.create(TrainConfig(save_dir=str(tmp_path), name="b"))
    begun(tmp_path / "a")
    run_folder.note_saved(tmp_path / "a")  # and its checkpoints were deleted, for room
    run_folder.discard(tmp_path / "a")
    assert (tmp_path / "a" / "config.toml").exists()


@pytest.mark.parametrize("name", [".", "..", "a/../..", "./", "/abs", "a/.."])
def test_a_name_stays_in_the_save_dir(tmp_path, name):
    with pytest.raises(ConfigError, match="expected a name for a new folder in "):
        run_folder.create(TrainConfig(save_dir=str(tmp_path), name=name))
    assert not list(tmp_path.iterdir())


def test_description(tmp_path):
    config = TrainConfig(name="α", epochs=3)
    run_folder.describe(tmp_path, config, ("猫", "dog"), {"train": ["a", "b"], "val": ["c"]})
    assert TrainConfig(**read_toml(tmp_path / "config.toml")) == resolved(config)
    assert (tmp_path / "classes.txt").read_text(encoding="utf-8") == "猫\ndog\n"
    assert (tmp_path / "splits" / "train.txt").read_text(encoding="utf-8") == "a\nb\n"
    assert not list(tmp_path.rglob("*.part"))


def test_a_run_is_complete_when_it_says_so(tmp_path):
    assert run_folder.epochs_if_complete(tmp_path) is None
    run_folder.mark_complete(tmp_path, State(epoch=7, best_map50=0.5, best_epoch=3))
    assert run_folder.epochs_if_complete(tmp_path) == 7
    writing.write_text(tmp_path / "complete.json", "{}")
    with pytest.raises(ConfigError, match="complete.json: not the note of a finished run"):
        run_folder.epochs_if_complete(tmp_path)


def test_the_score_of_the_best_model_is_read_from_its_file(tmp_path):
    model = zoo.build("yolov4-tiny", classes=["a"], image_size=(64, 64))
    model.notes = {"epoch": 3, "val_map50": 0.25}
    model.save(tmp_path / "best.keras")
    assert run_folder.noted_score(tmp_path / "best.keras") == (0.25, 3)
    assert run_folder.noted_score(tmp_path / "absent.keras") == (-1, 0)
    (tmp_path / "cut.keras").write_bytes((tmp_path / "best.keras").read_bytes()[:9000])
    assert run_folder.noted_score(tmp_path / "cut.keras") == (-1, 0)


# ------------------------------------------------------------------------------- results


def test_a_best_model_that_is_damaged_has_no_score(tmp_path):
    best = tmp_path / "best.keras"
    config = json.dumps({"config": {"notes": {"epoch": 7, "val_map50": 0.5}}})
    with zipfile.ZipFile(best, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("config.json", config)
    assert run_folder.noted_score(best) == (0.5, 7)
    good = best.read_bytes()
    for place in range(len(good)):  # no damage of a bit ends in a traceback
        best.write_bytes(good[:place] + bytes([good[place] ^ 0x10]) + good[place + 1 :])
        assert run_folder.noted_score(best) in ((0.5, 7), (-1.0, 0))


def test_only_remains_are_swept_away(tmp_path):
    for name in (".best.12.part.keras", ".step-00000001.12.old.part", ".step-00000002.old.part"):
        (tmp_path / name).touch()
    for name in (".notes.partial", ".a.part", "x.12.part"):
        (tmp_path / name).touch()
    run_folder.sweep(tmp_path)
    assert sorted(p.name for p in tmp_path.iterdir()) == [".a.part", ".notes.partial", "x.12.part"]


def test_results_are_a_table_with_one_header(tmp_path):
    path = tmp_path / "results.csv"
    for epoch in (1, 2):
        run_folder.append_results(path, {"epoch": epoch, "loss": 0.5, "unknown": 3})
    assert path.read_text(encoding="utf-8").splitlines() == [
        ",".join(run_folder.COLUMNS), "1,0.5,,,,,,,,", "2,0.5,,,,,,,,",
    ]  # fmt: skip


def test_rows_that_will_be_done_again_are_cut(tmp_path):
    path = tmp_path / "results.csv"
    run_folder.cut_results(path, 3)
    assert not path.exists()
    for epoch in (1, 2, 3):
        run_folder.append_results(path, {"epoch": epoch, "mAP50": 0.25})
    run_folder.cut_results(path, 2)
    assert path.read_text(encoding="utf-8").splitlines()[1:] == ["1,,,,,,0.25,,,", "2,,,,,,0.25,,,"]
    run_folder.cut_results(path, 0)
    run_folder.append_results(path, {"epoch": 1})
    assert path.read_text(encoding="utf-8").splitlines() == [
        ",".join(run_folder.COLUMNS), "1,,,,,,,,,",
    ]  # fmt: skip
    assert {p.name for p in tmp_path.iterdir()} == {"results.csv", "results.jsonl"}


def test_a_table_is_replaced_whole(tmp_path, monkeypatch):
    path = tmp_path / "results.csv"
    run_folder.append_results(path, {"epoch": 1, "loss": 2.0, "mAP50": math.nan})
    before = path.read_text(encoding="utf-8")
    assert before.splitlines()[1] == "1,2.0,,,,,,,,", "what is no number is left out"

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(YoloError, match=r"results\.csv: cannot be written \(No space left"):
        run_folder.append_results(path, {"epoch": 2})
    assert path.read_text(encoding="utf-8") == before and len(list(tmp_path.iterdir())) == 2


def test_rows_that_somebody_cut_short_do_no_harm(tmp_path):
    path = tmp_path / "results.csv"
    run_folder.append_results(path, {"epoch": 1, "loss": 2})
    with path.open("a", encoding="utf-8") as file:
        file.write("\n,0.3\n2,0.1")
    run_folder.cut_results(path, 2)
    assert path.read_text(encoding="utf-8").splitlines()[1:] == ["1,2,,,,,,,,", "2,0.1,,,,,,,,"]


def test_a_file_that_is_no_table_of_results(tmp_path):
    path = tmp_path / "results.csv"
    path.write_text("a,b\n1,2\n", encoding="utf-8")
    with pytest.raises(YoloError, match=r"results\.csv: not a table of results"):
        run_folder.cut_results(path, 2)


# ------------------------------------------------------------------------------- machine


@pytest.mark.parametrize("name", ["float32", "mixed_bfloat16", "mixed_float16"])
def test_a_named_precision_is_itself(name):
    assert precision.choose_precision(name) == name


@pytest.mark.parametrize(
    "flags, expected",
    [
        (set(), "float32"),
        ({"avx512f", "avx2"}, "float32"),
        ({"avx512_bf16"}, "mixed_bfloat16"),
        ({"amx_bf16", "fpu"}, "mixed_bfloat16"),
    ],
)
def test_precision_of_a_processor(monkeypatch, flags, expected):
    import tensorflow as tf

    monkeypatch.setattr(tf.config, "get_visible_devices", lambda kind: [])
    monkeypatch.setattr(processor, "flags", lambda: frozenset(flags))
    assert precision.choose_precision("auto") == expected


@pytest.mark.parametrize(
    "capabilities, expected",
    [
        ([(9, 0)], "mixed_bfloat16"),
        ([(8, 0), (8, 6)], "mixed_bfloat16"),
        ([(8, 0), (7, 5)], "float32"),
        ([None], "float32"),
    ],
)
def test_precision_of_gpus(monkeypatch, capabilities, expected):
    import tensorflow as tf

    about = [{} if c is None else {"compute_capability": c} for c in capabilities]
    monkeypatch.setattr(tf.config, "get_visible_devices", lambda kind: list(range(len(about))))
    monkeypatch.setattr(tf.config.experimental, "get_device_details", lambda gpu: about[gpu])
    monkeypatch.setattr(processor, "flags", lambda: frozenset({"amx_bf16"}))
    assert precision.choose_precision("auto") == expected


@pytest.fixture
def two_gpus(monkeypatch):
    """Pretend that there are two GPUs, and record which are made visible."""
    import tensorflow as tf

    chosen = []
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: ["gpu a", "gpu b"])
    monkeypatch.setattr(tf.config, "set_visible_devices", lambda gpus, kind: chosen.append(gpus))
    return chosen


@pytest.mark.parametrize(
    "setting, expected",
    [("0", ["gpu a"]), ("1", ["gpu b"]), ("0,1", ["gpu a", "gpu b"]), ("none", [])],
)
def test_gpus_are_chosen_by_number(two_gpus, setting, expected):
    assert devices.select_gpus(setting) == expected
    assert two_gpus == [expected]


def test_all_gpus_unless_chosen(two_gpus):
    assert devices.select_gpus(None) == ["gpu a", "gpu b"]
    assert two_gpus == []


@pytest.mark.parametrize("setting", ["2", "a", "", "0,", "-1"])
def test_a_gpu_that_is_not_there(two_gpus, setting):
    with pytest.raises(ConfigError, match="gpus names GPUs 0..1 or none"):
        devices.select_gpus(setting)


def test_gpus_where_there_are_none(monkeypatch):
    import tensorflow as tf

    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: [])
    with pytest.raises(ConfigError, match="sees no GPU here; leave it out"):
        devices.select_gpus("0")


def test_gpus_chosen_too_late(two_gpus, monkeypatch):
    import tensorflow as tf

    def late(gpus, kind):
        raise RuntimeError("Visible devices cannot be modified after being initialized")

    monkeypatch.setattr(tf.config, "set_visible_devices", late)
    with pytest.raises(ConfigError, match="TensorFlow has started with other devices already"):
        devices.select_gpus("none")
