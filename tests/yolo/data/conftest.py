"""A small data set in VOC format, written object by object; pictures of one bright object."""

import cv2
import numpy as np
import pytest

from tests.yolo.data.batches import make


class VocFolder:
    """Writes pictures, annotations and lists below a folder."""

    def __init__(self, root):
        self.root = root
        for name in ("Annotations", "JPEGImages"):
            (root / name).mkdir(parents=True)

    def picture(self, stem, *, size=(60, 80), suffix=".jpg", image=None):
        if image is None:
            image = np.full((*size, 3), 90, np.uint8)
        data = cv2.imencode(suffix.lower(), image[..., ::-1])[1]
        path = self.root / "JPEGImages" / f"{stem}{suffix}"
        path.write_bytes(data.tobytes())
        return path

    def annotation(self, stem, *objects, size=(60, 80), extra=""):
        """Write objects (name, xmin, ymin, xmax, ymax) or literal XML."""
        parts = [o if isinstance(o, str) else self.object(*o) for o in objects]
        height, width = size
        path = self.root / "Annotations" / f"{stem}.xml"
        path.write_text(
            f"<annotation>{extra}<size><width>{width}</width><height>{height}</height>"
            f"<depth>3</depth></size>{''.join(parts)}</annotation>",
            encoding="utf-8",
        )
        return path

    @staticmethod
    def object(name, *box, extra=""):
        corners = zip(("xmin", "ymin", "xmax", "ymax"), box, strict=True)
        numbers = "".join(f"<{key}>{value}</{key}>" for key, value in corners)
        return f"<object><name>{name}</name>{extra}<bndbox>{numbers}</bndbox></object>"

    def add(self, stem, *objects, size=(60, 80), suffix=".jpg"):
        self.picture(stem, size=size, suffix=suffix)
        return self.annotation(stem, *objects, size=size)

    def list(self, split, *lines):
        folder = self.root / "ImageSets" / "Main"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{split}.txt").write_text("".join(f"{x}\n" for x in lines), encoding="utf-8")


@pytest.fixture
def voc_folder(tmp_path):
    return VocFolder(tmp_path / "VOCdevkit" / "VOC2007")


@pytest.fixture(scope="module")
def samples(tmp_path_factory):
    """Eleven pictures of many shapes, each with one bright rectangle; number 4 has none."""
    folder = tmp_path_factory.mktemp("图 片")
    rng = np.random.default_rng(1)
    made = []
    for n in range(11):
        height, width = (int(x) for x in rng.integers(60, 200, 2))
        x1, y1 = int(rng.integers(5, width // 3)), int(rng.integers(5, height // 3))
        box = (x1, y1, x1 + width // 2, y1 + height // 2)
        boxes = [] if n == 4 else [box]
        made.append(make(folder, f"p {n}", size=(height, width), boxes=boxes, background=10 * n))
    return made
