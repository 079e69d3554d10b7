"""An export with free sizes knows the stride of its network's coarsest map."""

import pytest

import yolo
from tests.yolo.models.darknet_cfg.cfgs import MINI
from yolo.export import exporter
from yolo.models.darknet_cfg.cfg import from_text

COARSE = (
    MINI.replace("size=2\nstride=2\n", "size=16\nstride=16\n")
    .replace("[upsample]\nstride=2", "[upsample]\nstride=16")
    .replace("width=64\nheight=96", "width=128\nheight=64")
)


@pytest.mark.parametrize("text, size, stride", [(MINI, (96, 64), 8), (COARSE, (64, 128), 64)])
def test_a_cfg_gives_its_own(text, size, stride):
    model = yolo.build(from_text(text, "my.cfg"), classes=["a", "b"], image_size=size)
    info = exporter.describe(model, "onnx", dynamic=True)
    assert info.stride == stride == info.to_json()["stride"]


def test_the_others_have_32():
    model = yolo.build("yolov4-tiny", classes=["a"], image_size=(64, 64))
    assert exporter.describe(model, "saved_model").stride == 32
