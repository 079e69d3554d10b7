"""Videos: what is written is what was read, at the same rate, whole or not at all."""

import logging
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

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


@pytest.mark.parametrize("rate, written", [(240.123456, 240.12), (999.9, 1000.0), (23.976, 23.976)])
def test_rates_that_mpeg4_cannot_hold_are_rounded(tmp_path, rate, written):
    video = Video(write(tmp_path / "a.mp4", frames(2), rate))
    assert (video.rate, video.count) == (pytest.approx(written), 2)


NAMES = ["14:30.mp4", "concat:a.mp4", b"v\377.mp4".decode("utf-8", "surrogateescape")]


@pytest.mark.skipif(os.name == "nt", reason="Windows forbids them")
@pytest.mark.parametrize("folder", [".", b"d\xe9".decode("utf-8", "surrogateescape")], ids=ascii)
def test_names_that_opencv_takes_for_something_else_or_dies_of(tmp_path, folder):
    """In a process of its own: OpenCV ends it with signal 11."""
    code = (
        "import sys\nimport numpy as np\nfrom pathlib import Path\n"
        "from yolo.inference.video import Video, VideoWriter\n"
        "for path in map(Path, sys.argv[1:]):\n"
        "    with VideoWriter(path, 10) as writer:\n"
        "        [writer.write(np.zeros((48, 64, 3), np.uint8)) for _ in range(3)]\n"
        "    print(len(list(Video(path))))\n"
    )
    (tmp_path / folder).mkdir(exist_ok=True)
    paths = [os.path.join(folder, name) for name in NAMES]  # noqa: PTH118 (may be no text)
    done = subprocess.run(
        [sys.executable, "-c", code, *paths], cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT)}, capture_output=True, encoding="utf-8",
    )  # fmt: skip
    assert (done.returncode, done.stdout, done.stderr) == (0, "3\n3\n3\n", "")
    assert {path.name for path in (tmp_path / folder).iterdir()} == set(NAMES)


@pytest.mark.usefixtures("unmeasured")
@pytest.mark.skipif(os.name == "nt", reason="there are no limits on the size of files")
@pytest.mark.parametrize(
    "suffix, share", [(".mp4", 0.3), (".mp4", 0.999), (".avi", 0.3), (".mkv", 0.3)]
)
def test_a_full_disk_leaves_the_old_video(tmp_path, suffix, share):
    path = write(tmp_path / f"a{suffix}", frames(10))
    old = path.read_bytes()
    code = (
        "import resource, sys\nimport numpy as np\nfrom pathlib import Path\n"
        "from yolo.errors import YoloError\nfrom yolo.inference.video import VideoWriter\n"
        "noise = np.random.default_rng(0).integers(0, 255, (40, 96, 128, 3), np.uint8)\n"
        "def write(path):\n"
        "    with VideoWriter(Path(path), 10) as writer:\n"
        "        [writer.write(frame) for frame in noise]\n"
        "    return Path(path).stat().st_size\n"
        "size = write('whole' + sys.argv[2])\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (int(size * float(sys.argv[3])),) * 2)\n"
        "try:\n    write(sys.argv[1])\n"
        "except YoloError as error:\n    print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, path.name, suffix, str(share)], cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT)}, capture_output=True, encoding="utf-8",
    )  # fmt: skip
    assert done.stdout.startswith(f"a{suffix}: cannot be written"), done
    assert done.stdout.count("\n") == 1 and done.stderr == ""
    assert path.read_bytes() == old
    assert {file.name for file in tmp_path.iterdir()} == {path.name, f"whole{suffix}"}


def test_a_disk_that_is_nearly_full_ends_the_video_while_its_index_still_fits(
    tmp_path, monkeypatch
):
    room = iter([1 << 40, 3 << 20])
    monkeypatch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(free=next(room)))
    with pytest.raises(YoloError, match=r"a.mp4: the disk is nearly full \(3 MB .* 512 frames"):
        write(tmp_path / "a.mp4", frames(1) * 1000)
    assert Video(tmp_path / "a.mp4").count == 512


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
