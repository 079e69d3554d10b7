"""The numbers of docs/scale.md follow from its assumptions, and the page shows those printed."""

from pathlib import Path

import pytest

from benchmarks import scale
from yolo import zoo
from yolo.export.graph import multiply_adds

PAGE = Path(__file__).resolve().parents[2] / "docs" / "scale.md"


@pytest.mark.parametrize("table", scale.TABLES, ids=lambda table: table.__name__)
def test_the_page_shows_what_is_printed(table):
    assert f"\n{table()}\n" in PAGE.read_text(encoding="utf-8")


def test_the_page_is_the_whole_of_what_is_printed(capsys):
    assert scale.main([]) == 0
    printed = capsys.readouterr().out
    page = PAGE.read_text(encoding="utf-8")
    assert printed.split("\n\n") and all(part.strip() in page for part in printed.split("\n\n"))


def test_the_arithmetic_by_hand():
    assert scale.pictures_per_second() == pytest.approx(312e12 * 0.3 / (3 * 60.10e9))
    assert scale.files_per_picture() == 2.05
    assert scale.all_reduce_bytes(1) == 0
    assert scale.all_reduce_bytes(2) == 64_429_405 * 4
    assert scale.all_reduce_bytes(64) == pytest.approx(2 * 63 / 64 * 257_717_620)
    assert scale.all_reduce_seconds(8) == pytest.approx(0.0015033, rel=1e-3)
    assert scale.all_reduce_seconds(64) == pytest.approx(0.0405905, rel=1e-3)
    # One device: 2.56 million pictures at 519.1 a second
    time, share = scale.hours(2_560_000, 1, 8, 416)
    assert time == pytest.approx(1.36986, rel=1e-4) and share == 1
    # 64 devices of 8: 15.41 ms of computing and 40.59 ms of network, 5000 times
    time, share = scale.hours(2_560_000, 64, 8, 416)
    assert time == pytest.approx(5000 * 0.0560013 / 3600, rel=1e-3)
    assert share == pytest.approx(0.2752, rel=1e-3)


def test_the_network_that_is_counted_is_the_one_that_is_built():
    model = zoo.build("yolov4-tiny", classes=[f"c{n}" for n in range(80)], image_size=(416, 416))
    flops = 2 * multiply_adds(model.network, (416, 416))
    assert f"{flops / 1e9:.2f}" == f"{scale.FORWARD_GFLOPS['yolov4-tiny']:.2f}"
