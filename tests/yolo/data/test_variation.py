"""Augmented batches: boxes stay on their objects, and variation covers its whole range."""

from dataclasses import replace

import cv2
import numpy as np
import pytest

from tests.yolo.data.batches import SIZE, STRONG, make, take, training
from yolo.data.pipeline import NOT_AUGMENTED, evaluation_dataset
from yolo.pictures.files import read_image
from yolo.pictures.fit import fit_image

EVERYTHING = {
    "scale": (0.4, 2.5), "translate": 0.4, "aspect": 0.5, "flip": 0.5, "vertical_flip": 0.5,
}  # fmt: skip


class TestVariation:
    def extents(self, image, floor=165):
        bright = image.min(axis=2) > floor
        ys, xs = np.flatnonzero(bright.any(1)), np.flatnonzero(bright.any(0))
        return [xs[0], ys[0], xs[-1] + 1, ys[-1] + 1]

    @pytest.mark.parametrize(
        "resize, change",
        [
            ("letterbox", {}),
            ("letterbox", {"flip": 1.0}),
            ("letterbox", {"vertical_flip": 1.0}),
            ("letterbox", {"scale": (0.4, 2.5)}),
            ("letterbox", {"translate": 0.4}),
            ("letterbox", {"aspect": 0.8}),
            *((resize, EVERYTHING) for resize in ("letterbox", "stretch", "shorter")),
        ],
    )
    def test_boxes_follow_the_pixels(self, samples, resize, change):
        config = replace(NOT_AUGMENTED, min_box_pixels=2.0, **change)
        seen = 0
        for images, boxes, classes in take(training(samples, config, resize=resize), 12):
            for image, box, class_id in zip(images, boxes[:, 0], classes[:, 0], strict=True):
                if class_id >= 0:
                    np.testing.assert_allclose(self.extents(image), box, atol=1.5)
                    seen += 1
                else:
                    assert (image.min(axis=2) > 165).sum() < 2 * sum(SIZE) * 3
        assert seen > 30

    def test_boxes_follow_the_pixels_in_a_mosaic(self, tmp_path):
        samples = [
            make(tmp_path, f"{n}", size=(100 + 30 * n, 260 - 40 * n), boxes=[(20, 25, 70, 85)])
            for n in range(5)
        ]
        config = replace(
            STRONG,
            mosaic=1.0,
            mixup=0.0,
            hue=0,
            saturation=0,
            value=0,
            special_aug_ratio=1.0,
            min_box_visible=0.0,
            min_box_pixels=0.5,
        )
        several = 0
        for images, boxes, classes in take(training(samples, config), 12):
            for image, rows, ids in zip(images, boxes, classes, strict=True):
                bright = image.min(axis=2) > 165
                marked = np.zeros_like(bright)
                for x1, y1, x2, y2 in np.round(rows[ids >= 0]).astype(int):
                    marked[y1:y2, x1:x2] = True
                    inner = bright[y1 + 2 : y2 - 2, x1 + 2 : x2 - 2]
                    assert inner.all()  # nothing else lies in the box
                grown = cv2.dilate(marked.astype(np.uint8), np.ones((5, 5))) > 0
                assert not (bright & ~grown).any()  # no bright pixel outside the boxes
                several += (ids >= 0).sum() > 2
        assert several > 20

    def test_mixup_keeps_both_pictures_and_all_boxes(self, tmp_path):
        samples = [
            make(tmp_path, "a", boxes=[(10, 10, 60, 60), (90, 60, 150, 110)]),
            make(tmp_path, "b", boxes=[(80, 5, 140, 50)], classes=[1]),
        ]
        config = replace(NOT_AUGMENTED, mixup=1.0, special_aug_ratio=1.0)
        sources = {
            i.tobytes(): i
            for i in take(evaluation_dataset(samples, image_size=SIZE, batch_size=2), 1)[0][0]
        }
        means = {
            ((a.astype(int) + b) // 2).astype(np.uint8).tobytes()
            for a in sources.values()
            for b in sources.values()
        }
        counts = set()
        for images, _, classes in take(training(samples, config), 6):
            assert classes.shape == (4, 4)
            for image, ids in zip(images, classes, strict=True):
                assert image.tobytes() in means
                counts.add(tuple(np.bincount(ids[ids >= 0], minlength=2)))
        assert counts == {(4, 0), (2, 1), (0, 2)}

    def test_no_object_is_cut_off_silently(self, tmp_path):
        grid = [(x, y, x + 8, y + 8) for x in range(0, 150, 10) for y in range(0, 110, 10)]
        sample = make(tmp_path, "many", boxes=grid)
        for config, room in (
            (NOT_AUGMENTED, 1),
            (replace(NOT_AUGMENTED, mosaic=1.0), 4),
            (replace(NOT_AUGMENTED, mixup=1.0), 2),
            (replace(NOT_AUGMENTED, mosaic=1.0, mixup=1.0), 5),
        ):
            dataset = training([sample], config, batch_size=1)
            assert dataset.element_spec[1]["classes"].shape == (1, room * len(grid))
        ((_, _, classes),) = take(training([sample], NOT_AUGMENTED, batch_size=1), 1)
        assert (classes >= 0).sum() == len(grid)

    def test_negatives_are_kept(self, samples):
        negatives = [samples[4]]
        images, boxes, classes = take(training(negatives, NOT_AUGMENTED), 1)[0]
        assert images.shape == (4, *SIZE, 3) and classes.tolist() == [[-1]] * 4
        batches = take(training(samples, NOT_AUGMENTED), 12)
        shown = sum(int((classes < 0).all(axis=1).sum()) for _, _, classes in batches)
        assert shown >= 3

    def test_what_comes_out_is_valid_under_every_variation(self, samples):
        for images, boxes, classes in take(training(samples), 10):
            assert images.shape == (4, *SIZE, 3) and images.dtype == np.uint8
            kept = boxes[classes >= 0]
            assert (kept[:, :2] >= 0).all() and (kept[:, 2:] <= [SIZE[1], SIZE[0]]).all()
            assert (kept[:, 2:] - kept[:, :2] >= STRONG.min_box_pixels).all()
            assert (boxes[classes < 0] == 0).all() and set(classes.ravel()) <= {-1, 0}

    def test_colour_changes_pictures_and_not_their_frame(self, tmp_path):
        sample = make(tmp_path, "a", size=(100, 100))
        sample.path.write_bytes(
            cv2.imencode(".jpg", np.full((100, 100, 3), (40, 90, 160), np.uint8))[1].tobytes()
        )
        config = replace(NOT_AUGMENTED, hue=0.1, saturation=0.5, value=0.4)
        colours = []
        for images, _, _ in take(training([sample], config), 6):
            assert (images[:, :, [0, -1]] == 128).all()
            colours += [tuple(image[48, 64]) for image in images]
        assert len(set(colours)) > 15
        means = np.array(colours, float).mean(axis=1)
        assert means.min() < 90 and means.max() > 105

    def test_scale_and_position_vary_over_their_whole_range(self, tmp_path):
        sample = make(tmp_path, "a", size=(96, 128), boxes=[(60, 44, 68, 52)])
        config = replace(NOT_AUGMENTED, scale=(0.5, 2.0), translate=0.25)
        boxes = np.concatenate([b[:, 0] for _, b, _ in take(training([sample], config), 60)])
        width = (boxes[:, 2] - boxes[:, 0]) / 8
        assert 0.5 <= width.min() < 0.6 and 1.7 < width.max() <= 2.1
        assert 0.35 < (width < 1).mean() < 0.65
        shift = (boxes[:, 0] + boxes[:, 2]) / 2 / 128 - 0.5
        assert -0.27 < shift.min() < -0.2 and 0.2 < shift.max() < 0.27


class TestMultiScale:
    def test_a_new_size_every_ten_batches(self, samples):
        batches = take(training(samples[:4], NOT_AUGMENTED, batch_size=1, multi_scale=True), 60)
        sizes = [images.shape[1:3] for images, _, _ in batches]
        assert all(len(set(sizes[n : n + 10])) == 1 for n in range(0, 60, 10))
        assert len(set(sizes)) > 1
        for height, width in set(sizes):
            assert height % 32 == width % 32 == 0 and 0.7 <= height / 96 <= 1.4

    def test_boxes_follow_the_size(self, samples):
        sample = samples[0]
        for images, boxes, _ in take(
            training([sample], NOT_AUGMENTED, batch_size=1, multi_scale=True), 30
        )[::10]:
            _, fit = fit_image(read_image(sample.path), images.shape[1:3])
            np.testing.assert_allclose(boxes[0], fit.to_network(sample.boxes_xyxy), atol=1e-4)

    def test_only_then_are_the_shapes_dynamic(self, samples):
        spec = training(samples, batch_size=3).element_spec
        assert spec[0].shape == (3, *SIZE, 3)
        assert spec[1]["boxes"].shape == (3, 5, 4)
        spec = training(samples, batch_size=3, multi_scale=True).element_spec
        assert spec[0].shape.as_list() == [3, None, None, 3]
