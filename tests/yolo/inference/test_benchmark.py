"""The stopwatch: every stage has its time, and waiting shows in the right one."""

import time

import numpy as np
import pytest

from yolo.errors import DatasetError
from yolo.inference import benchmark
from yolo.pictures.files import write_image


@pytest.fixture
def paths(tmp_path, spots):
    found = [tmp_path / f"{i}.png" for i in range(3)]
    for path in found:
        write_image(path, spots((60, 80), [(10, 10, 30, 30)]))
    return found


def test_every_stage_is_timed_in_every_round(spot_finder, paths):
    model, rounds = spot_finder(), []
    times = benchmark.measure(
        model, paths, batch_size=2, rounds=4, on_round=lambda *step: rounds.append(step)
    )
    assert tuple(times) == (*benchmark.STAGES, "all")
    assert all(values.shape == (4,) and (values > 0).all() for values in times.values())
    parts = sum(times[stage] for stage in benchmark.STAGES)
    np.testing.assert_allclose(times["all"], parts)
    assert rounds == [(i, 4) for i in range(1, 5)] and model.batches == [2] * 5


def test_a_slow_network_shows_as_one(spot_finder, paths):
    class Slow(spot_finder):
        def predict_raw(self, images):
            time.sleep(0.05)
            return super().predict_raw(images)

    times = benchmark.measure(Slow(), paths, batch_size=2, rounds=2)
    assert times["network"].min() >= 25, "milliseconds a picture"
    assert np.median(times["decode and NMS"]) < 25


def test_network_and_decoding_are_told_apart_where_they_can_be(spot_finder, paths):
    class Apart(spot_finder):
        network = property(lambda self: self)
        decode = staticmethod(lambda maps, size: {"boxes": maps["boxes"], "scores": maps["scores"]})

        def predict_on_batch(self, images):
            return spot_finder.predict_raw(self, images)

        def predict_raw(self, images):
            raise AssertionError("this would do both at once")

    times = benchmark.measure(Apart(), paths, rounds=1)
    assert times["all"][0] > 0


def test_a_picture_that_is_none_ends_it(spot_finder, tmp_path):
    with pytest.raises(DatasetError, match="gone.jpg"):
        benchmark.measure(spot_finder(), [tmp_path / "gone.jpg"])
