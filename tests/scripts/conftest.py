"""What the commands are run on: a detector that sees the same everywhere, and such pictures."""

import math

import numpy as np
import pytest

from tests.scripts.commands import CORNERS, picture


@pytest.fixture(scope="session")
def pinned(tmp_path_factory):
    """Return a detector of 64 x 64 pixels that sees the same four objects in every picture.

    Its heads ignore their input; one anchor of the coarse map (2 x 2 cells of 32 pixels) fires
    in every cell, 8 x 8 pixels large. A 320 x 240 picture is letterboxed by 1/5 with 8 rows of
    padding above, so that the cell's centre (16, 16) is the picture's (80, 40) and the box
    40 x 40 there.
    """
    import yolo

    model = yolo.build("yolov4-tiny", classes=["cat", "狗"], image_size=(64, 64))
    # In the order of Darknet's file the head of stride 32 comes first.
    coarse, fine = (la for la in model.network.layers if hasattr(la, "outputs_per_anchor"))
    if coarse.name > fine.name:
        coarse, fine = fine, coarse
    bias = np.tile(np.float32([0, 0, 0, 0, -20, -20, -20]), 3)
    fine.bias.assign(bias)
    bias[:7] = [0, 0, math.log(8 / 81), math.log(8 / 82), 20, -20, 20]
    coarse.bias.assign(bias)
    for head in (coarse, fine):
        head.kernel.assign(np.zeros(head.kernel.shape, "float32"))
    path = tmp_path_factory.mktemp("pinned") / "pinned.keras"
    model.save(path)
    return path


@pytest.fixture(scope="session")
def voc(tmp_path_factory):
    """Return a VOC folder of two pictures in which the objects are where `pinned` sees them."""
    root = tmp_path_factory.mktemp("voc") / "VOC2007"
    objects = "".join(
        f"<object><name>狗</name><bndbox><xmin>{x1 + 1}</xmin><ymin>{y1 + 1}</ymin>"
        f"<xmax>{x2}</xmax><ymax>{y2}</ymax></bndbox></object>"
        for x1, y1, x2, y2 in CORNERS
    )
    for stem in ("a", "b"):
        picture(root / "JPEGImages" / f"{stem}.png")
        (root / "Annotations").mkdir(exist_ok=True)
        (root / "Annotations" / f"{stem}.xml").write_text(
            "<annotation><size><width>320</width><height>240</height><depth>3</depth></size>"
            f"{objects}</annotation>", encoding="utf-8",
        )  # fmt: skip
    (root / "ImageSets" / "Main").mkdir(parents=True)
    (root / "ImageSets" / "Main" / "test.txt").write_text("a\nb\n", encoding="utf-8")
    return root
