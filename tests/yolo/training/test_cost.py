"""What a step costs is counted before it is taken."""

import pytest

from tests.yolo.models.darknet_cfg.cfgs import MINI
from yolo.models.darknet_cfg.cfg import from_text
from yolo.models.names import settings_of
from yolo.models.yolov4.from_cfg import config_of
from yolo.training.cost import Cost, cost_of, free_memory


def test_a_network_by_hand_costs_what_darknet_prints():
    """6.910 BFLOPS for yolov4-tiny.cfg at 416 x 416; a step is thrice that for each picture."""
    found = cost_of(settings_of("yolov4-tiny"), 80, (416, 416), 8)
    assert found.flops / 1e9 == pytest.approx(6.910, abs=0.005)
    assert found.step_flops == pytest.approx(24 * found.flops)
    assert cost_of(settings_of("retinanet-r18"), 2, (416, 416), 8) is None


def test_memory_grows_with_pictures_and_their_size_and_halves_with_the_digits():
    settings = config_of(from_text(MINI, "my.cfg"))
    one, two, large, half = (
        cost_of(settings, 2, size, batch, half=half).step_bytes
        for size, batch, half in (
            ((96, 64), 4, False), ((96, 64), 8, False), ((192, 128), 4, False), ((96, 64), 4, True),
        )
    )  # fmt: skip
    assert large - one == pytest.approx(3 * (two - one))
    assert one - half == pytest.approx((two - one) / 2)
    # By hand, for each pixel: convolutions with norm keep 3 maps, with swish 4, with mish 5;
    # all else one, but for [yolo] and routes that only take another layer's.
    numbers = (3 * 8) / 4 + (4 * 16 + 5 * 8 + 8) / 16 + (8 + 8 + 6 + 14 + 14) / 64
    numbers += (6 + 14 + 7) / 16
    assert two - one == pytest.approx(1.5 * 4 * 4 * 96 * 64 * numbers)


def test_a_laptop_is_warned_with_numbers():
    p6 = Cost(717e9, 3 * 8 * 717e9, 90e9)
    said = p6.warning(on_processor=True, free_bytes=14.2e9)
    assert "only 14.2 GB of memory are free" in said and "86 seconds a step" in said
    assert "717 GFLOPs a picture" in p6.line() and "about 90.0 GB" in p6.line()
    assert p6.warning(on_processor=False, free_bytes=14e9) is None
    small = Cost(7e9, 24 * 7e9, 2e9)
    assert small.warning(on_processor=True, free_bytes=14e9) is None
    assert small.warning(on_processor=True, free_bytes=None) is None
    assert "GB" in small.warning(on_processor=True, free_bytes=1e9)
    free = free_memory()
    assert free is None or free > 100e6
