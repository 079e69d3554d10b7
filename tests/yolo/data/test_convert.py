"""Data sets written in other formats: what goes in comes out again."""

import itertools
import os
from dataclasses import replace

import numpy as np
import pytest

from tests.yolo.data.batches import make
from yolo.cli import main
from yolo.data import convert
from yolo.data.folder import open_folder
from yolo.errors import ConfigError

CLASSES = ("zebra", "ant", "no", "absent")  # in no alphabetical order; no object of the last
PAIRS = list(itertools.product(convert.FORMATS, repeat=2))


@pytest.fixture(scope="module")
def samples(tmp_path_factory):
    """Two splits; sub-pixel boxes up to the edges, every flag, a picture without objects."""
    folder = tmp_path_factory.mktemp("from")
    rng, made = np.random.default_rng(7), {"train": [], "val": []}
    for n, (split, ids) in enumerate(
        [("train", (0, 1, 2)), ("train", ()), ("val", (2,)), ("train", (1, 1, 0, 2))]
    ):
        height, width = int(rng.integers(60, 90)), int(rng.integers(300, 900))
        boxes = []
        for _ in ids:
            x1, x2 = sorted(rng.uniform(0, width, 2))
            y1, y2 = sorted(rng.uniform(0, height, 2))
            boxes.append((x1, y1, min(x2 + 2, width), min(y2 + 2, height)))
        if boxes:
            boxes[0] = (0, 0, width, height)
        sample = make(folder, f"p {n}", size=(height, width), background=9 * n)
        flags = rng.random((3, len(ids))) < 0.5
        made[split].append(marked(sample, boxes, ids, flags))
    return made


def marked(sample, boxes, ids, flags):
    """Return a sample with objects: boxes, class ids, and flags (difficult, truncated, crowd)."""
    return replace(
        sample, boxes_xyxy=np.array(boxes, np.float32).reshape(-1, 4),
        class_ids=np.array(ids, np.int32), difficult=flags[0] | flags[2], truncated=flags[1],
        crowd=flags[2],
    )  # fmt: skip


@pytest.fixture(scope="module")
def written(samples, tmp_path_factory):
    """Return the folder of each format, written from the samples."""
    root = tmp_path_factory.mktemp("written")
    for to in convert.FORMATS:
        convert.convert(samples, CLASSES, root / to, to)
    return root


def same(opened, samples, *, flags, crowds=True):
    """Compare a data set with samples, those of regions of many where they are kept."""
    if not crowds:
        samples = {k: [one.select(~one.crowd) for one in part] for k, part in samples.items()}
    assert opened.classes == CLASSES and opened.names == tuple(samples)
    for split, expected in samples.items():
        found = {one.path.name: one for one in opened.read(split)}
        assert sorted(found) == sorted(one.path.name for one in expected)
        for one in expected:
            other = found[one.path.name]
            np.testing.assert_allclose(other.boxes_xyxy, one.boxes_xyxy, atol=1e-3, rtol=0)
            assert other.class_ids.tolist() == one.class_ids.tolist()
            assert other.size == one.size
            for flag in flags:
                assert getattr(other, flag).tolist() == getattr(one, flag).tolist()


FLAGS = {
    "voc": ("difficult", "truncated"), "tfrecord": ("difficult", "truncated", "crowd"),
    "coco": ("difficult", "crowd"), "yolo": (),
}  # fmt: skip


@pytest.mark.parametrize("first, second", PAIRS)
def test_a_round_trip_through_two_formats(written, samples, tmp_path, first, second):
    opened = open_folder(written / first)
    splits = {name: opened.read(name) for name in opened.names}
    convert.convert(splits, opened.classes, tmp_path / "out", second)
    kept = [flag for flag in FLAGS[first] if flag in FLAGS[second]]
    # VOC knows regions of many as difficult objects, which are no others that YOLO leaves out.
    if (first, second) == ("voc", "yolo"):
        same(open_folder(tmp_path / "out"), samples, flags=())
    else:
        crowds = "yolo" not in (first, second)
        same(open_folder(tmp_path / "out"), samples, flags=kept, crowds=crowds)


def test_what_a_format_cannot_hold_is_counted(samples, tmp_path):
    lost = {to: convert.convert(samples, CLASSES, tmp_path / to, to) for to in convert.FORMATS}
    every = [one for part in samples.values() for one in part]
    difficult, truncated, crowd = (
        sum(int(getattr(one, flag).sum()) for one in every)
        for flag in ("difficult", "truncated", "crowd")
    )
    outside = sum(int((one.truncated & one.crowd).sum()) for one in every)
    assert min(difficult - crowd, truncated - outside, crowd) > 0
    assert lost == {
        "voc": {"regions of many, written as difficult objects": crowd}, "tfrecord": {},
        "coco": {"marks of truncation": truncated},
        "yolo": {
            "regions of many, left out": crowd,
            "difficult objects, written as others": difficult - crowd,
            "marks of truncation": truncated - outside,
        },
    }  # fmt: skip


def test_a_box_of_a_pixel_is_left_out_of_voc_and_counted(tmp_path):
    boxes, flags = [(3, 3, 4, 40), (5, 5, 7.5, 9)], np.zeros((3, 2), bool)
    sample = marked(make(tmp_path, "a", size=(60, 80)), boxes, (0, 0), flags)
    lost = convert.convert({"train": [sample]}, ("cat",), tmp_path / "voc", "voc")
    assert lost == {"boxes of a pixel a side or less, left out": 1}
    (found,) = open_folder(tmp_path / "voc").read("train")
    assert found.boxes_xyxy.tolist() == [[5, 5, 7.5, 9]]


@pytest.mark.parametrize("to", ["coco", "tfrecord"])
def test_areas_of_masks_are_kept(tmp_path, to):
    """COCO ranks objects as small, medium and large by them."""
    sample = make(tmp_path, "a", size=(60, 80), boxes=[(3, 3, 43, 43), (5, 5, 7, 9)])
    sample = replace(sample, areas=np.array([812.5, 8.0]))
    convert.convert({"train": [sample]}, ("cat",), tmp_path / to, to)
    (found,) = open_folder(tmp_path / to).read("train")
    assert found.areas.tolist() == [812.5, 8.0]


@pytest.mark.parametrize("to", ["voc", "coco", "yolo"])
def test_pictures_are_linked_and_those_of_one_name_numbered(tmp_path, to):
    for folder in ("a", "b", "c"):
        (tmp_path / folder).mkdir()
    parts = [
        make(tmp_path / "a", "1", size=(60, 80), boxes=[(1, 2, 30, 40)]),
        make(tmp_path / "b", "1", size=(70, 80), boxes=[(1, 2, 50, 60)]),
        make(tmp_path / "c", " x\n?", size=(50, 80), boxes=[(3, 4, 20, 20)]),
    ]
    convert.convert({"train": parts}, ("cat",), tmp_path / "out", to)
    found = open_folder(tmp_path / "out").read("train")
    suffix = parts[0].path.suffix
    names = {one.path.name: one.size for one in found}
    assert names == {f"1{suffix}": (60, 80), f"1_2{suffix}": (70, 80), f"x__{suffix}": (50, 80)}
    if hasattr(os, "link"):
        linked = next(one for one in found if one.path.name == f"1{suffix}")
        assert linked.path.samefile(parts[0].path)


def test_what_is_there_is_never_replaced(samples, tmp_path):
    (tmp_path / "mine").write_text("x", encoding="utf-8")
    with pytest.raises(ConfigError, match="is there already"):
        convert.convert(samples, CLASSES, tmp_path, "voc")
    with pytest.raises(ConfigError, match="cannot name files"):
        convert.convert({"a/../b": samples["train"]}, CLASSES, tmp_path / "out", "voc")


@pytest.mark.parametrize("command", ["convert", "shards"])
@pytest.mark.parametrize("place", ["taken", "taken/file.txt", "taken/file.txt/below"])
def test_a_place_that_will_not_do_is_refused_before_anything_is_read(
    here, capsys, monkeypatch, command, place
):
    monkeypatch.setattr("yolo.data.folder.open_run", lambda config: pytest.fail("was read"))
    (here / "taken").mkdir()
    (here / "taken" / "file.txt").write_text("x", encoding="utf-8")
    how = {"convert": ["--to", "coco", place], "shards": ["--out", place]}[command]
    assert main([command, "--data", "x", *how]) == 2
    said = capsys.readouterr().err
    assert f"{place}: " in said and ("is there already" in said or "cannot be written" in said)
    assert (here / "taken" / "file.txt").read_text(encoding="utf-8") == "x"


def test_an_empty_folder_is_taken_and_stays_where_nothing_can_be_read(samples, tmp_path):
    (tmp_path / "out").mkdir()
    assert main(["convert", "--data", "nowhere", "--to", "voc", str(tmp_path / "out")]) == 3
    assert (tmp_path / "out").is_dir()
    convert.convert(samples, CLASSES, tmp_path / "out", "voc")
    assert open_folder(tmp_path / "out").names == ("train", "val")


def test_the_command(written, samples, here, capsys):
    line = ["convert", "--data", str(written / "voc"), "--to", "yolo", str(here / "out")]
    assert main(line) == 0
    said = capsys.readouterr().out
    assert "data: VOC XML, 4 pictures: train 3, val 1" in said
    assert "yolo cannot hold: " in said and "marks of truncation" in said
    assert f"written: {here / 'out'}; to train on it: --data {here / 'out'}" in said
    same(open_folder(here / "out"), samples, flags=())  # VOC holds no regions of many
    assert main(line) == 2
    assert "is there already" in capsys.readouterr().err
    idle = ["--data", "x", "--to", "coco", "--difficult", "learn", "out"]
    assert main(["convert", *idle]) == 2
    assert "--difficult is for training" in capsys.readouterr().err
    assert main(["convert", "--to", "coco", "x"]) == 2
    assert "name the data set to convert: --data DIR" in capsys.readouterr().err
