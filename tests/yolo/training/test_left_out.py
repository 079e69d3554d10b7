"""Pictures that cannot be decoded: found before the first step, or left out in turn."""

import dataclasses
import shutil
import struct
import zlib

import cv2
import numpy as np
import pytest
import tensorflow as tf

from tests.faults.full import small
from yolo.data import folder as dataset
from yolo.data.store import find_damaged
from yolo.errors import DatasetError
from yolo.models.yolov4 import network
from yolo.settings.train import TrainConfig
from yolo.training import data_check, phases


@pytest.fixture(scope="module", autouse=True)
def _small_network():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(network, "build_network", small.build_network)
        yield


@pytest.fixture
def copy(shapes, tmp_path):
    """A data set of one's own, to damage."""
    return shutil.copytree(shapes, tmp_path / "VOC2007")


def chunk(name, data):
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def cut(path, *, jpeg=False):
    """Put a picture there that is damaged behind its header."""
    if jpeg:  # whole, as far as its headers go, so that TensorFlow is to decode it
        data = cv2.imencode(".jpg", np.zeros((240, 320, 3), np.uint8))[1].tobytes()
        tables = data.index(b"\xff\xdb")  # without which nobody can
        path.write_bytes(data[:tables] + data[data.index(b"\xff\xc0") :])
        return
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", 320, 240, 8, 2, 0, 0, 0))
    pixels = chunk(b"IDAT", b"nothing that zlib has packed" * 100) + chunk(b"IEND", b"")
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + head + pixels)


def opened(root):
    return dataset.open_data(TrainConfig(data=str(root)))


def first_look(data, **options):
    lines = []

    def write(text, end="\n"):
        lines.append(text)

    data_check.decode_first(data, "toys", write=write, live=True, **options)
    return lines


@pytest.mark.parametrize("split", ["train", "val", "test"])
@pytest.mark.parametrize("jpeg", [False, True])
def test_a_damaged_picture_is_found_before_the_first_step(copy, split, jpeg):
    data = opened(copy)
    path = getattr(data, split)[-1].path
    cut(path, jpeg=jpeg)
    data = opened(copy)
    with pytest.raises(DatasetError, match=f"toys: 1 fault: .*{path.name}: "):
        first_look(data)


def test_whole_pictures_are_no_news(copy):
    assert not any("decoded" in line for line in first_look(opened(copy)))


def test_of_train_the_first_are_looked_at(copy, monkeypatch):
    data = opened(copy)
    cut(data.train[5].path)
    monkeypatch.setattr(data_check, "FIRST_PICTURES", 5)
    first_look(opened(copy))
    monkeypatch.setattr(data_check, "FIRST_PICTURES", 6)
    with pytest.raises(DatasetError, match="1 fault"):
        first_look(opened(copy))


def test_the_look_ends_in_time(copy):
    (line,) = first_look(opened(copy), seconds=0)
    assert line.startswith("decoded 0 of ") and line.endswith(" in 0 s: all right")
    assert find_damaged(opened(copy).train, seconds=0) == ({}, 0)


def test_a_picture_that_is_damaged_later_is_left_out_in_one_line(
    copy, small_run, tmp_path, caplog, monkeypatch
):
    """Takes seconds for a run of one epoch of two steps, the second of which meets it."""
    data = opened(copy)
    cut(data.train[3].path, jpeg=True)
    # Without mosaic each picture has its turn once an epoch.
    folder, lines = small_run(tmp_path, data=str(copy), epochs=1, mosaic=0.0, mixup=0.0)
    assert any(line.startswith("epoch 1/1") for line in lines)
    told = [r.message for r in caplog.records if "left out from here on" in r.message]
    assert len(told) == 1 and data.train[3].path.name in told[0]
    assert f"(1 of {len(data.train)} training pictures cannot be decoded)" in told[0]
    assert (folder / "best.keras").exists()


def test_others_keep_their_places_and_too_many_stop_the_run(copy, tmp_path):
    data = opened(copy)
    cut(data.train[2].path)
    data = opened(copy)
    config = TrainConfig(data=str(copy), batch_size=len(data.train), drop_remainder=False)
    run = phases.Run(config, data, tmp_path, _State(), None, None, False, None)
    phase = phases.Phase(0, 1, len(data.train), False)
    assert run._leave_out_damaged(phase, _error())
    assert len(run.data.train) == len(data.train)
    assert [a is b for a, b in zip(run.data.train, data.train, strict=True)].count(False) == 1
    assert run.data.train[2].path != data.train[2].path
    assert not run._leave_out_damaged(phase, _error())  # nothing more is damaged
    cut(data.train[5].path, jpeg=True)
    with pytest.raises(DatasetError, match="2 of 8 training pictures cannot be decoded, which is"):
        run._leave_out_damaged(phase, _error())


@dataclasses.dataclass
class _State:
    epoch: int = 0
    batch: int = 0


def _error():
    return tf.errors.InvalidArgumentError(None, None, "decode")
