"""Batches that several devices share: each picture once an epoch, on whatever many of them."""

import itertools

import cv2
import numpy as np
import pytest
import tensorflow as tf

from yolo.data.pipeline import (
    ALONE,
    NOT_AUGMENTED,
    BatchPlan,
    evaluation_dataset,
    pictures_of_batch,
    training_dataset,
)
from yolo.data.sample import Sample
from yolo.settings.augmentation import AugmentConfig

InputContext = tf.distribute.InputContext
BATCH = 12  # divides among one to four


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    """Return samples whose one object has the picture's number as its class."""
    folder, made = tmp_path_factory.mktemp("pictures"), []
    for n in range(31):
        path = folder / f"{n}.png"
        path.write_bytes(cv2.imencode(".png", np.full((32, 32, 3), 8 * n, np.uint8))[1].tobytes())
        box, flags = np.array([[0, 0, 32, 32]], np.float32), np.zeros(1, bool)
        made.append(Sample(path, box, np.array([n], np.int32), flags, flags, (32, 32), str(n)))
    return made


def batches(
    samples, steps, context=ALONE, augment=NOT_AUGMENTED, multi_scale=False, **options
):  # fmt: skip
    """Return for each step the (images, class ids) of the devices of one process."""
    plan = BatchPlan(BATCH, augment, 4, seed=3, drop_remainder=False, multi_scale=multi_scale)
    dataset = training_dataset(samples, plan, image_size=(32, 32), context=context, **options)
    devices = context.num_replicas_in_sync // context.num_input_pipelines
    taken = [
        (images.numpy(), truth["classes"].numpy())
        for images, truth in itertools.islice(dataset, steps * devices)
    ]
    return [taken[i : i + devices] for i in range(0, len(taken), devices)]


def numbers(ids):
    """Return which pictures a batch holds."""
    return [int(row.max()) for row in ids]


@pytest.mark.parametrize("left_over, processes", [(0, 2), (1, 4), (7, 3)])
def test_every_picture_once_an_epoch_for_any_number_of_processes(pictures, left_over, processes):
    samples, steps = pictures[: 24 + left_over], 2 + (left_over > 0)
    whole = batches(samples, 2 * steps)
    for first in (0, steps):
        seen = [n for step in whole[first : first + steps] for n in numbers(step[0][1])]
        assert sorted(seen) == list(range(len(samples)))
    assert numbers(whole[0][0][1]) != numbers(whole[steps][0][1]), "the same order twice"
    parts = [
        batches(samples, 2 * steps, InputContext(processes, n, processes)) for n in range(processes)
    ]
    for step, expected in enumerate(whole):
        found = [n for part in parts for n in numbers(part[step][0][1])]
        assert sorted(found) == sorted(numbers(expected[0][1]))
        sizes = [len(part[step][0][0]) for part in parts]
        assert max(sizes) - min(sizes) <= 1


def test_devices_of_a_process_take_turns_and_see_the_pictures_that_one_device_sees(pictures):
    samples, augment = pictures[:14], AugmentConfig()  # mosaic, so that each picture is its own
    (whole,), (rest,) = batches(samples, 2, augment=augment)
    one, two = (batches(samples, 2, InputContext(2, n, 4), augment) for n in range(2))
    devices = [*one[0], *two[0]]
    for device, (images, ids) in enumerate(devices):
        np.testing.assert_array_equal(images, whole[0][device::4])
        np.testing.assert_array_equal(ids, whole[1][device::4])
    assert [len(images) for images, _ in [*one[1], *two[1]]] == [1, 1, 0, 0]
    np.testing.assert_array_equal(two[1][0][0].shape, (0, 32, 32, 3))
    np.testing.assert_array_equal(one[1][1][0], rest[0][1:])
    later = batches(samples, 1, InputContext(2, 1, 4), augment, start=(1, 1))
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
                pictures[:10], image_size=(32, 32), batch_size=4, context=InputContext(2, n, 2)
            ),
            4,
        )
        for n in range(2)
    ]
    one, two = ([numbers(truth["classes"].numpy()) for _, truth in part] for part in parts)
    assert one == [[0, 2], [4, 6], [8], []] and two == [[1, 3], [5, 7], [9], []]
