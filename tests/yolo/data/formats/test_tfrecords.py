"""Shards hold what the pictures' own files hold, give the same batches, and damage is told."""

import itertools
import json
import os
import re
from dataclasses import replace

import cv2
import numpy as np
import pytest
import tensorflow as tf

from tests.faults.audit import listening, opened
from yolo import cli
from yolo.data import decoding, duplicates
from yolo.data.formats import tfrecords
from yolo.data.formats.tfrecords import INDEX, Shards, plan_shards, write_shards
from yolo.data.pipeline import BatchPlan, evaluation_dataset, training_dataset
from yolo.data.sample import Sample
from yolo.data.source import Source
from yolo.data.store import Store, find_damaged
from yolo.errors import ConfigError, DatasetError
from yolo.pictures.files import read_image
from yolo.pictures.header import allow_megapixels, read_header
from yolo.settings.augmentation import AugmentConfig
from yolo.system.checked_json import pack, seal, unpack
from yolo.system.reading import read_regular

CLASSES = ("cat", "dog", "沙发")
STRONG = AugmentConfig(mosaic=0.5, mixup=0.3, scale=(0.5, 2.0), translate=0.2)
TURNED = bytes.fromhex("ffe1002245786966000049492a0008000000010012010300010000000600000000000000")


def picture(folder, n):
    """Write picture n: JPEGs, one of them turned by EXIF, and a PNG; objects but for number 2."""
    rng = np.random.default_rng(n)
    height, width = (int(side) for side in rng.integers(60, 160, 2))
    image = cv2.resize(rng.integers(0, 256, (6, 8, 3), np.uint8), (width, height))
    suffix = ".png" if n == 3 else ".jpg"
    data = cv2.imencode(suffix, image)[1].tobytes()
    if n == 5:
        data, height, width = data[:2] + TURNED + data[2:], width, height
    path = folder / f"图 {n}{suffix}"
    path.write_bytes(data)
    count = 0 if n == 2 else 1 + n % 3
    start = rng.uniform(0, 20, (count, 2))
    boxes = np.concatenate([start, start + rng.uniform(5, 30, (count, 2))], axis=1)
    return Sample(
        path, boxes.astype(np.float32), rng.integers(0, 3, count).astype(np.int32),
        rng.random(count) < 0.3, rng.random(count) < 0.3, (height, width), f"图 {n}",
    )  # fmt: skip


@pytest.fixture(scope="module")
def splits(tmp_path_factory):
    folder = tmp_path_factory.mktemp("图 片")
    samples = [picture(folder, n) for n in range(9)]
    return {"train": samples[:7], "val": samples[7:]}


@pytest.fixture
def packed(splits, tmp_path):
    write_shards(splits, CLASSES, tmp_path / "shards", num_shards=3)
    return tmp_path / "shards"


def rewrite(folder, change):
    """Change the index and give it the checksum of what it says then."""
    path = folder / INDEX
    index = json.loads(path.read_text(encoding="utf-8"))
    del index["sha256"]
    change(index)
    path.write_text(seal(index), encoding="utf-8")


def batches(samples, **options):
    plan = BatchPlan(4, STRONG, epochs=10, seed=5)
    found = itertools.islice(training_dataset(samples, plan, image_size=(64, 96), **options), 6)
    return [[part.numpy() for part in tf.nest.flatten(batch)] for batch in found]


# ------------------------------------------------------------------------- the same data


@pytest.mark.parametrize("how", [{"num_shards": 1}, {"num_shards": 20}, {"shard_bytes": 9000}])
def test_training_from_shards_gives_the_batches_of_the_files(splits, tmp_path, how):
    counts = write_shards(splits, CLASSES, tmp_path / "shards", **how)
    samples = Shards(tmp_path / "shards").read("train")
    assert counts["train"] == {1: 1, 20: 7}.get(how.get("num_shards"), counts["train"]) and (
        "num_shards" in how or 1 < counts["train"] < 7
    )
    options = {"start": (2, 0), "resize": "shorter"} if "shard_bytes" in how else {}
    for ours, theirs in zip(batches(samples, **options), batches(splits["train"], **options),
                            strict=True):  # fmt: skip
        assert all(np.array_equal(a, b) for a, b in zip(ours, theirs, strict=True))


def test_every_picture_and_object_comes_back_as_it_was(splits, packed):
    opened_shards = Shards(packed)
    assert opened_shards.classes == CLASSES and opened_shards.names == ("train", "val")
    for name, samples in splits.items():
        for ours, theirs in zip(opened_shards.read(name), samples, strict=True):
            assert read_regular(ours.path) == theirs.path.read_bytes()
            assert np.array_equal(read_image(ours.path), read_image(theirs.path))
            assert (ours.path.name, ours.path.stem) == (theirs.path.name, theirs.path.stem)
            assert (ours.size, ours.image_id) == (theirs.size, theirs.image_id)
            assert read_header(ours.path) == read_header(theirs.path)
            for field in ("boxes_xyxy", "class_ids", "difficult", "truncated", "crowd"):
                a, b = getattr(ours, field), getattr(theirs, field)
                assert a.dtype == b.dtype and np.array_equal(a, b)
    ours, theirs = (
        list(evaluation_dataset(samples, image_size=(64, 64), batch_size=2))
        for samples in (opened_shards.read("val"), splits["val"])
    )
    for a, b in zip(tf.nest.flatten(ours), tf.nest.flatten(theirs), strict=True):
        assert np.array_equal(a, b)


def test_the_records_are_examples_that_any_reader_of_tfrecords_takes(splits, packed):
    files = sorted(str(path) for path in packed.glob("train-*.tfrecord"))
    assert [os.path.basename(f) for f in files] == [  # noqa: PTH119
        f"train-{i:05d}-of-00003.tfrecord" for i in range(3)
    ]
    records = [record.numpy() for record in tf.data.TFRecordDataset(files)]
    for record, sample in zip(records, splits["train"], strict=True):
        feature = tf.train.Example.FromString(record).features.feature
        assert feature["image/encoded"].bytes_list.value[0] == sample.path.read_bytes()
        assert feature["image/source_id"].bytes_list.value[0].decode() == sample.image_id
        boxes = np.array(feature["image/object/boxes_xyxy"].float_list.value, np.float32)
        assert np.array_equal(boxes.reshape(-1, 4), sample.boxes_xyxy)
        labels = feature["image/object/class/label"].int64_list.value
        names = [text.decode() for text in feature["image/object/class/text"].bytes_list.value]
        assert list(labels) == sample.class_ids.tolist()
        assert names == [CLASSES[i] for i in labels]
        assert tuple(
            feature[f"image/{side}"].int64_list.value[0] for side in ("height", "width")
        ) == tuple(sample.size)
        for flag in ("difficult", "truncated"):
            values = feature[f"image/object/{flag}"].int64_list.value
            assert list(values) == getattr(sample, flag).astype(int).tolist()


def test_shards_are_planned_by_size_or_number(splits):
    samples = splits["train"]
    sizes = [sample.path.stat().st_size for sample in samples]
    assert [list(part) for part in plan_shards(samples, num_shards=3)] == [
        [0, 1],
        [2, 3],
        [4, 5, 6],
    ]
    limit = sizes[0] + sizes[1]
    first, *rest = plan_shards(samples, shard_bytes=limit)
    assert list(first) == [0, 1]
    assert [i for part in (first, *rest) for i in part] == list(range(7))
    assert all(sum(sizes[i] for i in part[:-1]) < limit for part in (first, *rest))
    assert plan_shards([], num_shards=3) == plan_shards([]) == []


def test_classes_are_matched_by_name(splits, packed):
    opened_shards, samples = Shards(packed), splits["train"]
    turned = opened_shards.read("train", classes=["bird", *CLASSES[::-1]])
    for ours, theirs in zip(turned, samples, strict=True):
        assert np.array_equal(ours.class_ids, 3 - theirs.class_ids)
    with pytest.raises(DatasetError, match=r"jpg: object \d: class '沙发' \(\d+ objects in this"):
        opened_shards.read("train", classes=("cat", "dog"))
    chosen = opened_shards.read("train", classes=("沙发", "cat"), only_classes=True)
    for ours, theirs in zip(chosen, samples, strict=True):
        kept = theirs.class_ids != 1
        assert np.array_equal(ours.class_ids, np.where(theirs.class_ids[kept] == 2, 0, 1))
        assert np.array_equal(ours.boxes_xyxy, theirs.boxes_xyxy[kept])
    assert any(len(ours.class_ids) < len(theirs.class_ids) for ours, theirs in zip(
        chosen, samples, strict=True))  # fmt: skip
    with pytest.raises(DatasetError, match="no split 'test'; expected one of train, val"):
        opened_shards.read("test")


def test_pictures_in_shards_are_compared_and_decoded_in_children(splits, packed):
    samples = Shards(packed).read("train")
    paths = [sample.path for sample in samples]
    (group,) = duplicates.same_pictures({"a": samples[:2], "b": [samples[0]]})
    assert group == [("a", paths[0]), ("b", paths[0])]
    (group,) = duplicates.same_pictures({"a": samples, "b": splits["train"][4:5]})
    assert group == [("a", paths[4]), ("b", splits["train"][4].path)]
    damage(paths[1])
    faults = decoding.decode_all(paths, workers=1)
    assert (
        list(faults) == [paths[1]]
        and "00000-of-00003.tfrecord:图 1.jpg: damaged" in faults[paths[1]]
    )


# ------------------------------------------------------------------------- writing


def test_what_is_there_is_not_written_over(splits, packed):
    before = {path.name: path.read_bytes() for path in packed.iterdir()}
    with pytest.raises(ConfigError, match="is there already; name another folder"):
        write_shards(splits, CLASSES, packed)
    assert before == {path.name: path.read_bytes() for path in packed.iterdir()}
    (packed.parent / "file").write_text("mine", encoding="utf-8")
    with pytest.raises(ConfigError, match="is there already"):
        write_shards(splits, CLASSES, packed.parent / "file")
    with pytest.raises(ConfigError, match="'a/b' cannot name files"):
        write_shards({"a/b": splits["val"]}, CLASSES, packed.parent / "new")


def test_a_fault_while_writing_leaves_nothing(splits, tmp_path):
    missing = replace(splits["val"][1], path=tmp_path / "gone.jpg")
    with pytest.raises(DatasetError, match=r"gone\.jpg: cannot be opened"):
        write_shards({"train": [*splits["train"], missing]}, CLASSES, tmp_path / "shards",
                     num_shards=2)  # fmt: skip
    assert list(tmp_path.iterdir()) == []


# ------------------------------------------------------------------------- damage


def damage(part):
    """Flip a bit in the middle of a picture."""
    with part.file.open("rb+") as file:
        file.seek(part.start + part.length // 2)
        byte = file.read(1)[0]
        file.seek(-1, os.SEEK_CUR)
        file.write(bytes([byte ^ 4]))


def test_a_missing_or_shortened_shard_is_refused_at_once(packed):
    path = packed / "val-00001-of-00002.tfrecord"
    data = path.read_bytes()
    path.write_bytes(data[:-1])
    with pytest.raises(DatasetError) as caught:
        Shards(packed)
    assert "\n" not in str(caught.value)
    assert f"{path}: {len(data) - 1} bytes; its index says {len(data)}: copy it" in str(
        caught.value
    )
    path.unlink()
    with pytest.raises(DatasetError, match=r"val-00001-of-00002\.tfrecord: cannot be opened"):
        Shards(packed)


@pytest.mark.parametrize("number", [1, 3])  # decoded by TensorFlow, by OpenCV
def test_a_damaged_picture_stops_training_with_its_name(packed, number):
    opened_shards = Shards(packed)
    samples = opened_shards.read("train")
    assert opened_shards.damaged() == []
    damage(samples[number].path)
    (line,) = opened_shards.damaged()
    assert f"train-0000{number // 2}-of-00003.tfrecord: damaged" in line
    with pytest.raises(tf.errors.OpError, match=rf"DatasetError: .*图 {number}\.\w+: damaged"):
        batches(samples)
    faults, _ = find_damaged(samples)
    assert list(faults) == [number]
    assert re.search(rf"图 {number}\.\w+: damaged \(not the bytes", faults[number])


def test_the_check_names_a_damaged_shard(packed, tmp_path, outcome):
    command = (cli.train_main, "--check", "--data", packed, "--save-dir", tmp_path / "logs")
    code, out, err = outcome(*command)
    assert code == 0 and ": damaged" not in out + err
    damage(Shards(packed).read("train")[1].path)
    code, out, err = outcome(*command)
    assert code == 3 and "train-00000-of-00003.tfrecord: damaged (its SHA-256" in out + err


def test_an_index_that_changed_is_refused(packed):
    path = packed / INDEX
    text = path.read_bytes()
    rng = np.random.default_rng(0)
    for place in rng.integers(0, len(text), 60):
        changed = bytearray(text)
        changed[place] ^= 1 << int(rng.integers(0, 7))
        path.write_bytes(changed)
        if json.loads(text) == _or_none(bytes(changed)):
            continue  # white space
        with pytest.raises(DatasetError, match=r"shards\.json: .*write the shards again"):
            Shards(packed)
    for part in (b"", text[:100], b"[]", b"{}", b"null"):
        path.write_bytes(part)
        with pytest.raises(DatasetError, match=r"shards\.json: "):
            Shards(packed)


def _or_none(data):
    try:
        return json.loads(data)
    except ValueError:
        return None


def _set(key, value, split="train"):
    return lambda index: index["splits"][split].__setitem__(key, value)


def _array(key, dtype, shape, change):
    def apply(index):
        array = unpack(index["splits"]["train"][key], dtype, shape)
        change(array)
        index["splits"]["train"][key] = pack(array)

    return apply


WRONG = {
    "no classes": lambda index: index.pop("classes"),
    "classes of numbers": lambda index: index.update(classes=[1, 2, 3]),
    "splits in a list": lambda index: index.update(splits=[]),
    "no splits": lambda index: index.update(splits={}),
    "no shards": lambda index: index["splits"]["train"].pop("shards"),
    "shards of numbers": _set("shards", [3]),
    "a count of text": lambda index: index["splits"]["train"]["shards"][0].update(pictures="2"),
    "fewer names": _set("names", ["a.jpg"]),
    "a name with a folder": _set("names", ["../a.jpg"] * 7),
    "no array": _set("starts", "!"),
    "a short array": _set("lengths", pack(np.zeros(3, np.int64))),
    "before the shard": _array("starts", np.int64, (7,), lambda a: a.__setitem__(0, -8)),
    "beyond the shard": _array("starts", np.int64, (7,), lambda a: a.__setitem__(6, 2**62)),
    "longer than the shard": _array("lengths", np.int64, (7,), lambda a: a.__setitem__(6, 2**62)),
    "no pixels": _array("sizes", np.int32, (7, 2), lambda a: a.__setitem__((0, 0), 0)),
    "objects below zero": _array("counts", np.int32, (7,), lambda a: a.__setitem__(0, -1)),
    "objects that do not add up": _set("objects", 99),
    "a class beyond": lambda index: index.update(classes=["cat"]),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_an_index_that_makes_no_sense_is_refused(packed, wrong):
    rewrite(packed, WRONG[wrong])
    with pytest.raises(DatasetError) as caught:
        Shards(packed).read("train")
    assert f"{INDEX}: makes no sense" in str(caught.value) and "\n" not in str(caught.value)


def test_boxes_must_be_boxes_in_the_picture(splits, packed):
    count = sum(len(sample.class_ids) for sample in splits["train"])
    original = (packed / INDEX).read_text(encoding="utf-8")
    for wrong in (np.nan, np.inf, -1.0, 1e6):
        (packed / INDEX).write_text(original, encoding="utf-8")
        change = _array(
            "boxes", np.float32, (count, 4), lambda a, x=wrong: a.__setitem__((0, 2), x)
        )
        rewrite(packed, change)
        with pytest.raises(DatasetError, match="an object outside its picture"):
            Shards(packed).read("train")


def test_sizes_that_lie_are_found_before_decoding(splits, packed):
    """The header is compared before TensorFlow decodes: memory follows it, not the index."""
    rewrite(packed, _array("sizes", np.int32, (7, 2), lambda a: a.__iadd__(1)))
    samples = Shards(packed).read("train")
    with pytest.raises(tf.errors.InvalidArgumentError):
        store = Store(samples)
        store.pixels(tf.constant(0, tf.int64), tf.constant([0, 0]), tf.constant([9, 9]))
    assert "its sample says" in find_damaged(samples)[0][0]


def test_large_pictures_are_refused_by_the_index(packed):
    allow_megapixels(0.004)
    try:
        with pytest.raises(DatasetError, match=r"expected at most 0\.004 megapixels"):
            Shards(packed).read("train")
    finally:
        allow_megapixels(100)


# ------------------------------------------------------------------------- names


@pytest.mark.parametrize(
    "name",
    ["../secret.tfrecord", "/etc/passwd", "a/../../secret-00000-of-00001.tfrecord", "secret",
     "..\\secret-00000-of-00001.tfrecord", "train-00000-of-00003.tfrecord\0", "~/x", ""],
)  # fmt: skip
def test_no_name_of_a_shard_leaves_the_folder(packed, name):
    secret = packed.parent / "secret.tfrecord"
    shard = packed / "train-00000-of-00003.tfrecord"
    secret.write_bytes(shard.read_bytes())
    rewrite(packed, lambda index: index["splits"]["train"]["shards"][0].update(file=name))
    with listening() as heard, pytest.raises(DatasetError, match="makes no sense"):
        Shards(packed)
    assert {path.parent for path in opened(heard)} == {packed}


def test_a_link_out_of_the_folder_is_refused(packed):
    shard = packed / "train-00000-of-00003.tfrecord"
    secret = packed.parent / "secret.tfrecord"
    shard.rename(secret)
    shard.symlink_to(secret)
    with pytest.raises(DatasetError, match="a link that leads out of"):
        Shards(packed)
    linked = packed.parent / "linked"
    shard.unlink()
    secret.rename(shard)
    linked.symlink_to(packed, target_is_directory=True)
    assert len(Shards(linked).read("train")) == 7  # the whole folder may be a link


def test_a_folder_of_pictures_is_no_data_set_in_shards(splits):
    assert not tfrecords.recognise(Source(splits["train"][0].path.parent))
