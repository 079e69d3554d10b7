"""The published weights by name: where they are, how many bytes, and their SHA-256.

`--weights yolov4-tiny-coco` downloads the file once; `--weights FILE` needs no network.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

from yolo.errors import WeightsError
from yolo.system.cache import cache_folder
from yolo.weights import download

_DARKNET = "https://github.com/AlexeyAB/darknet/releases/download"
_TORCH = "https://download.pytorch.org/models"


@dataclass(frozen=True)
class Entry:
    """A published file.

    Args:
        url: its address; the last part is the file's name.
        about: what it is, in a few words.
        models: those of the zoo that it fills or starts.
        size: bytes, None where they are not known.
        sha256: its SHA-256 in hex; its first digits where only these are published (PyTorch
            puts eight of them in the file's name), None where nothing is known.
    """

    url: str
    about: str
    models: tuple[str, ...]
    size: int | None = None
    sha256: str | None = None

    @property
    def file_name(self) -> str:
        """The last part of the address."""
        return self.url.rpartition("/")[2]


def _darknet(
    release: str, file: str, about: str, models: tuple[str, ...], size: int | None,
    sha256: str | None,
) -> Entry:  # fmt: skip
    return Entry(f"{_DARKNET}/{release}/{file}", about, models, size, sha256)


def _torchvision(
    file: str, about: str, models: tuple[str, ...], size: int | None = None,
    sha256: str | None = None,
) -> Entry:  # fmt: skip
    return Entry(f"{_TORCH}/{file}", about, models, size, sha256 or file[:-4].rpartition("-")[2])


_FULL, _TINY = ("yolov4", "retinanet-csp-53"), ("yolov4-tiny", "retinanet-csp-tiny")
_R50 = ("retinanet", "retinanet-r50")


# Sizes and sums were compared between independent publications; those of yolov4.conv.137 and
# the later torchvision files are known only as far as they are given here.
CATALOG = {
    "yolov4-coco": _darknet(
        "darknet_yolo_v3_optimal", "yolov4.weights", "YOLOv4, COCO, 80 classes", _FULL, 257_717_640,
        "8463fde6ee7130a947a73104ce73c6fa88618a9d9ecd4a65d0b38f07e17ec4e4",
    ),
    "yolov4-tiny-coco": _darknet(
        "darknet_yolo_v4_pre", "yolov4-tiny.weights", "YOLOv4-tiny, COCO, 80 classes", _TINY,
        24_251_276, "cf9fbfd0f6d4869b35762f56100f50ed05268084078805f0e7989efe5bb8ca87",
    ),
    "yolov4-backbone": _darknet(
        "darknet_yolo_v3_optimal", "yolov4.conv.137", "YOLOv4 without heads, a start for training",
        _FULL, 170_038_676, None,
    ),
    "yolov4-tiny-backbone": _darknet(
        "darknet_yolo_v4_pre", "yolov4-tiny.conv.29", "YOLOv4-tiny's backbone", _TINY, 19_789_716,
        "3c794b8420b12ed2a609daa71d075880e7bd152671323f5eb3e8d9e57e31785b",
    ),
    "retinanet-r50-coco": _torchvision(
        "retinanet_resnet50_fpn_coco-eeacb38b.pth", "RetinaNet, COCO, 91 ids", _R50, 136_595_076,
        "eeacb38b7cec8cf93c57867e05eaab621047f19b0d2ec5accaa405f690da15b7",
    ),
    "retinanet-r50-v2-coco": _torchvision(
        "retinanet_resnet50_fpn_v2_coco-5905b1c5.pth", "RetinaNet v2, COCO, 91 ids", _R50,
        153_130_989, "5905b1c544219215e544dbe319720397bc4e68de61a733a59350d7976645b769",
    ),
    "resnet-18-imagenet": _torchvision(
        "resnet18-f37072fd.pth", "ResNet-18, ImageNet", ("retinanet-r18",), 46_830_571,
        "f37072fd47e89c5e827621c5baffa7500819f7896bbacec160b1a16c560e07ec",
    ),
    "resnet-34-imagenet": _torchvision(
        "resnet34-b627a593.pth", "ResNet-34, ImageNet", ("retinanet-r34",), 87_319_819,
        "b627a593bcbe140c234610266fe4f8ae95ea42fc881d091c9b6052e6b1d0590f",
    ),
    "resnet-50-imagenet": _torchvision(
        "resnet50-0676ba61.pth", "ResNet-50, ImageNet", _R50, 102_530_333,
        "0676ba61b6795bbe1773cffd859882e5e297624d384b6993f7c9e683e722fb8a",
    ),
    "resnet-50-v2-imagenet": _torchvision(
        "resnet50-11ad3fa6.pth", "ResNet-50, ImageNet, newer recipe", _R50,
        sha256="11ad3fa62ca79e40addfd354a8ec4b7c75143b3038b8d2a807fbc68deab379ca",
    ),
    "resnet-101-imagenet": _torchvision(
        "resnet101-63fe2227.pth", "ResNet-101, ImageNet", ("retinanet-r101",)
    ),
    "resnet-101-v2-imagenet": _torchvision(
        "resnet101-cd907fc2.pth", "ResNet-101, ImageNet, newer recipe", ("retinanet-r101",)
    ),
    "resnet-152-imagenet": _torchvision(
        "resnet152-394f9c45.pth", "ResNet-152, ImageNet", ("retinanet-r152",)
    ),
    "resnet-152-v2-imagenet": _torchvision(
        "resnet152-f82ba261.pth", "ResNet-152, ImageNet, newer recipe", ("retinanet-r152",)
    ),
}  # fmt: skip


def locate(weights: str | os.PathLike) -> Path:
    """Return the file that a path or a name of the catalogue stands for.

    A file of that name wins; else a name is downloaded, once.

    Args:
        weights: what was typed.

    Returns:
        The path as given, whether or not there is such a file, or the downloaded one.

    Raises:
        WeightsError: there is no such file, and the name is nearly one of the catalogue; or it
            is one and cannot be downloaded.
    """
    path, name = Path(weights), str(weights)
    if path.exists():
        return path
    if name in CATALOG:
        return fetch(name)
    by_file = {entry.file_name: key for key, entry in CATALOG.items()}
    if path.name in by_file:
        raise WeightsError(f"{path}: no such file; --weights {by_file[path.name]} downloads it")
    near = get_close_matches(name, CATALOG, 1)
    if near and path.suffix == "":
        raise WeightsError(f"{path}: neither a file nor a known name; did you mean {near[0]}?")
    return path


def fetch(name: str) -> Path:
    """Download a file of the catalogue unless it is there already, and check it.

    Args:
        name: a key of `CATALOG`.

    Returns:
        The file in `cache_folder()`.

    Raises:
        WeightsError: it cannot be downloaded, or is not the file that was published.
    """
    entry = CATALOG[name]
    path = cache_folder() / entry.file_name
    if path.is_file() and entry.size in (None, path.stat().st_size):
        return path  # its sum was checked before it got this name
    download.download(entry.url, path, size=entry.size, sha256=entry.sha256)
    return path
