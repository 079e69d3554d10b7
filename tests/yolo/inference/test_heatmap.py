"""The confidence map: hot where an object is, cold elsewhere, in the picture's own pixels."""

import numpy as np
import pytest

from yolo.inference import heatmap, tiles


@pytest.mark.parametrize("resize", ["letterbox", "stretch"])
@pytest.mark.parametrize("size", [(96, 128), (300, 200), (50, 400)])
def test_it_is_hottest_at_the_middle_of_the_object(spot_finder, spots, size, resize):
    box = (size[1] // 8, size[0] // 4, size[1] // 2, 3 * size[0] // 4)
    image = spots(size, [box])
    heat = heatmap.confidence_map(spot_finder(resize=resize), image)
    assert heat.shape == size and heat.dtype == np.float32 and 0 <= heat.min() <= heat.max() <= 1
    assert heat.max() == pytest.approx(0.9, abs=0.06)
    y, x = np.unravel_index(heat.argmax(), size)
    cell = 4 * max(size[0] / 96, size[1] / 128)  # of the map, in pixels of the picture
    assert abs(x - (box[0] + box[2]) / 2) <= cell
    assert abs(y - (box[1] + box[3]) / 2) <= cell
    assert heat[:, 3 * size[1] // 4 :].max() < 0.02


def test_nothing_found_is_cold_and_leaves_the_picture_faded(spot_finder, spots):
    image = spots((40, 60), [])
    heat = heatmap.confidence_map(spot_finder(), image)
    assert heat.max() == 0
    np.testing.assert_array_equal(heatmap.lay_over(image, heat), image)  # grey stays grey


def test_only_the_classes_asked_for(spot_finder, spots):
    image = spots((96, 128), [(10, 10, 40, 40), (60, 60, 120, 72)])  # a cat and a dog
    cats = heatmap.confidence_map(spot_finder(), image, class_ids=[0])
    assert cats[25, 25] > 0.8 and cats[66, 90] == 0


def test_tiles_show_what_the_whole_hides(spot_finder, spots):
    image = spots((768, 1024), [(500, 300, 512, 312)])
    assert heatmap.confidence_map(spot_finder(), image).max() == 0
    windows = tiles.windows((768, 1024), (96, 128))
    heat = heatmap.confidence_map(spot_finder(), image, windows=windows)
    assert heat[306, 506] > 0.7 and heat[:, :400].max() == 0


def test_the_colours_lie_where_the_heat_is(spots):
    image = spots((20, 30), [])
    heat = np.zeros((20, 30), np.float32)
    heat[:, 20:] = 1
    shown = heatmap.lay_over(image, heat)
    assert (shown[:, :20] == 90).all()
    assert (shown[:, 20:, 0].astype(int) - shown[:, 20:, 2] > 40).all(), "red is sure"
    assert (image == 90).all(), "the picture itself is left alone"


def test_boxes_that_are_no_numbers_are_passed_over(spot_finder, spots):
    class Broken(spot_finder):
        def predict_raw(self, images):
            boxes = np.float32([[[np.nan, 0, 5, 5], [-900, -900, -800, -800], [8, 8, 24, 24]]])
            return {"boxes": boxes, "scores": np.float32([[[0.9], [0.9], [0.5]]])}

    heat = heatmap.confidence_map(Broken(), spots((96, 128), []))
    assert heat[16, 16] == pytest.approx(0.5, abs=0.05) and np.isfinite(heat).all()
