"""Videos: what is written is what was read, at the same rate, whole or not at all."""

import logging
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from yolo.errors import ConfigError, DatasetError, YoloError
from yolo.inference.predictor import predict_frames
from yolo.inference.video import Video, VideoWriter

ROOT = Path(__file__).resolve().parents[3]


def frames(count, size=(48, 64)):
    return [np.full((*size, 3), (20 * i, 40, 200 - 15 * i), np.uint8) for i in range(count)]


def write(path, pictures, rate=12.5):
    with VideoWriter(path, rate) as writer:
        for picture in pictures:
            writer.write(picture)
    return path


@pytest.mark.parametrize("suffix", [".mp4", ".avi", ".MOV", ".mkv"])
def test_a_round_trip_keeps_rate_count_size_and_colours(tmp_path, suffix):
    before = frames(10)
    video = Video(write(tmp_path / f"影 1{suffix}", before))
    assert (video.rate, video.size, video.camera) == (12.5, (48, 64), False)
    if suffix != ".mkv":  # Matroska holds no count, only a duration
        assert video.count == 10
    after = list(video)
    video.close()
    assert len(after) == 10
    for one, other in zip(before, after, strict=True):
        assert one.shape == other.shape
        assert abs(one.astype(float).mean((0, 1)) - other.mean((0, 1))).max() < 8
    assert [path.name for path in tmp_path.iterdir()] == [f"影 1{suffix}"], "and no remains"


def test_odd_sides_lose_a_row_and_a_column_and_other_sizes_are_resized(tmp_path):
    pictures = [*frames(2, (49, 65)), *frames(1, (100, 20))]
    video = Video(write(tmp_path / "a.mp4", pictures))
    assert video.size == (48, 64) and [frame.shape for frame in video] == [(48, 64, 3)] * 3
    assert Video(write(tmp_path / "b.avi", frames(2, (1, 33)))).size == (2, 32)


def test_no_frame_no_file(tmp_path):
    write(tmp_path / "a.mp4", [])
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError])
def test_what_ends_it_early_leaves_the_frames_so_far(tmp_path, error):
    with pytest.raises(error), VideoWriter(tmp_path / "a.mp4", 10) as writer:
        for picture in frames(4):
            writer.write(picture)
        raise error
    assert [path.name for path in tmp_path.iterdir()] == ["a.mp4"]
    assert len(list(Video(tmp_path / "a.mp4"))) == 4


def test_suffixes_without_a_codec_are_refused(tmp_path):
    with pytest.raises(ConfigError, match=r"as '.ogv'. Expected one of .mp4, "):
        VideoWriter(tmp_path / "a.ogv", 10)


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="nobody is refused here")
def test_a_folder_that_cannot_be_written(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(YoloError, match=r"a\.mp4: "):
        write(tmp_path / "a.mp4", frames(1))
    tmp_path.chmod(0o700)


def test_a_file_in_the_place_of_the_folder(tmp_path):
    (tmp_path / "out").write_text("in the way", encoding="utf-8")
    with pytest.raises(YoloError, match=r"a\.mp4: cannot be written"):
        write(tmp_path / "out" / "a.mp4", frames(1))


@pytest.mark.parametrize(
    "source, words",
    [
        ("missing.mp4", "missing.mp4: cannot be opened"),
        ("text.mp4", r"text.mp4: no video that OpenCV can read .*: convert it"),
        (99, "camera 99: no such camera"),
    ],
)
def test_sources_that_are_none_are_one_line(tmp_path, source, words):
    (tmp_path / "text.mp4").write_text("no video", encoding="utf-8")
    with pytest.raises(DatasetError, match=words) as caught:
        Video(source if isinstance(source, int) else tmp_path / source)
    assert "\n" not in str(caught.value)
    # A process of its own: FFmpeg asks only once how much it shall say.
    code = (
        "import sys\nfrom yolo.errors import DatasetError\nfrom yolo.inference.video import Video\n"
        "try:\n    Video(sys.argv[1] if '.' in sys.argv[1] else int(sys.argv[1]))\n"
        "except DatasetError:\n    print('refused')\n"
    )
    name = str(source if isinstance(source, int) else tmp_path / source)
    done = subprocess.run(
        [sys.executable, "-c", code, name], cwd=ROOT, capture_output=True, encoding="utf-8"
    )
    assert (done.stdout, done.stderr) == ("refused\n", ""), "OpenCV and FFmpeg add nothing"


def test_a_video_cut_short_says_so(tmp_path, caplog):
    noise = np.random.default_rng(0).integers(0, 255, (20, 96, 128, 3), np.uint8)
    path = write(tmp_path / "a.avi", noise)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with caplog.at_level(logging.WARNING, "yolo"):
        read = len(list(Video(path)))
    assert 5 < read < 15
    assert f"a.avi: ends after {read} of 20 frames" in caplog.text


def test_frames_are_looked_at_in_order(tmp_path, spot_finder, spots):
    boxes = [(10 + 12 * i, 20, 26 + 12 * i, 40) for i in range(7)]
    path = write(tmp_path / "a.avi", [spots((96, 128), [box]) for box in boxes])
    model, video = spot_finder(), Video(path)
    results = list(predict_frames(model, video, batch_size=3))
    for (_, found), box in zip(results, boxes, strict=True):
        np.testing.assert_allclose(found.boxes_xyxy, [box], atol=2)
    assert model.batches == [3, 3, 3]


def test_a_camera_waits_for_no_later_frame(spot_finder, spots):
    taken = []

    def camera():
        for i in range(100):
            taken.append(i)
            yield spots((96, 128), [])

    results = predict_frames(spot_finder(), camera(), batch_size=1, ahead=1)
    for i in range(3):
        next(results)
        assert taken[-1] == i
    results.close()
