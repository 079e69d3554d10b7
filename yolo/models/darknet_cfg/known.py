"""The well-known networks of Darknet's cfg folder: how large they are, and what was published.

Sizes and arithmetic are counted from the files of github.com/AlexeyAB/darknet at the commit
59596d7; a test counts them anew where these are at hand.
"""

from __future__ import annotations

from typing import NamedTuple

_README = "github.com/AlexeyAB/darknet, README"
_SWISH = "github.com/AlexeyAB/darknet, issue 7888"
_SCALED = "github.com/WongKinYiu/ScaledYOLOv4, README"
_V7 = "github.com/WongKinYiu/yolov7, README"
_V7_TINY = "Wang et al. (2023), table 1, val2017"


class Known(NamedTuple):
    """A well-known network.

    Attributes:
        floats: numbers in its weights file without any class.
        floats_per_class: what each class adds.
        image_size: (height, width) of its cfg.
        gflops: two for each multiply-add of its convolutions at that size, with 80 classes.
        ap: published AP of COCO test-dev at that size, None where only AP50 is.
        ap50: published AP50.
        source: who says so.
    """

    floats: int
    floats_per_class: int
    image_size: tuple[int, int]
    gflops: float
    ap: float | None
    ap50: float
    source: str

    def parameters(self, classes: int = 80) -> int:
        """Return the numbers of its weights, running statistics among them."""
        return self.floats + classes * self.floats_per_class


KNOWN = {
    "yolov4": Known(63_998_605, 5385, (608, 608), 128.4, 43.5, 65.7, _README),
    "yolov4-tiny": Known(5_878_014, 2310, (416, 416), 6.9, None, 40.2, _README),
    "yolov3": Known(61_570_957, 5385, (416, 416), 65.9, None, 55.3, _README),
    "yolov3-spp": Known(62_621_581, 5385, (608, 608), 141.4, None, 60.6, _README),
    "yolov3-tiny": Known(8_673_934, 2310, (416, 416), 5.6, None, 33.1, _README),
    "yolov3-tiny-prn": Known(4_847_118, 1158, (416, 416), 3.5, None, 33.1, _README),
    "csresnext50-panet-spp-original-optimal": Known(
        56_600_045, 5385, (608, 608), 100.5, 43.2, 65.4, _README
    ),
    "yolov4-csp": Known(52_555_405, 5385, (512, 512), 77.0, 46.2, 64.8, _README),
    "yolov4-csp-swish": Known(52_555_405, 5385, (640, 640), 120.2, 50.0, 68.7, _SWISH),
    "yolov4x-mish": Known(99_308_717, 6729, (640, 640), 221.9, 49.4, 67.9, _README),
    "yolov4-csp-x-swish": Known(99_308_717, 6729, (640, 640), 221.9, 51.5, 69.9, _README),
    "yolov4-p5": Known(70_343_068, 7180, (896, 896), 326.6, 51.4, 69.9, _SCALED),
    "yolov4-p6": Known(126_814_640, 11_280, (1280, 1280), 717.0, 54.3, 72.3, _SCALED),
    "yolov7-tiny": Known(6_026_125, 2697, (416, 416), 5.8, 35.2, 52.8, _V7_TINY),
    "yolov7": Known(36_543_757, 5385, (640, 640), 104.5, 51.4, 69.7, _V7),
    "yolov7x": Known(70_871_365, 6729, (640, 640), 189.7, 53.1, 71.2, _V7),
}


def name_of(floats: int, floats_per_class: int, own: str = "") -> str | None:
    """Return the well-known network of these counts, None if there is none.

    Of several it is the one whose file has the name `own`, or else the first.
    """
    counts = (floats, floats_per_class)
    names = [name for name, known in KNOWN.items() if known[:2] == counts]
    return own if own in names else next(iter(names), None)
