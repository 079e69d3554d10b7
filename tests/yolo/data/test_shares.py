"""Batches that several devices share: each picture once an epoch, on whatever many of them."""

import itertools

import numpy as np
import pytest

from benchmarks.faults import shares
from benchmarks.faults.shares import BATCH, batches, numbers
from yolo.config import AugmentConfig
from yolo.data.pipeline import (
    NOT_AUGMENTED,
    BatchPlan,
    Share,
    evaluation_dataset,
    pictures_of_batch,
)
from yolo.errors import ConfigError


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    return shares.pictures(tmp_path_factory.mktemp("pictures"), 31)


@pytest.mark.parametrize("left_over, workers", [(0, 2), (1, 4), (7, 3)])
def test_every_picture_once_an_epoch_for_any_number_of_workers(pictures, left_over, workers):
    shares.assert_once_an_epoch(pictures[: 24 + left_over], workers)


def test_devices_of_a_worker_take_turns_and_see_the_pictures_that_one_device_sees(pictures):
    samples, augment = pictures[:14], AugmentConfig()  # mosaic, so that each picture is its own
    (whole,), (rest,) = batches(samples, 2, augment=augment)
    one, two = (batches(samples, 2, Share(2 * w, 2, 4), augment) for w in range(2))
    devices = [*one[0], *two[0]]
    for device, (images, ids) in enumerate(devices):
        np.testing.assert_array_equal(images, whole[0][device::4])
        np.testing.assert_array_equal(ids, whole[1][device::4])
    assert [len(images) for images, _ in [*one[1], *two[1]]] == [1, 1, 0, 0]
    np.testing.assert_array_equal(two[1][0][0].shape, (0, 32, 32, 3))
    np.testing.assert_array_equal(one[1][1][0], rest[0][1:])
    later = batches(samples, 1, Share(2, 2, 4), augment, start=(1, 1))
    assert [len(images) for images, _ in later[0]] == [0, 0]


@pytest.mark.parametrize("resize, multi_scale", [("stretch", True), ("shorter", False)])
def test_pictures_of_other_sizes_are_left_out_as_well(pictures, resize, multi_scale):
    found = batches(pictures[:13], 2, resize=resize, multi_scale=multi_scale)
    assert [len(step[0][0]) for step in found] == [12, 1]
    assert found[1][0][0].shape[1] % 32 == 0 and found[1][0][0].max() > 0


def test_the_last_batch_names_its_pictures(pictures):
    plan = BatchPlan(BATCH, NOT_AUGMENTED, epochs=4, seed=3, drop_remainder=False)
    last = batches(pictures[:14], 2)[1][0][1]
    named = pictures_of_batch(pictures[:14], plan, 0, 1)
    assert sorted(int(path.stem) for path in named) == sorted(numbers(last))


def test_evaluation_shares_have_equally_many_steps(pictures):
    parts = [
        itertools.islice(
            evaluation_dataset(
                pictures[:10], image_size=(32, 32), batch_size=4, part=Share(w, 1, 2)
            ),
            4,
        )
        for w in range(2)
    ]
    one, two = ([numbers(truth["classes"].numpy()) for _, truth in part] for part in parts)
    assert one == [[0, 2], [4, 6], [8], []] and two == [[1, 3], [5, 7], [9], []]


def test_a_batch_that_does_not_divide_is_refused(pictures):
    with pytest.raises(ConfigError, match="batch size is 12; expected a multiple of 5"):
        batches(pictures, 1, Share(0, 1, 5))
