"""Objects that training drops, found before it starts."""

from dataclasses import replace

import numpy as np
import pytest

from tests.yolo.data.batches import make, take, training
from yolo import cli
from yolo.data.check import lost_objects
from yolo.settings.train import TrainConfig, augmentation

WIDE = (50, 1000)  # height and width; at 64 a fifteenth, and its objects likewise


def _config(**options):
    return TrainConfig(**{"image_size": (64, 64), "multi_scale": False} | options)


def test_what_is_said_to_be_lost_is_in_no_batch(tmp_path):
    sample = make(tmp_path, "wide", size=WIDE, boxes=[(100, 10, 115, 25), (400, 10, 415, 25)])
    (problem,) = lost_objects(_config(), [sample])
    assert problem.severity == "error"
    assert problem.place == (
        "all 2 objects are below 2 pixels on the network's picture of 64x64, however it is "
        "varied, and nothing would be learned: --image-size 160 keeps half of them; so do "
        "pictures cut into parts"
    )
    for size, seen in ((64, False), (160, True)):
        config = _config(image_size=(size, size))
        batches = training([sample], augmentation(config), image_size=(size, size))
        classes = np.concatenate([ids for _, _, ids in take(batches, 6)])
        assert (classes >= 0).any() == seen == (not lost_objects(config, [sample]))


def test_some_that_are_lost_are_counted(tmp_path):
    sample = make(tmp_path, "wide", size=WIDE, boxes=[(100, 10, 115, 25), (400, 5, 440, 45)])
    (problem,) = lost_objects(_config(), [sample])
    assert problem.severity == "warning" and problem.place.startswith("1 of 2 are below 2 pixels")
    assert not lost_objects(_config(min_box_pixels=0.0), [sample])
    assert not lost_objects(_config(scale=(1.0, 2.5)), [sample])
    ignored = replace(sample, difficult=np.array([True, False]))
    assert not lost_objects(_config(), [ignored])


@pytest.mark.parametrize("arguments", [["--check"], ["--epochs", "1"]])
def test_a_run_stops_where_no_object_is_left(voc_folder, tmp_path, capsys, monkeypatch, arguments):
    monkeypatch.chdir(tmp_path)
    for name in ("a", "b"):
        voc_folder.add(name, ("cat", 100, 10, 115, 25), size=WIDE)
        voc_folder.list("train" if name == "a" else "val", name)
    given = ["train", "--data", str(voc_folder.root), "--image-size", "64", *arguments]
    assert cli.main(given) == 3
    said = capsys.readouterr()
    assert "--image-size 160 keeps half of them" in said.out + said.err
