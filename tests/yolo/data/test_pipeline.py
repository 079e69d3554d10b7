"""Batches: those of prediction in evaluation, and repeatable ones in training."""

import itertools
from dataclasses import replace

import cv2
import numpy as np
import pytest
import tensorflow as tf

from tests.yolo.data.batches import SIZE, STRONG, make, take, training
from yolo.data.augmenter import Augmenter
from yolo.data.pipeline import (
    NOT_AUGMENTED,
    BatchPlan,
    evaluation_dataset,
    pictures_of_batch,
    steps_per_epoch,
)
from yolo.data.store import Store
from yolo.errors import ConfigError, DatasetError
from yolo.pictures.files import read_image
from yolo.pictures.fit import fit_image


def same(first, second):
    return all(
        np.array_equal(a, b)
        for x, y in zip(first, second, strict=True)
        for a, b in zip(x, y, strict=True)
    )


@pytest.fixture(scope="module")
def unbroken(samples):
    """Return the first batches of a training: to trace what draws them takes over a second."""
    return take(training(samples), 5)


def test_no_samples_is_an_error():
    with pytest.raises(DatasetError, match="split is empty"):
        evaluation_dataset([], image_size=SIZE, batch_size=2)


def test_settings_that_make_no_sense(samples):
    with pytest.raises(ConfigError, match="'crop'"):
        evaluation_dataset(samples, image_size=SIZE, batch_size=2, resize="crop")
    with pytest.raises(ConfigError, match="multiples of 32"):
        training(samples, image_size=(100, 96), multi_scale=True)
    with pytest.raises(ConfigError, match="batch size is 0"):
        training(samples, batch_size=0)


class TestEvaluation:
    @pytest.mark.parametrize("resize", ["letterbox", "stretch"])
    def test_pictures_and_boxes_are_those_of_prediction(self, samples, resize):
        dataset = evaluation_dataset(samples, image_size=SIZE, batch_size=4, resize=resize)
        batches = take(dataset, 99)
        assert [len(b[0]) for b in batches] == [4, 4, 3]
        images, boxes, classes = (np.concatenate(parts) for parts in zip(*batches, strict=True))
        assert images.dtype == np.uint8 and boxes.dtype == np.float32
        assert classes.dtype == np.int32
        for n, sample in enumerate(samples):
            picture, fit = fit_image(read_image(sample.path), SIZE, resize=resize)
            assert np.abs(picture.astype(int) - images[n]).max() <= 1
            count = len(sample.class_ids)
            np.testing.assert_array_equal(boxes[n, :count], fit.to_network(sample.boxes_xyxy))
            assert (classes[n, :count] == sample.class_ids).all()
            assert (classes[n, count:] == -1).all() and (boxes[n, count:] == 0).all()

    def test_pictures_of_their_own_size_are_those_of_prediction(self, samples):
        limits = (96, 150)
        dataset = evaluation_dataset(samples, image_size=limits, batch_size=4, resize="shorter")
        start, sizes = 0, set()
        for images, boxes, classes in take(dataset, 99):
            for image, rows, ids in zip(images, boxes, classes, strict=True):
                sample = samples[start]
                picture, fit = fit_image(read_image(sample.path), limits, resize="shorter")
                height, width = picture.shape[:2]
                assert height % 32 == width % 32 == 0
                assert np.abs(picture.astype(int) - image[:height, :width]).max() <= 1
                assert (image[height:] == 128).all() and (image[:, width:] == 128).all()
                count = len(sample.class_ids)
                np.testing.assert_array_equal(rows[:count], fit.to_network(sample.boxes_xyxy))
                assert (ids[:count] == sample.class_ids).all() and (ids[count:] == -1).all()
                start, sizes = start + 1, sizes | {(height, width)}
        assert start == len(samples) and len(sizes) > 1

    def test_static_shapes(self, samples):
        images, targets = evaluation_dataset(samples, image_size=SIZE, batch_size=4).element_spec
        assert images.shape == (None, *SIZE, 3) and images.dtype == tf.uint8
        assert targets["boxes"].shape == (None, 1, 4) and targets["classes"].shape == (None, 1)

    def test_tiny_objects_are_all_kept(self, tmp_path):
        sample = make(tmp_path, "a", size=(900, 900), boxes=[(5, 5, 8, 7), (0, 0, 900, 900)])
        dataset = evaluation_dataset([sample], image_size=SIZE, batch_size=1)
        ((_, boxes, classes),) = take(dataset, 9)
        assert classes.tolist() == [[0, 0]] and (boxes[0, 0, 2:] > boxes[0, 0, :2]).all()

    @pytest.mark.parametrize("suffix", [".png", ".bmp", ".webp"])
    def test_other_formats_and_turned_pictures(self, tmp_path, suffix):
        samples = [make(tmp_path, "a"), make(tmp_path, "b", suffix=suffix, boxes=[(9, 9, 50, 40)])]
        turned = make(tmp_path, "c", size=(120, 160))
        data = turned.path.read_bytes()
        exif = b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0"
        turned.path.write_bytes(data[:2] + b"\xff\xe1\0" + bytes([len(exif) + 2]) + exif + data[2:])
        samples.append(replace(turned, size=(160, 120)))
        ((images, _, _),) = take(evaluation_dataset(samples, image_size=SIZE, batch_size=3), 1)
        for image, sample in zip(images, samples, strict=True):
            expected = fit_image(read_image(sample.path), SIZE)[0]
            assert np.abs(image.astype(int) - expected).max() <= 1

    def test_grey_jpegs(self, tmp_path):
        ramp = np.arange(160, dtype=np.uint8)[None].repeat(120, 0)
        sample = make(tmp_path, "a")
        sample.path.write_bytes(cv2.imencode(".jpg", ramp)[1].tobytes())
        ((images, _, _),) = take(evaluation_dataset([sample], image_size=SIZE, batch_size=1), 1)
        assert np.ptp(images[0], axis=2).max() == 0
        expected = fit_image(read_image(sample.path), SIZE)[0]
        assert np.abs(images[0].astype(int) - expected).max() <= 1

    def test_a_jpeg_cut_short_is_named(self, tmp_path):
        noise = np.random.default_rng(0).integers(0, 255, (120, 160, 3)).astype(np.uint8)
        sample = make(tmp_path, "cut")
        data = cv2.imencode(".jpg", noise)[1].tobytes()
        sample.path.write_bytes(data[: len(data) // 2])
        with pytest.raises(tf.errors.OpError, match="cut.jpg: a damaged JPEG picture"):
            take(evaluation_dataset([sample], image_size=SIZE, batch_size=1), 1)

    def test_a_sample_of_another_size_is_refused(self, samples):
        wrong = replace(samples[0], size=(7, 8))
        with pytest.raises(DatasetError, match="its sample says 8x7"):
            evaluation_dataset([wrong], image_size=SIZE, batch_size=1)

    def test_real_pictures_of_many_sizes_and_grey(self, shared):
        from yolo.data.folder import open_folder

        samples = open_folder(shared / "data" / "raccoon").read("test")
        grey = [
            s
            for split in ("train", "val", "test")
            for s in open_folder(shared / "data" / "raccoon").read(split)
            if np.ptp(read_image(s.path), axis=2).max() == 0
        ]
        assert len(grey) == 3
        samples = samples[:8] + grey
        batches = take(evaluation_dataset(samples, image_size=(416, 416), batch_size=4), 9)
        images = np.concatenate([b[0] for b in batches])
        for image, sample in zip(images, samples, strict=True):
            expected = fit_image(read_image(sample.path), (416, 416))[0]
            assert np.abs(image.astype(int) - expected).max() <= 2


class TestRepeatability:
    def test_steps(self):
        assert [steps_per_epoch(n, 4) for n in (1, 4, 7, 8)] == [1, 1, 1, 2]

    def test_the_same_seed_gives_the_same_batches(self, samples, unbroken):
        assert same(unbroken, take(training(samples), 5))
        assert not same(unbroken, take(training(samples, seed=6), 5))

    @pytest.mark.parametrize("count, multi_scale, epoch", [(11, False, 1), (3, True, 4)])
    def test_a_later_start_sees_what_an_uninterrupted_run_sees(
        self, samples, count, multi_scale, epoch
    ):
        options = {"multi_scale": multi_scale, "augment": replace(STRONG, special_aug_ratio=0.3)}
        samples = samples[:count]
        whole = take(training(samples, **options), steps_per_epoch(count, 4) * 5)
        rest = whole[steps_per_epoch(count, 4) * epoch :]
        assert same(take(training(samples, start=(epoch, 0), **options), len(rest)), rest)

    def test_every_epoch_has_its_own_order_and_variation(self, samples):
        plain = [b[0] for b in take(training(samples, NOT_AUGMENTED), 6)]
        epochs = [np.concatenate(plain[n : n + 2]) for n in (0, 2, 4)]
        for images in epochs:  # 8 of 11 pictures, none twice
            assert len({i.tobytes() for i in images}) == 8
        assert not np.array_equal(epochs[0], epochs[1])
        assert len({i.tobytes() for e in epochs for i in e}) > 8
        config = replace(NOT_AUGMENTED, translate=0.2)
        one = [b[0].tobytes() for b in take(training(samples[:1], config, batch_size=1), 8)]
        assert len(set(one)) == 8

    def test_fewer_pictures_than_a_batch_repeat_evenly(self, samples):
        ((images, _, _),) = take(training(samples[:3], NOT_AUGMENTED, batch_size=7), 1)
        kinds = [sum(np.array_equal(a, b) for b in images) for a in images]
        assert sorted(kinds) == [2, 2, 2, 2, 3, 3, 3]

    def test_mosaic_and_mixup_end_with_their_share_of_the_epochs(self, tmp_path):
        samples = [make(tmp_path, "a", boxes=[(40, 40, 80, 80)])]
        config = replace(NOT_AUGMENTED, mosaic=1.0, mixup=1.0, special_aug_ratio=0.5)
        batches = take(training(samples, config, batch_size=1, epochs=5), 5)
        counts = [int((classes >= 0).sum()) for _, _, classes in batches]
        assert min(counts[:3]) > 1 and counts[3:] == [1, 1]  # epochs 0, 1 and 2 are below 2.5


def test_the_training_data_never_end(samples):
    assert training(samples).cardinality() == tf.data.INFINITE_CARDINALITY


def test_room_for_mosaic_and_mixup():
    class OneStore:
        most_objects = 3

    rooms = [
        Augmenter(OneStore(), replace(NOT_AUGMENTED, mosaic=a, mixup=b)).room
        for a, b in itertools.product((0.0, 1.0), repeat=2)
    ]
    assert rooms == [3, 6, 12, 15]


def test_a_run_that_starts_within_an_epoch_sees_what_an_unbroken_one_sees(samples, unbroken):
    assert same(take(training(samples, start=(1, 1)), 2), unbroken[3:])


@pytest.mark.parametrize("augment", [NOT_AUGMENTED, STRONG])
def test_the_pictures_of_a_batch_are_named(tmp_path, augment):
    """Each picture is its class; what a batch shows must have been named, joined ones too."""
    whole = [make(tmp_path, f"n{n}", boxes=[(0, 0, 160, 120)], classes=[n]) for n in range(9)]
    for epoch, batch in ((1, 1), (8, 0)):
        ((_, _, classes),) = take(training(whole, augment, start=(epoch, batch)), 1)
        seen = {int(n) for n in classes.ravel() if n >= 0}
        plan = BatchPlan(4, augment, epochs=10, seed=5)
        named = pictures_of_batch(whole, plan, epoch, batch)
        named = {int(path.stem[1:]) for path in named}
        assert seen <= named and len(named) >= 4
        # Without joining, and after the epochs with it, just these.
        assert named == seen or (augment is STRONG and epoch < 7)


def test_decoded_pictures_in_memory_change_no_pixel(tmp_path, samples):
    other = make(tmp_path, "not a jpeg", size=(90, 110), boxes=[(9, 9, 60, 60)], suffix=".png")
    mixed = [*samples[:3], other, *samples[3:]]
    expected = take(training(mixed), 6)
    total = np.cumsum([3 * np.prod(sample.size) for sample in mixed])
    for budget, all_fit in ((10**5, False), (10**7, True)):
        fits = int((total <= budget).sum())
        assert fits == 12 if all_fit else 0 < fits < 12
        assert Store(mixed, cache_bytes=budget).cached == fits
        assert same(take(training(mixed, cache_bytes=budget), 6), expected)


def test_a_damaged_picture_is_named_when_it_is_to_be_kept(tmp_path, samples):
    bad = make(tmp_path, "bad", boxes=[(9, 9, 60, 60)], suffix=".png")
    bad.path.write_bytes(bad.path.read_bytes()[:-40])
    with pytest.raises(DatasetError, match="bad.png"):
        training([*samples, bad], cache_bytes=10**8)
