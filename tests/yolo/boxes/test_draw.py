"""Drawing: what is inside a picture changes and what is outside it cannot, on any OpenCV."""

import logging
from pathlib import Path

import cv2
import numpy as np
import pytest

from yolo.boxes.detections import Detections
from yolo.boxes.draw import _ink, class_color, draw_detections
from yolo.data.sample import Sample, draw_ground_truth
from yolo.errors import YoloError
from yolo.pictures import text
from yolo.pictures.files import read_image, write_image
from yolo.pictures.sheet import grid

NAMES = ("cat", "猫和狗", "a rather long name for a class")


@pytest.fixture(params=["truetype", "pillow", "strokes"])
def backend(request, monkeypatch):
    """Draw text as each kind of machine would."""
    text._font_file.cache_clear()
    text._pillow_font.cache_clear()
    if request.param == "truetype":
        if not hasattr(cv2, "FontFace"):
            pytest.skip("this OpenCV has no TrueType text")
    else:
        monkeypatch.delattr(cv2, "FontFace", raising=False)
        fonts = ("DejaVuSans.ttf",) if request.param == "pillow" else ()
        monkeypatch.setattr(text, "_SYSTEM_FONTS", fonts)
        if request.param == "pillow" and text._font_file() is None:
            pytest.skip("no Pillow, or no font that it finds")
    yield request.param
    text._font_file.cache_clear()
    text._pillow_font.cache_clear()


def grey(height, width):
    return np.full((height, width, 3), 128, np.uint8)


def changed(image):
    return np.argwhere((image != 128).any(axis=-1))


def test_nothing_found_changes_nothing():
    image = grey(50, 60)
    drawn = draw_detections(image, Detections.empty(NAMES))
    np.testing.assert_array_equal(drawn, image)
    assert drawn is not image


def test_the_original_is_left_alone():
    image = grey(100, 100)
    image.setflags(write=False)
    drawn = draw_detections(image, Detections([[10, 30, 60, 80]], [0.5], [0], NAMES))
    assert (image == 128).all() and len(changed(drawn)) > 100


def test_the_box_is_drawn_where_it_is():
    # Without a name the label is empty, and only the lines remain.
    drawn = draw_detections(
        grey(100, 120), Detections([[20, 30, 70, 90]], [0.5], [0], ("",)), show_scores=False
    )
    where = changed(drawn)
    assert where.min(axis=0).tolist() == [30, 20]
    assert where.max(axis=0).tolist() == [89, 69]  # half-open: 90 and 70 are outside
    assert tuple(drawn[50, 20]) == class_color(0)
    assert (drawn[40:80, 30:60] == 128).all()


@pytest.mark.parametrize("size", [(1, 1), (5, 200), (200, 5), (20, 30), (200, 300), (1500, 900)])
def test_any_size_of_picture(backend, size):
    height, width = size
    boxes = np.array([[0, 0, 0.5, 0.5], [0.5, 0.5, 1, 1], [0.9, 0, 1, 0.1], [0, 0.9, 1, 1]])
    boxes *= [width, height, width, height]
    drawn = draw_detections(
        grey(*size), Detections(boxes, [0.9, 0.8, 0.7, 0.6], [0, 1, 2, 1], NAMES)
    )
    assert drawn.shape == (height, width, 3) and drawn.dtype == np.uint8
    assert len(changed(drawn)) > 0


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("corner", ["top left", "top right", "bottom left", "bottom right"])
def test_labels_stay_whole_at_every_edge(backend, name, corner):
    """A label at an edge has as many coloured pixels as one in the middle."""

    def label_area(box):
        drawn = draw_detections(grey(300, 400), Detections([box], [0.5], [0], (name,)))
        box = np.clip(np.round(box), 0, [400, 300, 400, 300]).astype(int)
        color = np.array(class_color(0))
        return ((drawn == color).all(axis=-1)).sum()

    middle = label_area([100, 100, 104, 104])
    x = 0 if "left" in corner else 396
    y = 0 if "top" in corner else 296
    # The tiny box may lie under its label: allow for its own pixels, not for a cut letter.
    assert label_area([x, y, x + 4, y + 4]) >= 0.97 * middle - 16
    assert middle > 200


def test_boxes_beyond_the_picture_are_cut(backend):
    drawn = draw_detections(
        grey(100, 100),
        Detections([[-50, -50, 150, 150], [60, 90, 400, 130]], [0.5, 0.4], [0, 2], NAMES),
    )
    assert drawn.shape == (100, 100, 3) and len(changed(drawn)) > 0


def test_chinese_differs_from_question_marks():
    if not hasattr(cv2, "FontFace"):
        pytest.skip("this OpenCV has no TrueType text")
    boxes = [[20, 60, 90, 90]]
    chinese = draw_detections(grey(100, 200), Detections(boxes, [0.5], [0], ("猫",)))
    other = draw_detections(grey(100, 200), Detections(boxes, [0.5], [0], ("狗",)))
    question = draw_detections(grey(100, 200), Detections(boxes, [0.5], [0], ("?",)))
    assert (chinese != other).any() and (chinese != question).any()


def test_without_a_font_one_warning_and_question_marks(monkeypatch, caplog):
    monkeypatch.delattr(cv2, "FontFace", raising=False)
    monkeypatch.setattr(text, "_SYSTEM_FONTS", ())
    text._font_file.cache_clear()
    found = Detections([[20, 60, 90, 90]], [0.5], [0], ("猫",))
    question = Detections([[20, 60, 90, 90]], [0.5], [0], ("?",))
    with caplog.at_level(logging.WARNING, "yolo"):
        drawn = [draw_detections(grey(100, 200), found) for _ in range(3)]
    text._font_file.cache_clear()
    np.testing.assert_array_equal(drawn[2], draw_detections(grey(100, 200), question))
    assert len([r for r in caplog.records if "'?'" in r.message]) == 1


def test_line_breaks_in_names_are_harmless(backend):
    found = Detections([[20, 60, 90, 90]], [0.5], [0], ("a\nb\x00c",))
    assert len(changed(draw_detections(grey(100, 200), found))) > 0


def test_the_best_is_on_top():
    boxes = [[20, 20, 80, 80], [20, 20, 80, 80]]
    for scores in ([0.9, 0.1], [0.1, 0.9]):
        drawn = draw_detections(grey(100, 100), Detections(boxes, scores, [0, 1], ("", "")))
        assert tuple(drawn[50, 20]) == class_color(int(np.argmax(scores)))


def test_ground_truth():
    marked = Sample(
        path=Path("x.jpg"),
        boxes_xyxy=np.float32([[20, 40, 80, 80]]),
        class_ids=np.int32([1]),
        difficult=np.array([True]),
        truncated=np.array([False]),
        size=(100, 100),
        image_id="x",
    )
    drawn = draw_ground_truth(grey(100, 100), marked, ("a", "b"))
    same = draw_detections(
        grey(100, 100),
        Detections([[20, 40, 80, 80]], [1.0], [1], ("a", "b?")),
        show_scores=False,
    )
    np.testing.assert_array_equal(drawn, same)


def test_colors_are_stable_and_differ():
    colors = [class_color(i) for i in range(80)]
    assert colors == [class_color(i) for i in range(80)]
    assert len(set(colors)) == 80
    neighbours = np.abs(np.diff(np.array(colors), axis=0)).sum(axis=1)
    assert neighbours.min() > 100


def test_ink_stands_out():
    def luminance(color):
        return (np.asarray(color) / 255.0) ** 2.2 @ np.array([0.2126, 0.7152, 0.0722])

    for i in range(80):
        dark, light = sorted([luminance(class_color(i)), luminance(_ink(class_color(i)))])
        assert (light + 0.05) / (dark + 0.05) >= 4.5


def test_grid():
    red, blue = grey(10, 20), grey(40, 20)
    red[:], blue[:] = (255, 0, 0), (0, 0, 255)
    sheet = grid([red, blue, red], 2, cell=40)
    assert sheet.shape == (40 + 6 + 20 + 6, 40 + 6 + 40, 3)
    assert tuple(sheet[20, 20]) == (255, 0, 0) and tuple(sheet[5, 20]) == (128, 128, 128)
    assert tuple(sheet[5, 66]) == (0, 0, 255) and tuple(sheet[20, 51]) == (128, 128, 128)
    assert tuple(sheet[56, 20]) == (255, 0, 0) and (sheet[40:46] == 255).all()
    assert (sheet[46:, 46:] == 255).all() and (sheet[:, 40:46] == 255).all()


def test_grid_of_nothing():
    assert grid([], 3, cell=10).shape == (10 + 6, 30 + 2 * 6, 3)


def test_write_image_round_trip(tmp_path):
    image = np.random.default_rng(0).integers(0, 256, (20, 30, 3), np.uint8)
    path = tmp_path / "结果 1" / "图[1]*.PNG"
    write_image(path, image)
    np.testing.assert_array_equal(read_image(path), image)
    assert [p.name for p in path.parent.iterdir()] == [path.name]


@pytest.mark.parametrize("suffix", [".jpg", ".jpeg", ".webp", ".bmp"])
def test_write_image_formats(tmp_path, suffix):
    image = grey(20, 30)
    image[:, :15] = (250, 20, 20)
    write_image(tmp_path / f"a{suffix}", image)
    back = read_image(tmp_path / f"a{suffix}")
    assert back[10, 4, 0] > 200 and back[10, 4, 2] < 80  # red stays red


def test_write_image_refuses_what_it_cannot_write(tmp_path):
    with pytest.raises(YoloError, match=r"\.xyz"):
        write_image(tmp_path / "a.xyz", grey(5, 5))
    assert list(tmp_path.iterdir()) == []
