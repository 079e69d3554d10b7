"""Prediction over files, with a stand-in for the network that finds red rectangles."""

import logging
import threading

import numpy as np
import pytest

from yolo.data.sample import Sample
from yolo.errors import ConfigError, DatasetError
from yolo.evaluation.voc import evaluate_voc
from yolo.inference.predictor import detect_samples, predict, predict_frames
from yolo.models import postprocess
from yolo.models.thresholds import Thresholds
from yolo.pictures.files import write_image

RED = (255, 0, 0)


class RedFinder:
    """Reports the bounding box of the red pixels as each of its classes, and what it was asked."""

    classes = ("cat", "dog", "cow")
    thresholds = Thresholds(score_threshold=0.25, iou_threshold=0.45)

    def __init__(self, resize="letterbox", image_size=(96, 128), margin=0.0):
        self.resize, self.image_size, self.margin = resize, image_size, margin
        self.calls = []  # shapes of batches

    def predict_raw(self, images):
        self.calls.append(images.shape)
        assert images.dtype == np.uint8
        boxes, scores = zip(*map(self._find, images), strict=True)
        return {"boxes": np.float32(boxes), "scores": np.float32(scores)}

    def _find(self, image):
        """Return boxes (1, 4) and scores (1, 3)."""
        image = image.astype(int)
        ys, xs = np.nonzero((image[..., 0] > 180) & (image[..., 1:].max(axis=-1) < 90))
        if not len(ys):
            return [[0, 0, 1, 1]], [[0, 0, 0]]
        box = np.array([xs.min(), ys.min(), xs.max() + 1, ys.max() + 1], np.float32)
        return [box + np.float32([-1, -1, 1, 1]) * self.margin], [[0.9, 0.6, 0.3]]


def picture(height, width, box):
    image = np.full((height, width, 3), 60, np.uint8)
    image[box[1] : box[3], box[0] : box[2]] = RED
    return image


@pytest.fixture
def folder(tmp_path):
    """Seven pictures of different shapes; 2 is text and 4 is missing."""
    boxes = {}
    for i in range(7):
        height, width = 120 + 40 * i, 330 - 30 * i
        box = (20 + i, 30, 80 + 3 * i, 90)
        path = tmp_path / f"图 {i}.png"
        if i == 2:
            path.write_text("no picture")
        elif i != 4:
            write_image(path, picture(height, width, box))
        boxes[path] = (box, (height, width, 3))
    return boxes


def test_no_pictures():
    model = RedFinder()
    assert list(predict(model, [])) == [] and model.calls == []


@pytest.mark.parametrize("resize", ["letterbox", "stretch"])
@pytest.mark.parametrize("batch_size", [1, 2, 5, 8])
def test_boxes_are_in_pixels_of_the_picture(folder, resize, batch_size):
    model, errors = RedFinder(resize), []
    results = list(
        predict(
            model,
            folder,
            batch_size=batch_size,
            on_error=lambda path, error: errors.append((path, error)),
        )
    )
    readable = [path for i, path in enumerate(folder) if i not in (2, 4)]
    assert [path for path, _, _ in results] == readable
    assert [path for path, _ in errors] == [list(folder)[i] for i in (2, 4)]
    assert all(isinstance(error, DatasetError) for _, error in errors)
    for path, image, found in results:
        box, shape = folder[path]
        assert image.shape == shape and tuple(image[box[1], box[0]]) == RED
        pixel = max(shape[0] / 96, shape[1] / 128)
        assert found.labels == ["cat", "dog", "cow"]
        np.testing.assert_allclose(found.boxes_xyxy[0], box, atol=1.5 * pixel)


def test_the_model_sees_one_batch_size_only(folder):
    model = RedFinder()
    results = list(predict(model, folder, batch_size=2, on_error=lambda *_: None))
    assert len(results) == 5
    # Those that cannot be read keep their places, so that no other moves.
    assert model.calls == [(2, 96, 128, 3)] * 4


def test_fewer_pictures_than_a_batch_make_a_small_batch(folder):
    model = RedFinder()
    list(predict(model, list(folder)[:2], batch_size=8))
    assert model.calls == [(2, 96, 128, 3)]


@pytest.fixture
def suppressed(monkeypatch):
    """Return the list of what suppression is asked, picture by picture."""
    asked, plain = [], postprocess.class_wise_nms

    def noting(boxes, scores, **thresholds):
        asked.append(tuple(thresholds.values()))
        return plain(boxes, scores, **thresholds)

    monkeypatch.setattr(postprocess, "class_wise_nms", noting)
    return asked


def test_settings_reach_suppression_and_the_others_are_the_models_own(folder, suppressed):
    settings = {"score_threshold": 0.5, "iou_threshold": 0.3, "max_detections": 1}
    (result,) = predict(RedFinder(), list(folder)[:1], **settings)
    assert suppressed == [(0.5, 0.3, 1, False)] and result[2].labels == ["cat"]
    list(predict(RedFinder(), list(folder)[:1]))
    assert suppressed[1:] == [RedFinder.thresholds]
    list(predict(RedFinder(), list(folder)[:1], tile=(600, 600)))
    assert suppressed[2:] == [(0.25, 0.45, 1000, False)], "a picture of tiles has room for more"


def test_a_class_filter_does_not_spend_the_limit(folder):
    (result,) = predict(RedFinder(), list(folder)[:1], classes=["cow", "dog"], max_detections=1)
    assert result[2].labels == ["dog"] and result[2].class_names == RedFinder.classes


def test_an_unknown_class_is_refused(folder):
    with pytest.raises(ConfigError, match="'zebra'.*cat, dog, cow"):
        next(predict(RedFinder(), folder, classes=["cat", "zebra"]))
    with pytest.raises(ConfigError, match="batch_size"):
        next(predict(RedFinder(), folder, batch_size=0))


def test_boxes_are_clipped_to_the_picture(tmp_path):
    write_image(tmp_path / "a.png", picture(100, 200, (0, 0, 200, 100)))
    (result,) = predict(RedFinder(margin=30.0), [tmp_path / "a.png"])
    np.testing.assert_array_equal(result[2].boxes_xyxy, [[0, 0, 200, 100]] * 3)


def test_boxes_outside_the_picture_are_dropped(tmp_path):
    class OnTheBars(RedFinder):
        def _find(self, image):
            # 100 x 200 in 96 x 128 leaves bars of 16 pixels above and below.
            return [[0, 0, 50, 10], [0, 50, 20, 60]], [[0.9, 0, 0], [0, 0.8, 0]]

    write_image(tmp_path / "a.png", picture(100, 200, (0, 0, 50, 50)))
    (result,) = predict(OnTheBars(), [tmp_path / "a.png"])
    assert result[2].labels == ["dog"]


def test_unreadable_pictures_are_logged_by_default(folder, caplog):
    with caplog.at_level(logging.WARNING, "yolo"):
        results = list(predict(RedFinder(), folder))
    assert len(results) == 5
    assert "2.png" in caplog.messages[0] and "4.png" in caplog.messages[1]


def test_all_unreadable(folder):
    model, errors = RedFinder(), []
    paths = [list(folder)[i] for i in (2, 4)]
    assert list(predict(model, paths, on_error=lambda path, _: errors.append(path))) == []
    assert errors == paths and len(model.calls) == 1


def test_stopping_early_leaves_no_thread_behind(folder):
    results = predict(RedFinder(), [list(folder)[0]] * 50, batch_size=1)
    next(results)
    results.close()
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("read")]


def samples_of(folder, indices):
    return [
        Sample(
            path=path,
            boxes_xyxy=np.float32([box]),
            class_ids=np.int32([0]),
            difficult=np.array([False]),
            truncated=np.array([False]),
            size=shape[:2],
            image_id=path.stem,
        )
        for i, (path, (box, shape)) in enumerate(folder.items())
        if i in indices
    ]


def test_detect_samples_and_predict_agree(folder, suppressed):
    samples = samples_of(folder, (0, 1, 3, 5, 6))
    model, steps = RedFinder(), []
    found = detect_samples(
        model, samples, batch_size=2, on_progress=lambda *step: steps.append(step)
    )
    assert steps == [(i, 5) for i in range(1, 6)]
    assert suppressed == [(0.001, 0.45, 300, False)] * 5
    results = predict(RedFinder(), [sample.path for sample in samples], score_threshold=0.001)
    for one, (_, _, other) in zip(found, results, strict=True):
        np.testing.assert_array_equal(one.boxes_xyxy, other.boxes_xyxy)
    assert detect_samples(model, []) == []
    detect_samples(model, samples[:1], score_threshold=None, iou_threshold=0.6, max_detections=7)
    assert suppressed[-1] == (0.001, 0.6, 7, False), "None leaves evaluation's own"


def test_boxes_are_scored_as_they_are_given_out(tmp_path):
    write_image(tmp_path / "a.png", picture(100, 200, (0, 0, 150, 60)))
    (sample,) = samples_of({tmp_path / "a.png": ((0, 0, 150, 60), (100, 200, 3))}, [0])
    model = RedFinder(margin=30.0)
    (found,), ((_, _, given)) = detect_samples(model, [sample]), *predict(model, [sample.path])
    np.testing.assert_array_equal(found.boxes_xyxy, given.boxes_xyxy)
    assert found.boxes_xyxy.min() == 0
    (uncut,) = detect_samples(model, [sample], clip=False)
    assert uncut.boxes_xyxy.min() < 0


class Grid:
    """Finds a grid of 25 by 25 cats, whatever it is shown, and in each the shade of a dog."""

    classes, thresholds = ("cat", "dog"), Thresholds(score_threshold=0.25, iou_threshold=0.45)
    image_size, resize = (128, 128), "stretch"
    corners = np.stack(np.meshgrid(np.arange(25), np.arange(25)), -1).reshape(-1, 2) * 5.0
    boxes = np.concatenate([corners, corners + 4], axis=1).astype(np.float32)

    def predict_raw(self, images):
        scores = np.tile(np.float32([0.9, 0.8]), (len(images), len(self.boxes), 1))
        return {"boxes": np.stack([self.boxes] * len(images)), "scores": scores}


def test_an_ideal_detector_has_all_of_a_dense_picture(tmp_path):
    write_image(tmp_path / "a.png", np.zeros((128, 128, 3), np.uint8))
    cats = np.zeros(len(Grid.boxes), np.int32)
    none = cats.astype(bool)
    sample = Sample(tmp_path / "a.png", Grid.boxes, cats, none, none, (128, 128), "a")
    found = detect_samples(Grid(), [sample])
    assert evaluate_voc(found, [sample], Grid.classes).map_all_point == 1
    few = detect_samples(Grid(), [sample], max_detections=300)
    assert evaluate_voc(few, [sample], Grid.classes).map_all_point == pytest.approx(0.48)


def test_evaluation_does_not_skip_pictures(folder):
    with pytest.raises(DatasetError, match="2.png"):
        detect_samples(RedFinder(), samples_of(folder, range(7)))


def test_tiles_are_asked_for_like_any_setting(folder):
    model = RedFinder()
    (result,) = predict(model, list(folder)[:1], tile=(96, 128), batch_size=3, classes=["dog"])
    assert set(model.calls) == {(3, 96, 128, 3)} and len(model.calls) > 1
    assert set(result[2].labels) == {"dog"}
    box = list(folder.values())[0][0]
    np.testing.assert_allclose(result[2].boxes_xyxy[0], box, atol=2)


def test_pictures_in_memory_give_what_files_give(folder):
    readable = [path for i, path in enumerate(folder) if i not in (2, 4)]
    from_files = list(predict(RedFinder(), readable, batch_size=2))
    images = (image for _, image, _ in from_files)
    from_memory = list(predict_frames(RedFinder(), images, batch_size=2))
    assert len(from_files) == len(from_memory) == 5
    for (_, image, one), (frame, other) in zip(from_files, from_memory, strict=True):
        assert frame is image
        np.testing.assert_array_equal(one.boxes_xyxy, other.boxes_xyxy)


def test_a_setting_that_is_none():
    with pytest.raises(TypeError, match="scores"):
        next(predict(RedFinder(), ["a.jpg"], scores=0.5))


class SizeOfItsOwn(RedFinder):
    """Sees each picture at a size that follows from its shorter side, as RetinaNet does."""

    def __init__(self):
        super().__init__("shorter", image_size=(96, 160))

    def predict_raw(self, images):
        assert images.shape[0] == 1
        assert not any(side % 32 for side in images.shape[1:3])
        return super().predict_raw(images)


@pytest.mark.parametrize("tile", [None, (100, 120)])
def test_pictures_with_a_size_of_their_own_go_alone(folder, tile):
    model = SizeOfItsOwn()
    results = list(predict(model, folder, batch_size=3, tile=tile, on_error=lambda *_: None))
    assert len(results) == 5 and len(set(model.calls)) > 1
    for path, image, found in results:
        box, shape = folder[path]
        pixel = max(shape[0], shape[1]) / 96
        assert image.shape == shape
        np.testing.assert_allclose(found.boxes_xyxy[0], box, atol=1.5 * pixel)
